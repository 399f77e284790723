//! How often a patient did not come, or cancelled late. Staff only.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::Bool;
use serde::Serialize;
use utoipa::ToSchema;

use crate::appointment_status::AppointmentStatus;
use crate::db::raw_sql::RawSql;
use crate::db::schema::appointments;
use crate::db::{Conn, per_backend};
use crate::error::Result;
use crate::ids::PatientId;

/// The visits that a patient missed or cancelled late.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({"no_shows": 1, "late_cancellations": 0}))]
pub struct MissedVisits {
    /// The visits to which the patient did not come.
    #[schema(minimum = 0)]
    pub no_shows: u32,
    /// The visits that were cancelled after their `cancellable_until`. Visits that the practitioner's hours no longer
    /// covered do not count.
    #[schema(minimum = 0)]
    pub late_cancellations: u32,
}

/// Counts the missed visits of each of these patients who has any.
pub fn of(conn: &mut Conn, patients: &[PatientId]) -> Result<HashMap<PatientId, MissedVisits>> {
    let mut counts: HashMap<PatientId, MissedVisits> = HashMap::new();
    if patients.is_empty() {
        return Ok(counts);
    }
    // Literal, because the index has it.
    let missed = RawSql::<Bool>::new("(appointments.status = 'noshow' OR appointments.late_cancelled)");
    let rows: Vec<(PatientId, AppointmentStatus)> = per_backend!(conn, conn => appointments::table
        .filter(missed.clone())
        .filter(appointments::patient_id.eq_any(patients.to_vec()))
        .select((appointments::patient_id, appointments::status))
        .load(conn))?;
    for (patient, status) in rows {
        let count = counts.entry(patient).or_default();
        match status {
            AppointmentStatus::NoShow => count.no_shows += 1,
            _ => count.late_cancellations += 1,
        }
    }
    Ok(counts)
}
