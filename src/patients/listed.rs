//! The patient of an item, as staff see it in a list.

use std::collections::{BTreeSet, HashMap};

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::model::Patient;
use crate::context::Tx;
use crate::db::schema::patients;
use crate::db::types::Date;
use crate::error::Result;
use crate::ids::PatientId;

/// The patient whom an item of a list is about, in short. For staff.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"id": "0199d0c2-1f00-7aaa-8000-000000000001", "display_name": "Ann Example", "date_of_birth": "1967-09-14", "mrn": "LW-001001"}))]
pub struct ListedPatient {
    /// The patient.
    pub id: PatientId,
    /// The name to show.
    pub display_name: String,
    /// The date of birth.
    pub date_of_birth: Date,
    /// The medical record number.
    pub mrn: String,
}

/// Loads the patients of a list's items; none unless staff read it. The caller must have authorised the request.
pub fn for_staff(tx: &mut Tx, patients: impl Iterator<Item = PatientId>) -> Result<HashMap<PatientId, ListedPatient>> {
    if !tx.actor.role.is_staff() {
        return Ok(HashMap::new());
    }
    let ids: BTreeSet<PatientId> = patients.collect();
    let rows: Vec<Patient> =
        patients::table.filter(patients::id.eq_any(ids)).select(Patient::as_select()).load(tx.conn)?;
    Ok(rows.iter().map(|patient| (patient.id, patient.into())).collect())
}

impl From<&Patient> for ListedPatient {
    fn from(patient: &Patient) -> Self {
        Self {
            id: patient.id,
            display_name: patient.display_name(),
            date_of_birth: patient.date_of_birth,
            mrn: patient.mrn.clone(),
        }
    }
}
