//! An appointment as callers see it. None of the types has `Debug`, because they hold patients' data.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::appointment::{AppointmentDetails, note_place};
use super::code::ConfirmationCode;
use super::promise::PromisedTime;
use super::series::gaps::{self, AppointmentWarning};
use super::status::AppointmentStep;
use crate::appointment_status::AppointmentStatus;
use crate::clock::Timestamp;
use crate::context::{Principal, Tx};
use crate::db::types::Date;
use crate::error::Result;
use crate::http::response::Versioned;
use crate::identifiers::{Identifier, Identifiers};
use crate::ids::{
    AppointmentId, AppointmentSeriesId, IntakeId, LocationId, PatientId, PractitionerId, ResourceId, VisitTypeId,
};
use crate::intake::model::IntakeStanding;
use crate::scheduling::hours::plan::AttentionReason;

/// An appointment (FHIR `Appointment`).
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Appointment, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55",
    "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001",
    "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002",
    "location_id": "0199d0c2-1f00-7aaa-8000-000000000003",
    "visit_type_id": "0199d0c2-1f00-7aaa-8000-000000000004",
    "starts_at": "2026-03-09T13:30:00Z", "ends_at": "2026-03-09T14:30:00Z", "time_zone": "America/New_York",
    "promised": {"local": "2026-03-09T09:30:00", "time_zone": "America/New_York", "zone_data": "2026a"},
    "status": "booked", "series_id": null, "confirmation_code": "K7MP-3XWD", "sequence": 0, "note": "I come with a walker.",
    "identifiers": [{"system": "https://ehr.example/visits", "value": "V-2291"}], "intake_id": null, "intake_status": "missing", "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z",
    "cancellable_until": "2026-03-08T13:30:00Z", "changeable_until": "2026-03-08T13:30:00Z", "confirmed_at": null
}))]
pub struct AppointmentView {
    /// The appointment; also the UID of its calendar entry, which stays when it moves.
    pub id: AppointmentId,
    /// The patient.
    pub patient_id: PatientId,
    /// The practitioner.
    pub practitioner_id: PractitionerId,
    /// The location.
    pub location_id: LocationId,
    /// The kind of visit.
    pub visit_type_id: VisitTypeId,
    /// The start of the visit.
    pub starts_at: Timestamp,
    /// The end of the visit.
    pub ends_at: Timestamp,
    /// The location's IANA time zone.
    #[schema(examples("America/New_York"))]
    pub time_zone: String,
    /// The local time that the patient was told. If the law of the time zone changes, `starts_at` may show another one until staff
    /// decide (`attention`). Absent in an appointment from before this member existed, until the server has filled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub promised: Option<PromisedTime>,
    /// The series that it was booked with; null if none.
    #[serde(default)]
    pub series_id: Option<AppointmentSeriesId>,
    /// The status. The codes are those of FHIR `AppointmentStatus`, so some have a hyphen.
    pub status: AppointmentStatus,
    /// The code to give on the telephone.
    #[schema(examples("K7MP-3XWD"))]
    pub confirmation_code: String,
    /// Grows with every change that calendars must show (RFC 5545 `SEQUENCE`).
    #[schema(minimum = 0)]
    pub sequence: i32,
    /// The note of the patient or the desk. The patient sees it as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub note: Option<String>,
    /// The identifiers that other systems use for it.
    #[schema(value_type = Vec<Identifier>)]
    pub identifiers: Identifiers,
    /// The newest intake from before the visit that still counts for it; null if there is none.
    pub intake_id: Option<IntakeId>,
    /// The status of that intake.
    pub intake_status: IntakeStanding,
    /// The last instant at which patients, and the accounts and links that act for them, may cancel it online: the
    /// `cancel_notice_minutes` that the visit type had at the booking or the last move, before the start, also if that is over. Later they
    /// call the clinic. Staff have no such limit. Null if its status does not let patients cancel it.
    pub cancellable_until: Option<Timestamp>,
    /// The last instant at which patients, and the accounts and links that act for them, may move it online. Today the same as
    /// `cancellable_until`, with the same rules. Null if its status does not let patients move it.
    pub changeable_until: Option<Timestamp>,
    /// The time at which it was confirmed: by the patient, by an account or link that acts for the patient, or by staff after a call; the
    /// history says by which. Null if it is not confirmed. A move clears it, because the patient has not confirmed the new time.
    pub confirmed_at: Option<Timestamp>,
    /// The time of the booking.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// Why staff must act. The appointment is booked, and the law of the time zone, or the location's time zone, changed: call the patient.
    /// Or it is booked or checked in, and the practitioner's hours do not cover it: call the patient, or find the patient who waits
    /// another time. Staff only. Ends when the appointment is moved, completed or cancelled. It follows the practitioner's hours and the
    /// data of time zones, so neither the ETag nor `updated_at` changes with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub attention: Option<AppointmentAttention>,
    /// The start of the practitioner's working time for the visit: the visit's start, before it the visit type's buffer. Staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub busy_from: Option<Timestamp>,
    /// The end of the practitioner's working time for the visit: the visit's end, after it the visit type's buffer. Staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub busy_until: Option<Timestamp>,
    /// Whether it shares the time of another visit, into which staff placed it; the reason is in the history. False again when it was moved
    /// to a free time, or the other visit was cancelled or moved. Of visits that still share a time, all but the one booked first keep it.
    /// Staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub overbooked: Option<bool>,
    /// The rooms and devices that the visit has; absent if it needs none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<AppointmentResource>,
    /// A summary of the patient. Staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub patient: Option<AppointmentPatient>,
    /// The gaps that its series does not keep any more. Only in the response to a move or a cancellation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<AppointmentWarning>,
}

