//! The signed-in caller, and the one table of permissions.

use crate::audit_context::AuditContext;
use crate::error::{Error, ProblemCode, Result};
use crate::ids::{PractitionerId, SessionId, UserId};
pub use crate::role::Role;
use crate::scopes::{Scope, Scopes};

/// The signed-in caller of a request.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The account.
    pub user_id: UserId,
    /// The session that the access token belongs to. Nil without a session.
    pub session_id: SessionId,
    /// The scopes of a machine client's access token. None for people.
    pub client_scopes: Option<Scopes>,
    /// The account's role.
    pub role: Role,
    /// The practitioner whose account it is; none for other roles.
    pub practitioner_id: Option<PractitionerId>,
    /// The reason for break-glass access, from the request's `Access-Reason`.
    pub access_reason: Option<String>,
    /// What the audit event will say of the request.
    pub audit: AuditContext,
}

/// How far a permission reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Not at all: 403.
    None,
    /// Only what belongs to the caller or to a patient whom the caller may act for. Anything else is 404.
    Own,
    /// Everything.
    Any,
}

/// A kind of operation that needs a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Create a patient record. An account creates records for itself and for people whom it acts for.
    PatientCreate,
    /// Search patients.
    PatientSearch,
    /// Read a patient's record and consents.
    PatientRead,
    /// Change a patient's record, record a consent.
    PatientWrite,
    /// Merge two records of one patient and undo it; retire a record that was made by mistake.
    PatientMerge,
    /// List the accounts that have access to a patient.
    AccessRead,
    /// Give an account access to a patient: link, verify, confirm.
    AccessGrant,
    /// Invite a person to act for a patient. Adult patients invite others to their own record.
    AccessInvite,
    /// End an account's access to a patient. Adult patients end the access of others to their own record.
    AccessEnd,
    /// Export all data of a patient.
    PatientExport,
    /// Manage locations, practitioners, visit types and resources.
    ClinicSetUp,
    /// Read the resources of the clinic.
    ResourceRead,
    /// Read the identifiers that other systems use for practitioners.
    PractitionerIdentifierRead,
    /// Read a practitioner's weekly hours and exceptions, and the closures of locations.
    AvailabilityRead,
    /// Change a practitioner's weekly hours.
    AvailabilityWrite,
    /// Add and delete a practitioner's extra hours.
    ExtraHoursWrite,
    /// Add and delete a practitioner's time off.
    TimeOffWrite,
    /// Read a practitioner's agenda.
    AgendaRead,
    /// Block and unblock slots.
    SlotBlock,
    /// Hold a slot.
    SlotHold,
    /// Book, cancel and move appointments.
    AppointmentBook,
    /// Read appointments.
    AppointmentRead,
    /// Change an appointment's note and identifiers.
    AppointmentAmend,
    /// Check in, mark as no-show, complete and undo.
    AppointmentProgress,
    /// Renew and revoke the links in an appointment's mails.
    AppointmentLinkManage,
    /// Create, read and revoke the address of a practitioner's visits for a calendar program.
    CalendarFeedManage,
    /// Wait for a kind of visit: create, read, change and end entries of the waitlist.
    WaitlistUse,
    /// Offer a time to a patient on the waitlist by hand, and withdraw offers.
    WaitlistOffer,
    /// Begin, fill in, discard and submit an intake.
    IntakeWrite,
    /// Read intakes. The role decides which parts.
    IntakeRead,
    /// List the intakes of all patients.
    IntakeList,
    /// Amend a submitted intake. The earlier version is kept.
    IntakeAmend,
    /// Review a submitted intake.
    IntakeReview,
    /// Mark an intake as entered in error.
    IntakeVoid,
    /// Read the flags that intakes raise for staff.
    IntakeFlagRead,
    /// Acknowledge a flag.
    IntakeFlagAcknowledge,
    /// Read when a patient is asked how they are.
    FollowUpRead,
    /// Schedule and cancel follow-ups, and list those of all patients.
    FollowUpManage,
    /// Read clinical data: summaries, the timeline, laboratory results.
    ClinicalRead,
    /// Enter a laboratory result, correct it, mark it as entered in error.
    LabResultWrite,
    /// Read the replaced versions of a laboratory result.
    LabResultHistoryRead,
    /// Close the caller's own account.
    AccountClose,
    /// Invite staff; read and change accounts.
    UserManage,
    /// Create, read, change and revoke machine clients and their secrets.
    ClientManage,
    /// Create, read, change and delete the receivers of events, and send events to them again.
    WebhookManage,
    /// List the outgoing mail, send it again, and make the calls to patients without an address.
    MessageManage,
    /// Read the events of changes.
    EventRead,
    /// Read reports of the clinic's work.
    ReportRead,
    /// Read the audit trail.
    AuditRead,
    /// Read who opened a patient's record.
    AccessLogRead,
}

