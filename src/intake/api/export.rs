//! Everything that is held on a patient's intakes, flags and laboratory results.

use std::collections::HashMap;

use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use super::dto::{IntakeDto, IntakeVersionDto};
use super::flags::IntakeFlagDto;
use super::labs::LabResultDto;
use crate::actor::Actor;
use crate::db::Conn;
use crate::db::schema::{intake_flags, intake_versions, intakes};
use crate::env::Env;
use crate::error::Result;
use crate::ids::IntakeId;
use crate::intake::access::Bearings;
use crate::intake::flags::Flag;
use crate::intake::model::IntakeStatus;
use crate::intake::store::{self, Intake, Replaced};
use crate::intake::{Rules, labs};
use crate::patients::model::Patient;

/// An intake with what its amendments and reviews replaced.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001",
    "form": "rls-history", "form_version": "1.0.0", "status": "in-progress",
    "answers": {"symptoms": {"urge_to_move_legs": "yes"}}, "computed": {"issues": []}, "notices": [],
    "completeness": {"complete": true, "missing": 0}, "copied_from": null, "authored_at": "2026-03-02T14:00:00Z",
    "submitted_at": null, "reviewed_at": null, "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z",
    "versions": []
}))]
pub struct ExportedIntake {
    /// The intake.
    #[serde(flatten)]
    intake: IntakeDto,
    /// What was replaced, oldest first; missing in the limited scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    versions: Option<Vec<IntakeVersionDto>>,
}

/// What this department holds on a patient.
pub struct Held {
    /// All intakes, oldest first.
    pub intakes: Vec<ExportedIntake>,
    /// What they raised for the staff; `None` where the reader may not know.
    pub flags: Option<Vec<IntakeFlagDto>>,
    /// The results that the staff entered.
    pub lab_results: Vec<LabResultDto>,
}

/// All of it, as `reader` may see it: somebody with a practitioner's eyes sees everything. What was entered in error may be
/// another patient's, and is shown as `actor` sees it.
///
/// # Errors
/// The database's; a fault, if something does not open.
pub fn of_patient(
    tx: &mut Conn,
    env: &Env,
    rules: &Rules,
    (actor, reader): (&Actor, &Actor),
    patient: &Patient,
    complete: bool,
) -> Result<Held> {
    let rows: Vec<Intake> = intakes::table
        .filter(intakes::patient_id.eq(patient.id))
        .order((intakes::created_at, intakes::id))
        .select(Intake::as_select())
        .load(tx)?;
    let wrong: Vec<_> =
        rows.iter().filter(|row| row.status == IntakeStatus::EnteredInError).map(|row| row.id).collect();
    let hidden = |id: &IntakeId| !actor.role.is_staff() && wrong.contains(id);
    let mut versions = if complete { replaced(tx, env, patient)? } else { HashMap::new() };
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let urgent = store::urgent_flags(tx, &ids)?;
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        let hide = hidden(&row.id);
        let seen_by = if hide { actor } else { reader };
        let urgent = urgent.get(&row.id).copied().unwrap_or_default();
        let versions = (complete && !hide).then(|| versions.remove(&row.id).unwrap_or_default());
        let bearings = Bearings::take(tx, env, rules, seen_by, patient)?.reviewed(env, &row)?;
        let intake = IntakeDto::new(env, seen_by, row, patient, &bearings, urgent)?;
        all.push(ExportedIntake { intake, versions });
    }
    let flags = if complete {
        let rows: Vec<Flag> = intake_flags::table
            .filter(intake_flags::patient_id.eq(patient.id))
            .order((intake_flags::raised_at, intake_flags::id))
            .select(Flag::as_select())
            .load(tx)?;
        let rows = rows.iter().filter(|flag| !hidden(&flag.intake_id));
        Some(rows.map(|flag| IntakeFlagDto::new(env, true, flag, patient)).collect::<Result<_>>()?)
    } else {
        None
    };
    let lab_results = labs::all(tx, env, patient.id)?.into_iter().map(LabResultDto::from).collect();
    Ok(Held { intakes: all, flags, lab_results })
}

/// What amendments and reviews of the patient's intakes replaced, by intake, oldest first.
fn replaced(tx: &mut Conn, env: &Env, patient: &Patient) -> Result<HashMap<IntakeId, Vec<IntakeVersionDto>>> {
    let own = intakes::table.filter(intakes::patient_id.eq(patient.id)).select(intakes::id);
    let rows: Vec<Replaced> = intake_versions::table
        .filter(intake_versions::intake_id.eq_any(own))
        .order((intake_versions::intake_id, intake_versions::version))
        .select(Replaced::as_select())
        .load(tx)?;
    let mut by_intake: HashMap<_, Vec<_>> = HashMap::new();
    for row in rows {
        by_intake.entry(row.intake_id).or_default().push(IntakeVersionDto::new(env, &row)?);
    }
    Ok(by_intake)
}
