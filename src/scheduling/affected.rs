//! Whom a change of plans hits: the visits that somebody must now call about.

use diesel::prelude::*;

use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{appointments, locations, patients, visit_types};
use crate::error::Result;
use crate::ids::{AppointmentId, LocationId, PatientId, PractitionerId};
use crate::patients::model::Patient;
use crate::trail::Trail;

/// How many a list of them holds; the rest is found under `needs_attention`.
const MOST: usize = 200;
/// Ids of one statement.
const CHUNK: usize = 500;

/// An appointment that a change of plans hits.
#[derive(serde::Serialize, utoipa::ToSchema)]
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
    /// Its id: move or cancel this one.
    pub id: AppointmentId,
    /// The doctor.
    pub practitioner_id: PractitionerId,
    /// The place.
    pub location_id: LocationId,
    /// When it starts.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// The IANA time zone of the place.
    pub time_zone: String,
    /// What the staff call the visit.
    pub visit_type: String,
    /// Whom to call.
    pub patient: AffectedPatient,
}

/// Whom to call, and in which language.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-1f00-7aaa-8000-000000000001", "display_name": "Ann Example", "date_of_birth": "1967-09-14",
    "phone": "+12125550100", "preferred_language": "en", "interpreter_needed": false
}))]
pub struct AffectedPatient {
    /// The record.
    pub id: PatientId,
    /// What to call them.
    pub display_name: String,
    /// The birthday, which tells two of one name apart.
    pub date_of_birth: crate::db::types::Date,
    /// E.164; null where there is none.
    pub phone: Option<String>,
    /// BCP 47.
    pub preferred_language: String,
    /// Whether somebody must translate.
    pub interpreter_needed: bool,
}

/// The appointments that a change of plans hits.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({"affected_appointments": [], "affected_total": 0}))]
pub struct AffectedAppointments {
    /// The booked appointments that the plan covered before and does not cover any more, earliest first, 200 at most; of time
    /// off and closures all that they touch, also those that something else hit before.
    /// They stand as they were until somebody moves or cancels them, and meanwhile under
    /// `GET /v1/appointments?needs_attention=true`.
    pub affected_appointments: Vec<AffectedAppointment>,
    /// How many there are.
    #[schema(minimum = 0)]
    pub affected_total: usize,
}

/// Looks up those of the appointments that are booked and nothing else yet. The trail notes whom the list shows, so the
/// event of the change is recorded after this.
///
/// # Errors
/// The database's.
pub fn load(tx: &mut Conn, trail: &Trail, hit: &[AppointmentId]) -> Result<AffectedAppointments> {
    type Row = ((AppointmentId, PractitionerId, LocationId, Timestamp, Timestamp), String, String, Patient);
    let mut rows: Vec<Row> = Vec::new();
    for ids in hit.chunks(CHUNK) {
        rows.extend(
            appointments::table
                .inner_join(locations::table.on(locations::id.eq(appointments::location_id)))
                .inner_join(visit_types::table.on(visit_types::id.eq(appointments::visit_type_id)))
                .inner_join(patients::table.on(patients::id.eq(appointments::patient_id)))
                .filter(appointments::id.eq_any(ids.to_vec()))
                .filter(appointments::status.eq("booked"))
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
                .load::<Row>(tx)?,
        );
    }
    rows.sort_unstable_by_key(|((id, _, _, starts_at, _), ..)| (*starts_at, *id));
    let affected_total = rows.len();
    let affected_appointments: Vec<_> = rows.into_iter().take(MOST).map(item).collect();
    trail.note_shown(affected_appointments.iter().map(|affected| affected.patient.id));
    Ok(AffectedAppointments { affected_appointments, affected_total })
}

fn item(
    ((id, practitioner_id, location_id, starts_at, ends_at), time_zone, visit_type, patient): (
        (AppointmentId, PractitionerId, LocationId, Timestamp, Timestamp),
        String,
        String,
        Patient,
    ),
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
