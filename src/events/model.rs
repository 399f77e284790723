//! An event as it is stored and as callers see it.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::db::schema::events;
use crate::db::types::text_enum;
use crate::ids::{LocationId, ObjectId, PatientId, PractitionerId};

text_enum! {
    /// What happened to what. Later versions of the service add types; ignore those that you do not know.
    EventType {
        /// An appointment was booked.
        AppointmentBooked = "appointment.booked",
        /// An appointment was moved to another time, practitioner or location.
        AppointmentRescheduled = "appointment.rescheduled",
        /// An appointment was cancelled.
        AppointmentCancelled = "appointment.cancelled",
        /// The patient of an appointment came.
        AppointmentCheckedIn = "appointment.checked_in",
        /// The visit of an appointment took place.
        AppointmentCompleted = "appointment.completed",
        /// The patient of an appointment did not come.
        AppointmentNoShow = "appointment.no_show",
        /// A step of an appointment was undone, so it is booked again.
        AppointmentReopened = "appointment.reopened",
        /// Something else of an appointment was changed.
        AppointmentUpdated = "appointment.updated",
        /// An appointment was deleted with the patient's record.
        AppointmentDeleted = "appointment.deleted",
        /// A patient began to wait for a kind of visit.
        WaitlistEntryCreated = "waitlist_entry.created",
        /// An entry of the waitlist was changed.
        WaitlistEntryUpdated = "waitlist_entry.updated",
        /// A patient does not wait any more.
        WaitlistEntryEnded = "waitlist_entry.ended",
        /// An entry of the waitlist was deleted with the patient's record.
        WaitlistEntryDeleted = "waitlist_entry.deleted",
        /// A patient who waits was offered a time.
        WaitlistOfferCreated = "waitlist_offer.created",
        /// A patient took an offered time.
        WaitlistOfferClaimed = "waitlist_offer.claimed",
        /// A patient declined an offered time.
        WaitlistOfferDeclined = "waitlist_offer.declined",
        /// A patient did not answer an offer in time.
        WaitlistOfferLapsed = "waitlist_offer.lapsed",
        /// An offer was taken back.
        WaitlistOfferWithdrawn = "waitlist_offer.withdrawn",
        /// An offer was deleted with the patient's record.
        WaitlistOfferDeleted = "waitlist_offer.deleted",
        /// A patient's record was created.
        PatientCreated = "patient.created",
        /// A patient's record was changed.
        PatientUpdated = "patient.updated",
        /// A patient's record was merged into another one, its `replaced_by`. All that belonged to it belongs to that record, without an
        /// event for each object.
        PatientMerged = "patient.merged",
        /// A merge was undone: the record is in use again, with what belonged to it.
        PatientMergeUndone = "patient.merge_undone",
        /// A patient's record was retired, because it was made by mistake.
        PatientRetired = "patient.retired",
        /// A patient's record that was retired is in use again.
        PatientRetirementUndone = "patient.retirement_undone",
        /// A patient's record was deleted.
        PatientDeleted = "patient.deleted",
        /// An intake was begun.
        IntakeStarted = "intake.started",
        /// An intake was submitted.
        IntakeSubmitted = "intake.submitted",
        /// A submitted intake was corrected.
        IntakeAmended = "intake.amended",
        /// A practitioner reviewed an intake.
        IntakeReviewed = "intake.reviewed",
        /// An intake was marked as entered in error.
        IntakeVoided = "intake.voided",
        /// The draft of an intake was discarded, or an intake was deleted with the patient's record.
        IntakeDeleted = "intake.deleted",
        /// A practitioner's weekly hours were replaced.
        AvailabilityUpdated = "availability.updated",
        /// Time off or extra hours of a practitioner were added.
        ExceptionCreated = "exception.created",
        /// Time off or extra hours have another start and end, because the time zone of their location was corrected.
        ExceptionUpdated = "exception.updated",
        /// Time off or extra hours of a practitioner were deleted.
        ExceptionDeleted = "exception.deleted",
        /// A location will be closed for a time.
        ClosureCreated = "closure.created",
        /// A closure has another name, or another start and end, because the time zone of its location was corrected.
        ClosureUpdated = "closure.updated",
        /// A location will not be closed for a time.
        ClosureDeleted = "closure.deleted",
    }
}

text_enum! {
    /// A kind of object that events are about.
    EventSubject {
        /// `GET /v1/appointments/{id}`.
        Appointment = "appointment",
        /// `GET /v1/patients/{id}`.
        Patient = "patient",
        /// `GET /v1/intakes/{id}`.
        Intake = "intake",
        /// `GET /v1/waitlist-entries/{id}`.
        WaitlistEntry = "waitlist_entry",
        /// `GET /v1/waitlist-offers/{id}`.
        WaitlistOffer = "waitlist_offer",
        /// `GET /v1/practitioners/{id}/availability`, with the id of the practitioner.
        Availability = "availability",
        /// `GET /v1/exceptions/{id}`.
        Exception = "exception",
        /// `GET /v1/closures/{id}`.
        Closure = "closure",
    }
}

/// A numbered row.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = events)]
pub struct Row {
    #[diesel(select_expression = events::seq.assume_not_null())]
    pub seq: i64,
    // As text, because an older instance may still run beside one that knows more.
    kind: String,
    subject_type: String,
    subject_id: ObjectId,
    subject_version: Option<i32>,
    pub patient_id: Option<PatientId>,
    practitioner_id: Option<PractitionerId>,
    location_id: Option<LocationId>,
    #[diesel(select_expression = events::occurred_at.assume_not_null())]
    occurred_at: Timestamp,
}

impl Row {
    /// Returns whether the event has one of these types. An empty list means all types.
    pub fn has_type(&self, types: &[EventType]) -> bool {
        types.is_empty() || types.iter().any(|wanted| wanted.as_str() == self.kind)
    }
}

/// A change of an object: ids and routing facts, no data of the object. Read the object for its current state.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "seq": 4711, "type": "appointment.booked", "subject_type": "appointment",
    "subject_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "subject_version": 1,
    "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001", "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002",
    "location_id": "0199d0c2-1f00-7aaa-8000-000000000003", "occurred_at": "2026-03-02T14:00:00Z"
}))]
pub struct Event {
    /// The number: 1, 2, 3 … without a gap. Events of one object have the order of its changes.
    #[schema(minimum = 1)]
    pub seq: i64,
    /// What happened.
    #[serde(rename = "type")]
    #[schema(value_type = EventType)]
    pub kind: String,
    /// The kind of the object.
    #[schema(value_type = EventSubject)]
    pub subject_type: String,
    /// The object.
    pub subject_id: ObjectId,
    /// The object's version after the change, as in its `ETag`. Null for a deletion.
    pub subject_version: Option<i32>,
    /// The patient. Null for changed hours.
    pub patient_id: Option<PatientId>,
    /// The practitioner after the change. Null for patients, intakes and closures.
    pub practitioner_id: Option<PractitionerId>,
    /// The location after the change. Null for patients, intakes, weekly hours, and exceptions at all locations.
    pub location_id: Option<LocationId>,
    /// The time of the change.
    pub occurred_at: Timestamp,
}

impl From<Row> for Event {
    fn from(row: Row) -> Self {
        Self {
            seq: row.seq,
            kind: row.kind,
            subject_type: row.subject_type,
            subject_id: row.subject_id,
            subject_version: row.subject_version,
            patient_id: row.patient_id,
            practitioner_id: row.practitioner_id,
            location_id: row.location_id,
            occurred_at: row.occurred_at,
        }
    }
}
