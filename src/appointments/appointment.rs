//! An appointment as it is stored: its row, and what is shown beside it.

use diesel::prelude::*;
use jiff::SignedDuration;

use super::promise::Promise;
use super::status::{self, AppointmentStep};
use crate::appointment_status::AppointmentStatus;
use crate::clock::Timestamp;
use crate::db::schema::appointments;
use crate::env::Env;
use crate::identifiers::Identifiers;
use crate::ids::{
    AppointmentId, AppointmentSeriesId, IntakeId, LocationId, PatientId, PractitionerId, UserId, VisitTypeId,
};
use crate::intake::flag_ownership::Visit;
use crate::intake::model::IntakeStanding;
use crate::intake::store::Newest;
use crate::patients::care::gives_care;
use crate::patients::model::Patient;
use crate::scheduling::hours::plan::AttentionReason;
use crate::scheduling::setup::location::Location;
use crate::scheduling::setup::practitioner::Practitioner;
use crate::scheduling::setup::visit_type::VisitType;
use crate::scheduling::slots::locking::SlotRange;
use crate::scheduling::slots::units::UsedResources;
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
    /// The start of the practitioner's working time: the visit's start, before it the buffer of the visit type at the booking.
    pub busy_from: Timestamp,
    /// The end of the practitioner's working time: the visit's end, after it the buffer of the visit type at the booking.
    pub busy_until: Timestamp,
    /// Whether staff placed it into the time of another visit, and it still shares that time.
    pub overbooked: bool,
    /// The units of resources that it takes.
    pub resources: UsedResources,
    /// The time at which it was confirmed; none unless it was since it was booked or moved.
    pub confirmed_at: Option<Timestamp>,
    /// Whether it was cancelled late ([`status::is_late_cancellation`]).
    pub late_cancelled: bool,
    /// The notice for cancelling or moving it online: that of its visit type when it was booked or last moved.
    pub cancel_notice_minutes: i32,
    /// The local time that the patient was told.
    #[diesel(embed)]
    pub promise: Promise,
}

impl Appointment {
    /// Whether it takes units of resources.
    pub fn has_units(&self) -> bool {
        !self.resources.0.is_empty()
    }

    /// The range of its slots.
    pub fn slot_range(&self) -> SlotRange {
        SlotRange { practitioner_id: self.practitioner_id, from: self.busy_from, to: self.busy_until }
    }

    /// The objects of the clinic's set-up that it refers to.
    pub fn refers_to(&self) -> (PractitionerId, LocationId, VisitTypeId) {
        (self.practitioner_id, self.location_id, self.visit_type_id)
    }

    /// The time until which patients may cancel or move it online. A later change of the visit type's notice does not change it, because the
    /// patient was told this time.
    pub fn cancel_until(&self) -> Timestamp {
        self.starts_at.minus(SignedDuration::from_mins(self.cancel_notice_minutes.into()))
    }

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
    /// The series that it belongs to.
    pub series_id: Option<AppointmentSeriesId>,
}

impl AppointmentDetails {
    /// Why staff must act, and since when. It is booked, and its start does not show the promised local time; or it is booked or checked in,
    /// and the practitioner's hours do not cover it. The former counts first, because a move to the promised time may end the latter.
    pub fn attention(&self) -> Option<(AttentionReason, Timestamp)> {
        let status = self.appointment.status;
        let promised = self.appointment.promise.zone_changed_since.filter(|_| status == AppointmentStatus::Booked);
        let uncovered = self.off_plan.zip(self.off_plan_since).filter(|_| status.is_live());
        promised.map(|since| (AttentionReason::ZoneChanged, since)).or(uncovered)
    }

    /// The last instant at which patients may take a step online, if its status allows it.
    pub fn patients_may_until(&self, step: AppointmentStep) -> Option<Timestamp> {
        status::patients_may_until(self.appointment.status, step, self.appointment.cancel_until())
    }

    /// The intake that counts for it, and its status.
    pub fn intake(&self, env: &Env) -> (Option<IntakeId>, IntakeStanding) {
        Newest::standing(self.newest_intake, (self.appointment.starts_at, self.appointment.ends_at), env)
    }
}
