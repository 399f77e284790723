//! An appointment as it is stored: its row, what is shown beside it, and how both are written.

use diesel::prelude::*;

use super::history::{self, Change};
use super::status::AppointmentStep;
use crate::appointment_status::AppointmentStatus;
use crate::clock::Timestamp;
use crate::context::{Principal, Tx};
use crate::db::per_backend;
use crate::db::schema::appointments;
use crate::db::update::update as update_row;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::identifiers::{self, Identifiers};
use crate::ids::{AppointmentId, IntakeId, LocationId, PatientId, PractitionerId, UserId, VisitTypeId};
use crate::intake::flag_ownership::Visit;
use crate::intake::model::IntakeStanding;
use crate::intake::store::Newest;
use crate::patients::care::gives_care;
use crate::patients::model::Patient;
use crate::scheduling::hours::plan::AttentionReason;
use crate::scheduling::setup::location::Location;
use crate::scheduling::setup::practitioner::Practitioner;
use crate::scheduling::setup::visit_type::VisitType;
use crate::sealed::{Place, Sealed};

/// An appointment's row.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = appointments)]
pub struct Appointment {
    /// The appointment; also the UID of its calendar entry, which never changes.
    pub id: AppointmentId,
    pub patient_id: PatientId,
    pub practitioner_id: PractitionerId,
    pub location_id: LocationId,
    /// The kind of visit.
    pub visit_type_id: VisitTypeId,
    /// The start of the visit.
    pub starts_at: Timestamp,
    /// The end of the visit.
    pub ends_at: Timestamp,
    pub status: AppointmentStatus,
    /// The confirmation code, without its hyphen.
    pub confirmation_code: String,
    /// Grows with every change that calendars must show (RFC 5545 `SEQUENCE`).
    pub sequence: i32,
    /// The note of the patient or the desk.
    pub note: Option<Sealed<String>>,
    /// The identifiers that other systems use for it.
    pub identifiers: Identifiers,
    /// The account that booked.
    pub booked_by: Option<UserId>,
    /// The version of the row.
    pub version: i32,
    /// The time of the booking.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// Whether it was placed alone ([`crate::patients::care::is_placed_alone`]).
    pub self_placed: bool,
}

impl Appointment {
    /// The part of it that decides who owns the patient's flags.
    pub fn visit(&self) -> Visit {
        Visit {
            id: self.id,
            patient_id: self.patient_id,
            practitioner_id: self.practitioner_id,
            gives_care: gives_care(self.status, self.self_placed),
        }
    }
}

impl std::fmt::Debug for Appointment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Appointment({})", self.id)
    }
}

/// The place of an appointment's sealed note.
pub fn note_place(id: AppointmentId) -> Place {
    Place::new("appointments", "note", id.0)
}

/// An appointment with what is shown beside it.
#[derive(Clone, Queryable)]
pub struct AppointmentDetails {
    pub appointment: Appointment,
    pub location: Location,
    pub practitioner: Practitioner,
    pub visit_type: VisitType,
    pub patient: Patient,
    /// Why the practitioner's hours do not cover it; none if they do.
    pub off_plan: Option<AttentionReason>,
    /// Since when they do not.
    pub off_plan_since: Option<Timestamp>,
    /// The patient's newest intake from before its end.
    pub(super) newest_intake: Option<Newest>,
}

impl AppointmentDetails {
    /// Why staff must call the patient, and since when: it is booked, but the practitioner's hours do not cover it.
    pub fn attention(&self) -> Option<(AttentionReason, Timestamp)> {
        let is_booked = self.appointment.status == AppointmentStatus::Booked;
        self.off_plan.zip(self.off_plan_since).filter(|_| is_booked)
    }

    /// The intake that counts for it, and its status.
    pub fn intake(&self, env: &Env) -> (Option<IntakeId>, IntakeStanding) {
        Newest::standing(self.newest_intake, (self.appointment.starts_at, self.appointment.ends_at), env)
    }
}

/// Stores a new appointment and the first entry of its history.
///
/// # Errors
/// A conflict if another appointment has its time, code or identifier.
pub fn insert(tx: &mut Tx<impl Principal>, new: &Appointment) -> Result<()> {
    use appointments::dsl;
    per_backend!(tx.conn, conn => diesel::insert_into(appointments::table)
        .values((
            (
                dsl::id.eq(new.id),
                dsl::patient_id.eq(new.patient_id),
                dsl::practitioner_id.eq(new.practitioner_id),
                dsl::location_id.eq(new.location_id),
                dsl::visit_type_id.eq(new.visit_type_id),
                dsl::starts_at.eq(new.starts_at),
                dsl::ends_at.eq(new.ends_at),
                dsl::status.eq(new.status),
            ),
            (
                dsl::confirmation_code.eq(&new.confirmation_code),
                dsl::sequence.eq(new.sequence),
                dsl::note.eq(&new.note),
                dsl::identifiers.eq(&new.identifiers),
                dsl::booked_by.eq(new.booked_by),
                dsl::version.eq(new.version),
                dsl::created_at.eq(new.created_at),
                dsl::updated_at.eq(new.updated_at),
                dsl::self_placed.eq(new.self_placed),
            ),
        ))
        .execute(conn))?;
    if !new.identifiers.0.is_empty() {
        identifiers::set_for_appointment(tx.conn, new.id, &new.identifiers)?;
    }
    tx.audit.note_object(new.id.0);
    history::append(tx, Change { step: AppointmentStep::Book, from: None, reason: None }, new)
}

/// Stores a changed appointment as its next version, and an entry of its history.
///
/// # Errors
/// A conflict if another appointment has its time; [`Error::Retry`] if it was not locked and has changed.
pub fn update(tx: &mut Tx<impl Principal>, change: Change<'_>, changed: Appointment) -> Result<Appointment> {
    use appointments::dsl;
    let next = Appointment { version: changed.version + 1, updated_at: tx.now, ..changed };
    let rows = per_backend!(tx.conn, conn => {
        let unchanged = dsl::id.eq(next.id).and(dsl::version.eq(changed.version));
        let columns = (
            dsl::practitioner_id.eq(next.practitioner_id),
            dsl::location_id.eq(next.location_id),
            dsl::starts_at.eq(next.starts_at),
            dsl::ends_at.eq(next.ends_at),
            dsl::status.eq(next.status),
            dsl::sequence.eq(next.sequence),
            dsl::note.eq(&next.note),
            dsl::identifiers.eq(&next.identifiers),
            dsl::self_placed.eq(next.self_placed),
            dsl::version.eq(next.version),
            dsl::updated_at.eq(next.updated_at),
        );
        update_row(appointments::table, unchanged, columns).execute(conn)
    })?;
    if rows != 1 {
        return Err(Error::Retry);
    }
    history::append(tx, change, &next)?;
    Ok(next)
}
