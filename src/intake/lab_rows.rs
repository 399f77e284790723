//! The stored laboratory results that staff entered.

use diesel::prelude::*;
use rls::answers::Lab;

use super::model::LabResultStatus;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::lab_results;
use crate::env::Env;
use crate::error::Result;
use crate::ids::{LabResultId, PatientId, UserId};
use crate::sealed::{Place, Sealed};

/// A row of a laboratory result.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = lab_results, treat_none_as_null = true, treat_none_as_default_value = false)]
pub(super) struct Row {
    pub(super) id: LabResultId,
    pub(super) patient_id: PatientId,
    pub(super) result: Sealed<Lab>,
    pub(super) created_by: UserId,
    pub(super) created_at: Timestamp,
    pub(super) status: LabResultStatus,
    pub(super) version: i32,
    pub(super) updated_by: Option<UserId>,
    pub(super) updated_at: Option<Timestamp>,
}

/// A laboratory result.
#[derive(Debug, Clone)]
pub struct LabResult {
    pub id: LabResultId,
    pub patient_id: PatientId,
    pub status: LabResultStatus,
    /// The test, its value and its circumstances.
    pub lab: Lab,
    /// The time at which it was entered.
    pub created_at: Timestamp,
    /// The time at which it was corrected or marked as entered in error.
    pub updated_at: Option<Timestamp>,
}

impl Row {
    /// Decrypts it.
    pub(super) fn open(self, env: &Env) -> Result<LabResult> {
        let Self { id, patient_id, status, created_at, updated_at, .. } = self;
        Ok(LabResult { id, patient_id, status, lab: env.sealer.open(place(id), &self.result)?, created_at, updated_at })
    }
}

/// The place of the sealed result.
pub(super) fn place(id: LabResultId) -> Place {
    Place::new("lab_results", "result", id.0)
}

/// Loads the laboratory results of a patient that count, in the order in which they were entered.
pub fn of_patient(conn: &mut Conn, env: &Env, patient: PatientId) -> Result<Vec<LabResult>> {
    let mut all = with_errors(conn, env, patient)?;
    all.retain(|result| result.status != LabResultStatus::EnteredInError);
    Ok(all)
}

/// Loads the laboratory results of a patient with those entered in error, in the order in which they were entered.
pub(super) fn with_errors(conn: &mut Conn, env: &Env, patient: PatientId) -> Result<Vec<LabResult>> {
    let rows: Vec<Row> = lab_results::table
        .filter(lab_results::patient_id.eq(patient))
        .order((lab_results::created_at, lab_results::id))
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(|row| row.open(env)).collect()
}