impl Action {
    /// The table of permissions: how far the action reaches for a patient, the front desk, a practitioner and an administrator.
    #[rustfmt::skip]
    #[expect(clippy::match_same_arms, reason = "a table with a row for each action")]
    fn permissions(self) -> [Reach; 4] {
        use Reach::{Any, None as No, Own};
        match self {
            //                                 patient desk practitioner admin
            Self::PatientCreate              => [Own,  Any,  Any,  Any],
            Self::PatientSearch              => [No,   Any,  Any,  Any],
            Self::PatientRead                => [Own,  Any,  Any,  Any],
            Self::PatientWrite               => [Own,  Any,  Any,  Any],
            // Not practitioners: the visits of the other record would make a care relationship with this one.
            Self::PatientMerge               => [No,   Any,  No,   Any],
            Self::AccessRead                 => [Own,  Any,  Any,  Any],
            Self::AccessGrant                => [No,   Any,  Any,  Any],
            Self::AccessInvite               => [Own,  Any,  Any,  Any],
            Self::AccessEnd                  => [Own,  Any,  Any,  Any],
            // Staff export the record for a patient without an account: an administrator or a practitioner.
            Self::PatientExport              => [Own,  No,   Any,  Any],
            Self::ClinicSetUp                => [No,   No,   No,   Any],
            Self::ResourceRead               => [No,   Any,  Any,  Any],
            Self::PractitionerIdentifierRead => [No,   Any,  Any,  Any],
            Self::AvailabilityRead           => [No,   Any,  Any,  Any],
            Self::AvailabilityWrite          => [No,   No,   Own,  Any],
            // The setting `EXTRA_HOURS_ROLES` says which of them.
            Self::ExtraHoursWrite            => [No,   Any,  Own,  Any],
            // The front desk answers the telephone when a practitioner is ill.
            Self::TimeOffWrite               => [No,   Any,  Own,  Any],
            // Practitioners stand in for each other.
            Self::AgendaRead                 => [No,   Any,  Any,  Any],
            Self::SlotBlock                  => [No,   Any,  Own,  Any],
            Self::SlotHold                   => [Any,  Any,  Any,  Any],
            Self::AppointmentBook            => [Own,  Any,  Any,  Any],
            Self::AppointmentRead            => [Own,  Any,  Any,  Any],
            Self::AppointmentAmend           => [No,   Any,  Any,  Any],
            Self::AppointmentProgress        => [No,   Any,  Any,  Any],
            Self::AppointmentLinkManage      => [No,   Any,  Any,  Any],
            Self::CalendarFeedManage         => [No,   No,   Own,  Any],
            Self::WaitlistUse                => [Own,  Any,  Any,  Any],
            Self::WaitlistOffer              => [No,   Any,  Any,  Any],
            // The front desk and administrators do not need what patients tell their practitioners.
            Self::IntakeWrite                => [Own,  Any,  Any,  Any],
            Self::IntakeRead                 => [Own,  Any,  Any,  Any],
            Self::IntakeList                 => [No,   Any,  Any,  Any],
            Self::IntakeAmend                => [Own,  No,   Any,  No],
            Self::IntakeReview               => [No,   No,   Any,  No],
            Self::IntakeVoid                 => [No,   No,   Any,  No],
            Self::IntakeFlagRead             => [No,   Any,  Any,  Any],
            Self::IntakeFlagAcknowledge      => [No,   No,   Any,  No],
            Self::FollowUpRead               => [Own,  Any,  Any,  Any],
            Self::FollowUpManage             => [No,   Any,  Any,  Any],
            Self::ClinicalRead               => [Own,  No,   Any,  No],
            Self::LabResultWrite             => [No,   Any,  Any,  Any],
            Self::LabResultHistoryRead       => [No,   No,   Any,  No],
            // Administrators disable the accounts of staff.
            Self::AccountClose               => [Own,  No,   No,   No],
            Self::UserManage                 => [No,   No,   No,   Any],
            Self::ClientManage               => [No,   No,   No,   Any],
            Self::WebhookManage              => [No,   No,   No,   Any],
            Self::MessageManage              => [No,   Any,  No,   Any],
            // As the lists of appointments, patients and intakes.
            Self::EventRead                  => [No,   Any,  Any,  Any],
            Self::ReportRead                 => [No,   Any,  No,   Any],
            Self::AuditRead                  => [No,   No,   No,   Any],
            Self::AccessLogRead              => [Own,  No,   No,   Any],
        }
    }

    /// How far the action reaches for a role.
    pub fn reach(self, role: Role) -> Reach {
        let [patient, front_desk, practitioner, admin] = self.permissions();
        match role {
            Role::Patient => patient,
            Role::FrontDesk => front_desk,
            Role::Practitioner => practitioner,
            Role::Admin => admin,
        }
    }

    /// The roles that may do it at all.
    fn roles(self) -> Vec<Role> {
        Role::ALL.iter().copied().filter(|role| self.reach(*role) != Reach::None).collect()
    }
}

/// The error of a request that needs a session and has none.
pub fn no_session() -> Error {
    Error::unauthenticated(
        ProblemCode::Unauthenticated,
        "Sign in, and send the access token as `Authorization: Bearer …`.",
    )
}

impl Actor {
    /// An account that acts without a session: by a link in a mail, or in the demo.
    pub fn without_session(user_id: UserId, role: Role, audit: AuditContext) -> Self {
        let session_id = SessionId(uuid::Uuid::nil());
        Self { user_id, session_id, client_scopes: None, role, practitioner_id: None, access_reason: None, audit }
    }

    /// Whether what this scope permits may be shown: to people always, to a machine client if its access token has the scope.
    pub fn has_scope(&self, scope: Scope) -> bool {
        self.client_scopes.as_ref().is_none_or(|scopes| scopes.contains(scope))
    }

    /// How far the action reaches for this caller.
    pub fn reach(&self, action: Action) -> Reach {
        action.reach(self.role)
    }

    /// How far the action reaches for this caller, who must have the permission.
    ///
    /// # Errors
    /// [`Error::RoleForbidden`] with the roles that have it.
    pub fn require(&self, action: Action) -> Result<Reach> {
        match self.reach(action) {
            Reach::None => Err(Error::RoleForbidden(action.roles())),
            reach => Ok(reach),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roles_of_an_action_are_those_whose_reach_is_not_none() {
        assert_eq!(Action::ClinicSetUp.roles(), [Role::Admin]);
        assert_eq!(Action::AvailabilityWrite.roles(), [Role::Practitioner, Role::Admin]);
        assert_eq!(Action::SlotHold.roles(), Role::ALL);
    }
}
