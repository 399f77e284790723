//! Telling the patient of a change, by mail or through a call from the desk.

use super::code::ConfirmationCode;
use super::links;
use super::store::Appointment;
use crate::db::Conn;
use crate::env::Env;
use crate::error::Result;
use crate::intake;
use crate::intake::model::IntakeStanding;
use crate::messages::model::{AppointmentMail, Envelope, Mail};
use crate::messages::{self, outbox};
use crate::patients;
use crate::patients::model::Patient;
use crate::patients::recipients::Told;
use crate::scheduling;

/// What there is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// A new appointment.
    Booked,
    /// Another time, doctor or location.
    Moved,
    /// It will not take place.
    Cancelled,
}

/// Writes the messages into the outbox. Calls about how the appointment stood before need not be made any more.
///
/// # Errors
/// The database's.
pub fn send(tx: &mut Conn, env: &Env, notice: Notice, appointment: &Appointment, patient: &Patient) -> Result<()> {
    if notice != Notice::Booked {
        messages::store::supersede_calls(tx, appointment.id, env.now())?;
    }
    let mut content = content(tx, appointment)?;
    if notice == Notice::Booked {
        content.forms_due = forms_due(tx, env, appointment)?;
    }
    for Told { recipient, account } in patients::recipients::of(tx, env, patient)? {
        let mut content = content.clone();
        if recipient.name != Some(patient.display_name()) {
            content.patient = Some(patient.first_name().to_owned());
        }
        // What is read out on the phone has no link, and after a cancellation there is nothing to look up.
        if recipient.email.is_some() && notice != Notice::Cancelled {
            content.token = Some(links::issue(tx, env, appointment.id, account)?);
        }
        let mail = match notice {
            Notice::Booked => Mail::AppointmentBooked(content),
            Notice::Moved => Mail::AppointmentMoved(content),
            Notice::Cancelled => Mail::AppointmentCancelled(content),
        };
        let envelope = Envelope { recipient, patient_id: Some(patient.id), appointment_id: Some(appointment.id), mail };
        outbox::enqueue(tx, env, &envelope)?;
    }
    Ok(())
}

/// The appointment as mails and calendars show it. It says nothing about health.
///
/// # Errors
/// The database's.
pub fn content(tx: &mut Conn, appointment: &Appointment) -> Result<AppointmentMail> {
    let location = scheduling::store::location(tx, appointment.location_id)?;
    let practitioner = scheduling::store::practitioner(tx, appointment.practitioner_id)?;
    let visit_type = scheduling::store::visit_type(tx, appointment.visit_type_id)?;
    Ok(AppointmentMail {
        appointment_id: appointment.id,
        sequence: appointment.sequence,
        starts_at: appointment.starts_at,
        ends_at: appointment.ends_at,
        time_zone: location.time_zone,
        visit: visit_type.public_name,
        practitioner: practitioner.name,
        location: location.name,
        address: location.address,
        phone: location.phone,
        confirmation_code: ConfirmationCode::stored(appointment.confirmation_code.clone()).to_string(),
        patient: None,
        token: None,
        forms_due: false,
    })
}

/// Whether the patient has still to submit an intake for the visit.
fn forms_due(tx: &mut Conn, env: &Env, appointment: &Appointment) -> Result<bool> {
    let visit = (appointment.patient_id, appointment.starts_at, appointment.ends_at);
    let standings = intake::store::standings(tx, env, &[visit])?;
    Ok(standings.iter().any(|(_, standing)| matches!(standing, IntakeStanding::Missing | IntakeStanding::InProgress)))
}