/// Why an appointment needs attention.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"reason": "time_off", "since": "2026-03-02T14:00:00Z"}))]
pub struct AppointmentAttention {
    /// The reason.
    pub reason: AttentionReason,
    /// The time since which it needs attention.
    pub since: Timestamp,
}

/// A room or device that an appointment has.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"resource_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c04", "name": "Infusion chair", "unit": 2}))]
pub struct AppointmentResource {
    /// The resource.
    pub resource_id: ResourceId,
    /// Its name when the time was booked.
    pub name: String,
    /// The number of the unit at the location. Staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub unit: Option<i32>,
}

/// The patient of an appointment, as staff see it in a list.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-1f00-7aaa-8000-000000000001", "display_name": "Ann Example", "date_of_birth": "1967-09-14",
    "mrn": "LW-001001", "phone": "+12125550100", "preferred_language": "en", "interpreter_needed": false
}))]
pub struct AppointmentPatient {
    /// The patient.
    pub id: PatientId,
    /// The name to address the patient by.
    pub display_name: String,
    /// The date of birth.
    pub date_of_birth: Date,
    /// The medical record number.
    pub mrn: String,
    /// The telephone number in E.164; null if there is none.
    pub phone: Option<String>,
    /// The language, a BCP 47 tag.
    pub preferred_language: String,
    /// Whether an interpreter is needed.
    pub interpreter_needed: bool,
}

impl AppointmentView {
    /// Whether it is still to take place, or takes place now.
    pub fn is_to_come(&self, now: Timestamp) -> bool {
        self.status == AppointmentStatus::CheckedIn || (self.status.is_live() && self.ends_at > now)
    }

    /// The appointment as the actor may see it. Notes the patient for the audit event.
    pub fn new(tx: &Tx, found: AppointmentDetails) -> Result<Self> {
        tx.audit.note_shown([found.patient.id]);
        let is_staff = tx.actor.is_staff();
        let attention = found.attention().filter(|_| is_staff);
        let (intake_id, intake_status) = found.intake(tx.env);
        let until = |step| found.patients_may_until(step);
        let (cancellable_until, changeable_until) =
            (until(AppointmentStep::Cancel), until(AppointmentStep::Reschedule));
        let AppointmentDetails { appointment, location, patient, series_id, .. } = found;
        let note = appointment.note.as_ref().map(|note| tx.env.sealer.open(note_place(appointment.id), note));
        let patient = is_staff.then(|| AppointmentPatient {
            id: patient.id,
            display_name: patient.display_name(),
            date_of_birth: patient.date_of_birth,
            mrn: patient.mrn,
            phone: patient.phone,
            preferred_language: patient.preferred_language,
            interpreter_needed: patient.interpreter_needed,
        });
        Ok(Self {
            id: appointment.id,
            patient_id: appointment.patient_id,
            practitioner_id: appointment.practitioner_id,
            location_id: appointment.location_id,
            visit_type_id: appointment.visit_type_id,
            starts_at: appointment.starts_at,
            ends_at: appointment.ends_at,
            time_zone: location.time_zone,
            promised: appointment.promise.shown(),
            series_id,
            status: appointment.status,
            confirmation_code: ConfirmationCode::stored(appointment.confirmation_code).to_string(),
            sequence: appointment.sequence,
            note: note.transpose()?,
            identifiers: appointment.identifiers,
            intake_id,
            intake_status,
            cancellable_until,
            changeable_until,
            confirmed_at: appointment.confirmed_at,
            created_at: appointment.created_at,
            updated_at: appointment.updated_at,
            attention: attention.map(|(reason, since)| AppointmentAttention { reason, since }),
            busy_from: is_staff.then_some(appointment.busy_from),
            busy_until: is_staff.then_some(appointment.busy_until),
            overbooked: is_staff.then_some(appointment.overbooked),
            resources: appointment
                .resources
                .0
                .into_iter()
                .map(|used| AppointmentResource {
                    resource_id: used.resource_id,
                    name: used.name,
                    unit: is_staff.then_some(used.unit),
                })
                .collect(),
            patient,
            warnings: Vec::new(),
        })
    }

    /// [`versioned`](Self::versioned) with the gaps that its series does not keep after a change.
    pub fn changed(tx: &mut Tx, found: AppointmentDetails) -> Result<Versioned<Self>> {
        let series = found.series_id;
        let mut changed = Self::versioned(tx, found)?;
        if let Some(series) = series {
            changed.object.warnings = gaps::warnings(tx, series)?;
        }
        Ok(changed)
    }

    /// [`new`](Self::new) with the version of the appointment.
    pub fn versioned(tx: &Tx, found: AppointmentDetails) -> Result<Versioned<Self>> {
        Ok(Versioned { version: found.appointment.version, object: Self::new(tx, found)? })
    }
}
