//! Notifying the patient of a change, by mail or by a call from the desk.

use super::appointment::AppointmentDetails;
use super::code::ConfirmationCode;
use super::link_tokens::{self, LinkPurpose};
use crate::accounts::model::User;
use crate::context::{Principal, Tx};
use crate::error::{Check, FieldCode, Result};
use crate::intake::model::IntakeStanding;
use crate::messages::model::{AppointmentMail, Envelope, Mail};
use crate::messages::{self, outbox, refusals};
use crate::patients;
use crate::patients::access::Access;
use crate::patients::recipients::PatientRecipient;
use text::Language;

/// What the patient is notified of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notification {
    /// A new appointment.
    Booked,
    /// Its earlier links were revoked.
    LinksRenewed,
    /// Another time, practitioner or location.
    Moved,
    /// The same local time at another instant, because the law of the time zone changed.
    ZoneChanged,
    /// The appointment will not take place.
    Cancelled {
        /// Whether the patient cancelled it, or an account or link that acts for the patient.
        by_patient: bool,
    },
}

/// Requires that only staff say that the patient has been informed.
pub fn check_informed(is_informed: bool, by_staff: bool, check: &mut Check) {
    check_staff_only("/patient_informed", is_informed, by_staff, check);
}

/// Requires that only staff set the member at `pointer`.
pub fn check_staff_only(pointer: &str, is_set: bool, by_staff: bool, check: &mut Check) {
    let detail = "only the clinic's staff may set this";
    check.require(by_staff || !is_set, pointer, FieldCode::ForbiddenField, detail);
}

/// Enqueues the messages about a change. They replace those that the desk has not delivered yet. `accounts` are those with access to
/// the patient ([`patients::access::of_patient`]). A patient who has been informed gets mails, but no call.
pub fn send(
    tx: &mut Tx<impl Principal>,
    notification: Notification,
    found: &AppointmentDetails,
    accounts: Vec<(Access, User)>,
    is_informed: bool,
) -> Result<()> {
    let (appointment, patient) = (&found.appointment, &found.patient);
    if notification != Notification::Booked {
        messages::outbox::supersede(tx.conn, appointment.id, tx.now)?;
    }
    let is_cancelled = matches!(notification, Notification::Cancelled { .. });
    let content = AppointmentMail {
        cancel_until: Some(appointment.cancel_until()).filter(|until| *until >= tx.now),
        forms_due: !is_cancelled && are_forms_due(tx, found),
        zone_changed: notification == Notification::ZoneChanged,
        cancelled_by_patient: notification == Notification::Cancelled { by_patient: true },
        ..content(found, Language::English)
    };
    let mut told = patients::recipients::of(tx.conn, tx.env, patient, accounts)?;
    if is_informed {
        // A mail to a refused address would become a call.
        let mut mailed = Vec::with_capacity(told.len());
        for one in told {
            if refusals::accept_any(tx.conn, tx.env, one.recipient.email.as_deref())? {
                mailed.push(one);
            }
        }
        told = mailed;
    }
    let kind = match notification {
        Notification::Booked | Notification::LinksRenewed => Mail::AppointmentBooked,
        Notification::Moved | Notification::ZoneChanged => Mail::AppointmentMoved,
        Notification::Cancelled { .. } => Mail::AppointmentCancelled,
    };
    // Of a cancelled visit there is nothing to look up.
    let links: &[LinkPurpose] = if is_cancelled { &[] } else { &[LinkPurpose::Visit] };
    enqueue(tx, found, told, &content, kind, links)
}

/// Enqueues a reminder, and of the forms that are still missing. A mail has a link that switches reminders off.
pub fn remind(tx: &mut Tx<impl Principal>, found: &AppointmentDetails, told: Vec<PatientRecipient>) -> Result<()> {
    let content = AppointmentMail {
        cancel_until: Some(found.appointment.cancel_until()).filter(|until| *until >= tx.now),
        forms_due: are_forms_due(tx, found),
        ..content(found, Language::English)
    };
    enqueue(tx, found, told, &content, Mail::AppointmentReminder, &[LinkPurpose::Visit, LinkPurpose::Reminders])
}

/// Whether the patient still has to submit an intake for the visit.
fn are_forms_due(tx: &Tx<impl Principal>, found: &AppointmentDetails) -> bool {
    matches!(found.intake(tx.env).1, IntakeStanding::Missing | IntakeStanding::InProgress)
}

/// Enqueues a message to each recipient, in the recipient's language. A mail gets these links.
fn enqueue(
    tx: &mut Tx<impl Principal>,
    found: &AppointmentDetails,
    told: Vec<PatientRecipient>,
    content: &AppointmentMail,
    kind: fn(AppointmentMail) -> Mail,
    links: &[LinkPurpose],
) -> Result<()> {
    let (appointment, patient) = (&found.appointment, &found.patient);
    for PatientRecipient { recipient, account, has_account, .. } in told {
        let mut content = AppointmentMail { forms_online: has_account, ..content.clone() };
        found.visit_type.public_name_in(Language::of_tag(&recipient.language)).clone_into(&mut content.visit);
        if recipient.name != Some(patient.display_name()) {
            content.patient = Some(patient.first_name().to_owned());
        }
        if let Some(email) = &recipient.email {
            for purpose in links {
                let token = Some(link_tokens::issue(tx, *purpose, appointment.id, account, email)?);
                match purpose {
                    LinkPurpose::Visit => content.token = token,
                    LinkPurpose::Reminders => content.unsubscribe = token,
                }
            }
        }
        let mail = kind(content);
        let envelope = Envelope { recipient, patient_id: Some(patient.id), appointment_id: Some(appointment.id), mail };
        outbox::enqueue(tx.conn, tx.env, &envelope)?;
    }
    Ok(())
}

/// The appointment as mails and calendars in a language show it. It says nothing about health.
pub fn content(found: &AppointmentDetails, language: Language) -> AppointmentMail {
    let AppointmentDetails { appointment, location, practitioner, visit_type, .. } = found;
    AppointmentMail {
        appointment_id: appointment.id,
        sequence: appointment.sequence,
        starts_at: appointment.starts_at,
        ends_at: appointment.ends_at,
        time_zone: location.time_zone.clone(),
        visit: visit_type.public_name_in(language).to_owned(),
        practitioner: practitioner.name.clone(),
        location: location.name.clone(),
        address: location.address.clone(),
        phone: location.phone.clone(),
        confirmation_code: ConfirmationCode::stored(appointment.confirmation_code.clone()).to_string(),
        patient: None,
        token: None,
        cancel_until: None,
        forms_due: false,
        forms_online: false,
        cancelled_by_patient: false,
        zone_changed: false,
        unsubscribe: None,
        country: Some(location.country.clone()),
    }
}
