//! Telling the patient of a change, by mail or through a call from the desk.

use super::code::ConfirmationCode;
use super::links;
use super::store::Shown;
use crate::db::Conn;
use crate::env::Env;
use crate::error::Result;
use crate::intake::model::IntakeStanding;
use crate::messages::model::{AppointmentMail, Envelope, Mail};
use crate::messages::{self, outbox};
use crate::patients;
use crate::patients::recipients::Told;

/// What there is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// A new appointment.
    Booked,
    /// Another time, doctor or location.
    Moved,
    /// It will not take place.
    Cancelled {
        /// Whether the patient, or an account or link that stands for them, cancelled it.
        by_patient: bool,
    },
}

/// Writes the messages into the outbox. What the desk was still to tell of how the appointment stood before need not be told.
///
/// # Errors
/// The database's.
pub fn send(tx: &mut Conn, env: &Env, notice: Notice, shown: &Shown) -> Result<()> {
    let (appointment, patient) = (&shown.appointment, &shown.patient);
    if notice != Notice::Booked {
        messages::store::supersede(tx, appointment.id, env.now())?;
    }
    // Whether the patient has still to submit an intake for the visit.
    let forms_due = matches!(shown.intake(env).1, IntakeStanding::Missing | IntakeStanding::InProgress);
    let content = AppointmentMail {
        forms_due: forms_due && notice == Notice::Booked,
        cancelled_by_patient: notice == Notice::Cancelled { by_patient: true },
        ..content(shown)
    };
    for Told { recipient, account, .. } in patients::recipients::of(tx, env, patient)? {
        let mut content = content.clone();
        if recipient.name != Some(patient.display_name()) {
            content.patient = Some(patient.first_name().to_owned());
        }
        // What is read out on the phone has no link, and after a cancellation there is nothing to look up.
        if recipient.email.is_some() && !matches!(notice, Notice::Cancelled { .. }) {
            content.token = Some(links::issue(tx, env, appointment.id, account)?);
        }
        let mail = match notice {
            Notice::Booked => Mail::AppointmentBooked(content),
            Notice::Moved => Mail::AppointmentMoved(content),
            Notice::Cancelled { .. } => Mail::AppointmentCancelled(content),
        };
        let envelope = Envelope { recipient, patient_id: Some(patient.id), appointment_id: Some(appointment.id), mail };
        outbox::enqueue(tx, env, &envelope)?;
    }
    Ok(())
}

/// The appointment as mails and calendars show it. It says nothing about health.
pub fn content(shown: &Shown) -> AppointmentMail {
    let Shown { appointment, location, practitioner, visit_type, .. } = shown;
    AppointmentMail {
        appointment_id: appointment.id,
        sequence: appointment.sequence,
        starts_at: appointment.starts_at,
        ends_at: appointment.ends_at,
        time_zone: location.time_zone.clone(),
        visit: visit_type.public_name.clone(),
        practitioner: practitioner.name.clone(),
        location: location.name.clone(),
        address: location.address.clone(),
        phone: location.phone.clone(),
        confirmation_code: ConfirmationCode::stored(appointment.confirmation_code.clone()).to_string(),
        patient: None,
        token: None,
        forms_due: false,
        cancelled_by_patient: false,
        country: Some(location.country.clone()),
    }
}
