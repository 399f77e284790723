//! The intakes, flags and laboratory results in the export of a patient's record.

use std::collections::HashMap;

use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use super::details::IntakeDetails;
use super::flag_worklist::IntakeFlagView;
use super::follow_up::view::FollowUpView;
use super::lab_rows::LabResult;
use super::lab_versions::{self, LabResultVersionView};
use super::labs::LabResultView;
use super::model::{IntakeStatus, LabResultStatus};
use super::reading_context::ReadingContext;
use super::store::Intake;
use super::versions::{self, IntakeVersionView};
use super::view::IntakeView;
use super::{flags, follow_up, lab_rows};
use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::context::Tx;
use crate::db::schema::intakes;
use crate::error::Result;
use crate::ids::{IntakeId, PatientId};
use crate::patients::model::Patient;

/// An intake with its replaced versions.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001",
    "form": "rls-history", "form_version": "1.3.0", "status": "in-progress",
    "answers": {"symptoms": {"urge_to_move_legs": "yes"}}, "computed": {"kind": "open_issues", "issues": []}, "notices": [],
    "completeness": {"complete": true, "missing": 0}, "clinician_only_fields": [], "fields_not_asked": ["symptoms.childs_own_words"],
    "copied_from": null, "authored_at": "2026-03-02T14:00:00Z",
    "submitted_at": null, "reviewed_at": null, "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z",
    "versions": []
}))]
pub struct ExportedIntake {
    /// The intake.
    #[serde(flatten)]
    intake: IntakeView,
    /// The replaced versions, oldest first. Missing in the limited scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    versions: Option<Vec<IntakeVersionView>>,
}

/// A laboratory result with its replaced versions.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c59", "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001", "status": "final",
    "test": "ferritin", "value": 92, "unit": "ng/mL", "standard_value": 92.0,
    "standard_unit": "ng/mL", "collected_on": "2026-02-26", "source": "lab_report",
    "created_at": "2026-03-02T14:00:00Z", "updated_at": null, "versions": []
}))]
pub struct ExportedLabResult {
    /// The result.
    #[serde(flatten)]
    result: LabResultView,
    /// The replaced versions, oldest first. Missing in the limited scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    versions: Option<Vec<LabResultVersionView>>,
}

/// The intakes, flags and laboratory results of a patient.
pub struct Held {
    /// All intakes, oldest first.
    pub intakes: Vec<ExportedIntake>,
    /// The flags that they raised. None in the limited scope.
    pub flags: Option<Vec<IntakeFlagView>>,
    /// The results that staff entered.
    pub lab_results: Vec<ExportedLabResult>,
    /// The follow-ups, oldest first.
    pub follow_ups: Vec<FollowUpView>,
}

/// Loads everything about a patient as `reader` may see it; a reader with the role of a practitioner sees everything. Intakes that
/// were entered in error may have the answers of another patient, so they are shown as the actor may see them.
pub fn of_patient(tx: &mut Tx, reader: &Actor, patient: &Patient, is_complete: bool) -> Result<Held> {
    let rows: Vec<Intake> = intakes::table
        .filter(intakes::patient_id.eq(patient.id))
        .order((intakes::created_at, intakes::id))
        .select(Intake::as_select())
        .load(tx.conn)?;
    let in_error = rows.iter().filter(|row| row.status == IntakeStatus::EnteredInError);
    let hidden: Vec<_> = in_error.filter(|_| !tx.actor.role.is_staff()).map(|row| row.id).collect();
    let all_results = lab_rows::with_errors(tx.conn, tx.env, patient.id)?;
    let errors = if tx.actor.role.is_staff() { Vec::new() } else { periods_of_errors(&all_results) };
    let mut versions = if is_complete { versions_by_intake(tx, patient.id, &errors)? } else { HashMap::new() };
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let urgent = flags::count_urgent(tx.conn, &ids)?;
    let mut intakes = Vec::with_capacity(rows.len());
    for intake in rows {
        let id = intake.id;
        let is_hidden = hidden.contains(&id);
        let seen_by = if is_hidden { tx.actor } else { reader };
        let seen = &mut Tx { conn: &mut *tx.conn, env: tx.env, actor: seen_by, audit: tx.audit, now: tx.now };
        let reading = ReadingContext::of(seen, patient, &intake)?;
        let details = IntakeDetails { intake, patient: patient.clone(), reading };
        let intake = IntakeView::new(seen, details, urgent.get(&id).copied().unwrap_or_default())?;
        let versions = (is_complete && !is_hidden).then(|| versions.remove(&id).unwrap_or_default());
        intakes.push(ExportedIntake { intake, versions });
    }
    let flags = if is_complete {
        let rows = flags::of_patient(tx.conn, patient.id)?;
        let is_from_error = |flag: &flags::Flag| {
            flag.withdrawn_at.is_some() && errors.iter().any(|(from, to)| (*from..=*to).contains(&flag.raised_at))
        };
        let rows =
            rows.iter().filter(|flag| flag.intake_id.is_none_or(|id| !hidden.contains(&id)) && !is_from_error(flag));
        Some(rows.map(|flag| IntakeFlagView::new(tx.env, true, flag, patient)).collect::<Result<_>>()?)
    } else {
        None
    };
    let follow_ups = follow_up::store::of_patient(tx.conn, patient.id)?.into_iter().map(FollowUpView::from).collect();
    let lab_results = lab_results(tx, patient.id, all_results, is_complete)?;
    Ok(Held { intakes, flags, lab_results, follow_ups })
}

/// The periods in which results that were entered in error counted. They may be those of another patient, so the patient does not get what
/// the rules found from them.
fn periods_of_errors(results: &[LabResult]) -> Vec<(Timestamp, Timestamp)> {
    let in_error = results.iter().filter(|result| result.status == LabResultStatus::EnteredInError);
    in_error.map(|result| (result.created_at, result.updated_at.unwrap_or(result.created_at))).collect()
}

/// The results that staff entered, with their versions. One that was entered in error may be that of another patient, so only staff get it.
fn lab_results(
    tx: &mut Tx,
    patient: PatientId,
    mut results: Vec<LabResult>,
    is_complete: bool,
) -> Result<Vec<ExportedLabResult>> {
    let mut versions = if is_complete { lab_versions::of_patient(tx, patient)? } else { HashMap::new() };
    if !tx.actor.role.is_staff() {
        results.retain(|result| result.status != LabResultStatus::EnteredInError);
    }
    let exported = |result: LabResult| {
        let versions = is_complete.then(|| versions.remove(&result.id).unwrap_or_default());
        ExportedLabResult { result: result.into(), versions }
    };
    Ok(results.into_iter().map(exported).collect())
}

/// Loads the replaced versions of the patient's intakes, by intake, oldest first. One that was current in a period of `errors` comes without
/// its findings.
fn versions_by_intake(
    tx: &mut Tx,
    patient: PatientId,
    errors: &[(Timestamp, Timestamp)],
) -> Result<HashMap<IntakeId, Vec<IntakeVersionView>>> {
    let mut by_intake: HashMap<_, Vec<_>> = HashMap::new();
    for row in versions::of_patient(tx.conn, patient)? {
        let mut version = IntakeVersionView::new(tx.env, &row)?;
        if errors.iter().any(|(from, to)| version.authored_at <= *to && version.replaced_at >= *from) {
            version.computed = None;
        }
        by_intake.entry(row.intake_id).or_default().push(version);
    }
    Ok(by_intake)
}
