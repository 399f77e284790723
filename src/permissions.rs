//! The permissions that each operation of the document needs. The server checks them before it reads parameters and body, so a caller
//! whose role may never call the operation gets 403 whatever the request holds. The document names the roles from the same table.

use crate::actor::{Action, Actor, Reach, Role};
use crate::error::Result;

/// Returns the permissions that an operation needs, all of them. None for an operation that all roles may call.
///
/// What depends on the input or on the object is not here: the operation checks it.
#[rustfmt::skip]
fn needed(operation: &str) -> &'static [Action] {
    use Action as A;
    match operation {
        "create_patient" => &[A::PatientCreate],
        "list_patients" | "list_patient_duplicates" => &[A::PatientSearch],
        "get_patient" | "list_consents" | "get_consent" => &[A::PatientRead],
        "update_patient" | "create_consent" => &[A::PatientWrite],
        "create_patient_merge" | "get_patient_merge" | "get_patient_merge_preview" | "list_patient_merges" | "undo_patient_merge"
        | "create_patient_retirement" | "get_patient_retirement" | "list_patient_retirements" | "undo_patient_retirement" =>
            &[A::PatientMerge],
        "list_patient_access" | "get_patient_access" => &[A::AccessRead],
        "create_patient_access" | "confirm_patient_access" => &[A::AccessGrant],
        "create_patient_invitation" | "list_patient_invitations" | "delete_patient_invitation" => &[A::AccessInvite],
        "delete_patient_access" => &[A::AccessEnd],
        "get_patient_export" => &[A::PatientExport],
        "list_patient_audit_events" => &[A::AccessLogRead],
        "list_audit_events" => &[A::AuditRead],

        "create_location" | "update_location" | "create_closures" | "delete_closure" | "create_practitioner" | "update_practitioner"
        | "create_visit_type" | "update_visit_type" | "create_resource" | "update_resource" | "create_consent_document" =>
            &[A::ClinicSetUp],
        "list_resources" | "get_resource" => &[A::ResourceRead],
        "get_availability" | "list_exceptions" | "get_exception" | "list_closures" | "get_closure" => &[A::AvailabilityRead],
        "replace_availability" => &[A::AvailabilityWrite],
        // Extra hours have the same roles at most. The operations check the kind of the exception.
        "create_exception" | "delete_exception" => &[A::TimeOffWrite],
        "get_agenda" | "get_day_sheet" | "get_affected_appointments" | "list_taken_slots" => &[A::AgendaRead],
        "get_calendar_feed" | "create_calendar_feed" | "delete_calendar_feed" => &[A::CalendarFeedManage],
        "block_slot" | "unblock_slot" => &[A::SlotBlock],

        "create_appointment" | "create_appointment_series" | "cancel_appointment" | "confirm_appointment" | "reschedule_appointment" =>
            &[A::AppointmentBook],
        "get_appointment" | "list_appointments" | "get_appointment_calendar" | "get_appointment_series" | "list_appointment_history" =>
            &[A::AppointmentRead],
        "update_appointment" => &[A::AppointmentAmend],
        "accept_appointment_time" | "check_in_appointment" | "complete_appointment" | "mark_appointment_no_show" | "undo_appointment"
        | "reschedule_appointments" | "resolve_zone_changes" => &[A::AppointmentProgress],
        "renew_appointment_links" | "delete_appointment_links" => &[A::AppointmentLinkManage],
        "list_waitlist_entries" | "create_waitlist_entry" | "get_waitlist_entry" | "update_waitlist_entry" | "cancel_waitlist_entry"
        | "list_waitlist_offers" | "get_waitlist_offer" | "decline_waitlist_offer" => &[A::WaitlistUse],
        "claim_waitlist_offer" => &[A::WaitlistUse, A::AppointmentBook],
        "create_waitlist_offer" | "withdraw_waitlist_offer" => &[A::WaitlistOffer],

        "create_intake" | "update_intake" | "delete_intake" | "submit_intake" => &[A::IntakeWrite],
        "get_intake" | "list_patient_intakes" => &[A::IntakeRead],
        "list_intakes" => &[A::IntakeList],
        "amend_intake" => &[A::IntakeAmend],
        "review_intake" | "list_intake_versions" => &[A::IntakeReview],
        "void_intake" => &[A::IntakeVoid],
        "list_intake_flags" => &[A::IntakeFlagRead],
        "acknowledge_intake_flag" => &[A::IntakeFlagAcknowledge],
        "get_follow_up" | "list_patient_follow_ups" => &[A::FollowUpRead],
        "create_follow_up" | "cancel_follow_up" | "list_follow_ups" => &[A::FollowUpManage],
        "get_intake_summary" | "get_rls_timeline" | "list_lab_results" | "get_lab_result" => &[A::ClinicalRead],
        "create_lab_result" | "correct_lab_result" | "void_lab_result" => &[A::LabResultWrite],
        "list_lab_result_versions" => &[A::LabResultHistoryRead],

        "close_account" => &[A::AccountClose],
        "list_users" | "create_user" | "get_user" | "update_user" | "delete_user_second_factor" | "list_user_sessions"
        | "delete_user_sessions" => &[A::UserManage],
        "list_clients" | "create_client" | "get_client" | "update_client" | "delete_client" | "create_client_secret"
        | "delete_client_secret" => &[A::ClientManage],
        "list_webhooks" | "create_webhook" | "get_webhook" | "update_webhook" | "delete_webhook" | "create_webhook_secret"
        | "create_webhook_test_event" | "create_webhook_redelivery" | "get_webhook_delivery" | "list_webhook_attempts"
        | "skip_webhook_events" => &[A::WebhookManage],
        "list_messages" | "resend_message" | "complete_message" => &[A::MessageManage],
        "list_events" | "get_event_stream" => &[A::EventRead],
        "get_utilisation" => &[A::ReportRead],
        _ => &[],
    }
}

/// Requires that the caller's role may call the operation at all.
///
/// # Errors
/// [`Error::RoleForbidden`](crate::error::Error::RoleForbidden) with the roles that may.
pub fn check(actor: &Actor, operation: &str) -> Result<()> {
    needed(operation).iter().try_for_each(|action| actor.require(*action).map(|_| ()))
}

/// Returns the roles that may call an operation, and on what.
pub fn roles(operation: &str) -> Vec<(Role, Reach)> {
    let reach = |role: Role| needed(operation).iter().map(|action| action.reach(role)).min().unwrap_or(Reach::Any);
    let all = Role::ALL.iter().map(|role| (*role, reach(*role)));
    all.filter(|(_, reach)| *reach != Reach::None).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_with_several_permissions_is_open_to_the_roles_with_all_of_them() {
        assert_eq!(roles("create_location"), [(Role::Admin, Reach::Any)]);
        assert_eq!(roles("replace_availability"), [(Role::Practitioner, Reach::Own), (Role::Admin, Reach::Any)]);
        assert_eq!(roles("claim_waitlist_offer")[0], (Role::Patient, Reach::Own));
        assert_eq!(roles("list_sessions").len(), Role::ALL.len());
    }
}
