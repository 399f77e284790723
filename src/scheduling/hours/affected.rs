//! The appointments that a change of plans affects. Staff must call these patients.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::appointment_status::AppointmentStatus;
use crate::clock::Timestamp;
use crate::context::Tx;
use crate::db::Conn;
use crate::db::schema::{appointments, locations, patients, visit_types};
use crate::db::types::Date;
use crate::error::Result;
use crate::ids::{AppointmentId, LocationId, PatientId, PractitionerId};
use crate::patients::model::Patient;
use crate::scheduling::hours::weekly::TimeRange;
use crate::scopes::Scope;

/// The maximum number of appointments in a response.
const MAX_LISTED: usize = 200;
/// The maximum number of ids of one statement.
const CHUNK: usize = 500;

/// An appointment that a change of plans affects.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "practitioner_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01",
    "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "starts_at": "2026-03-09T13:30:00Z",
    "ends_at": "2026-03-09T14:30:00Z", "time_zone": "America/New_York", "visit_type": "New patient evaluation",
    "patient": {
        "id": "0199d0c2-1f00-7aaa-8000-000000000001", "display_name": "Ann Example", "date_of_birth": "1967-09-14",
        "phone": "+12125550100", "preferred_language": "en", "interpreter_needed": false
    }
}))]
pub struct AffectedAppointment {
    /// The appointment to move or cancel.
    pub id: AppointmentId,
    /// The practitioner.
    pub practitioner_id: PractitionerId,
    /// The location.
    pub location_id: LocationId,
    /// The start.
    pub starts_at: Timestamp,
    /// The end.
    pub ends_at: Timestamp,
    /// The location's IANA time zone.
    pub time_zone: String,
    /// The name of the visit type among staff.
    pub visit_type: String,
    /// The patient to call.
    pub patient: AffectedPatient,
}

/// The patient of an affected appointment.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-1f00-7aaa-8000-000000000001", "display_name": "Ann Example", "date_of_birth": "1967-09-14",
    "phone": "+12125550100", "preferred_language": "en", "interpreter_needed": false
}))]
pub struct AffectedPatient {
    /// The patient.
    pub id: PatientId,
    /// The name to use.
    pub display_name: String,
    /// The date of birth, to tell patients of the same name apart.
    pub date_of_birth: Date,
    /// The telephone number in E.164, if there is one.
    pub phone: Option<String>,
    /// The language tag (BCP 47).
    pub preferred_language: String,
    /// Whether the patient needs an interpreter.
    pub interpreter_needed: bool,
}

/// The appointments that a change of plans affects.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"affected_appointments": [], "affected_total": 0}))]
pub struct AffectedAppointments {
    /// The booked appointments that the change affects, earliest first, at most 200. After a change of hours: those that the practitioner's
    /// hours no longer cover; after new time off or a closure: all that it overlaps. They do not change until they are moved or
    /// cancelled, and `GET /v1/appointments?needs_attention=true` lists them until then. After a change of a resource: those that
    /// have a unit above the capacity, which `needs_attention` does not list. Empty for a machine client without the scope
    /// `appointments:read`.
    pub affected_appointments: Vec<AffectedAppointment>,
    /// The number of affected appointments.
    #[schema(minimum = 0)]
    pub affected_total: usize,
}

type Row = ((AppointmentId, PractitionerId, LocationId, Timestamp, Timestamp), String, String, Patient);

/// Loads the overbooked appointments of a practitioner that overlap one of `times`, earliest first. A slot names one of the visits that
/// share it only.
pub fn overbooked_within(
    conn: &mut Conn,
    practitioner: PractitionerId,
    times: &[TimeRange],
) -> Result<Vec<AppointmentId>> {
    let (Some(from), Some(to)) =
        (times.iter().map(|time| time.starts_at).min(), times.iter().map(|time| time.ends_at).max())
    else {
        return Ok(Vec::new());
    };
    let rows: Vec<(AppointmentId, Timestamp, Timestamp)> = appointments::table
        .filter(appointments::overbooked)
        .filter(appointments::practitioner_id.eq(practitioner))
        .filter(appointments::status.ne(AppointmentStatus::Cancelled))
        .filter(appointments::busy_until.gt(from))
        .filter(appointments::busy_from.lt(to))
        .order((appointments::starts_at, appointments::id))
        .select((appointments::id, appointments::busy_from, appointments::busy_until))
        .load(conn)?;
    let overlapping = rows.into_iter().filter(|(_, from, to)| times.iter().any(|time| time.overlaps(*from, *to)));
    Ok(overlapping.map(|(id, ..)| id).collect())
}

/// Loads those of the appointments that are booked. The audit event of the change names the patients.
pub fn load(tx: &mut Tx, affected: &[AppointmentId]) -> Result<AffectedAppointments> {
    with_status(tx, affected, AppointmentStatus::Booked)
}

/// Loads those of the appointments that have this status. The audit event names the patients.
pub fn with_status(tx: &mut Tx, affected: &[AppointmentId], status: AppointmentStatus) -> Result<AffectedAppointments> {
    let mut rows: Vec<Row> = Vec::new();
    for ids in affected.chunks(CHUNK) {
        rows.extend(
            appointments::table
                .inner_join(locations::table.on(locations::id.eq(appointments::location_id)))
                .inner_join(visit_types::table.on(visit_types::id.eq(appointments::visit_type_id)))
                .inner_join(patients::table.on(patients::id.eq(appointments::patient_id)))
                .filter(appointments::id.eq_any(ids.to_vec()))
                .filter(appointments::status.eq(status))
                .select((
                    (
                        appointments::id,
                        appointments::practitioner_id,
                        appointments::location_id,
                        appointments::starts_at,
                        appointments::ends_at,
                    ),
                    locations::time_zone,
                    visit_types::name,
                    Patient::as_select(),
                ))
                .load::<Row>(tx.conn)?,
        );
    }
    rows.sort_unstable_by_key(|((id, _, _, starts_at, _), ..)| (*starts_at, *id));
    let affected_total = rows.len();
    // They name patients.
    let most = if tx.actor.has_scope(Scope::AppointmentsRead) { MAX_LISTED } else { 0 };
    let affected_appointments: Vec<_> = rows.into_iter().take(most).map(item).collect();
    tx.audit.note_shown(affected_appointments.iter().map(|affected| affected.patient.id));
    Ok(AffectedAppointments { affected_appointments, affected_total })
}

fn item(
    ((id, practitioner_id, location_id, starts_at, ends_at), time_zone, visit_type, patient): Row,
) -> AffectedAppointment {
    let patient = AffectedPatient {
        id: patient.id,
        display_name: patient.display_name(),
        date_of_birth: patient.date_of_birth,
        phone: patient.phone,
        preferred_language: patient.preferred_language,
        interpreter_needed: patient.interpreter_needed,
    };
    AffectedAppointment { id, practitioner_id, location_id, starts_at, ends_at, time_zone, visit_type, patient }
}
