//! The consents that patients have neither accepted nor declined in the current version.

use std::collections::HashMap;

use diesel::prelude::*;

use super::{ConsentType, settled};
use crate::db::schema::patients;
use crate::db::{Conn, per_backend};
use crate::error::Result;
use crate::ids::PatientId;

/// The consents that are not settled.
pub fn unsettled(treatment_settled: bool, privacy_notice_settled: bool) -> Vec<ConsentType> {
    let is_settled = |consent_type: &ConsentType| match consent_type {
        ConsentType::Treatment => treatment_settled,
        ConsentType::PrivacyNotice => privacy_notice_settled,
    };
    ConsentType::ALL.iter().copied().filter(|it| !is_settled(it)).collect()
}

/// Loads the outstanding consents of these patients. The caller must have authorised the request.
pub fn of(conn: &mut Conn, patients: &[PatientId]) -> Result<HashMap<PatientId, Vec<ConsentType>>> {
    if patients.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(PatientId, bool, bool)> = per_backend!(conn, conn => patients::table
        .filter(patients::id.eq_any(patients.to_vec()))
        .select((patients::id, settled!(ConsentType::Treatment), settled!(ConsentType::PrivacyNotice)))
        .load(conn))?;
    Ok(rows.into_iter().map(|(id, treatment, privacy_notice)| (id, unsettled(treatment, privacy_notice))).collect())
}
