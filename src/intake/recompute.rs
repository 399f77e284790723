//! Computes findings and flags anew between intakes: when a laboratory result arrives or changes, and when something comes due.

use diesel::prelude::*;
use serde_json::Value;

use super::model::IntakeStatus;
use super::reading_context::ReadingContext;
use super::store::{self, Intake};
use super::{flags, from_value};
use crate::context::Tx;
use crate::db::Conn;
use crate::db::schema::intakes;
use crate::error::{Error, Result};
use crate::ids::{IntakeId, PatientId};
use crate::patients::model::Patient;

/// Returns the patient's open draft and newest submitted intake. Older intakes keep the findings of their time.
fn current(conn: &mut Conn, patient: PatientId) -> Result<Vec<IntakeId>> {
    let draft = store::open_draft(conn, patient, rls::FORM)?;
    let newest = store::newest_submitted(conn, patient, rls::FORM)?;
    Ok(draft.into_iter().chain(newest).collect())
}

/// Computes what depends on the laboratory results of a locked patient anew: the findings and flags of the current intakes, or without
/// an intake the flags of the results.
pub(super) fn follow_results<P>(tx: &mut Tx<P>, patient: &Patient) -> Result<()> {
    let current = current(tx.conn, patient.id)?;
    if current.is_empty() { follow_results_alone(tx, patient) } else { recompute(tx, patient, &current) }
}

/// Computes what depends on the rows of a locked patient anew, after a merge or its undo: laboratory results and intakes of another record
/// belong to the patient now, or no longer do.
pub fn follow_record<P>(tx: &mut Tx<P>, patient: &Patient) -> Result<()> {
    follow_results(tx, patient)?;
    let follow_up = rls::FormName::FollowUp.as_str();
    let draft = store::open_draft(tx.conn, patient.id, follow_up)?;
    let newest = store::newest_submitted(tx.conn, patient.id, follow_up)?;
    let current: Vec<IntakeId> = draft.into_iter().chain(newest).collect();
    recompute(tx, patient, &current)
}

/// Brings the flags of a patient without an intake in line with the laboratory results. Only dangerous values raise flags there.
fn follow_results_alone<P>(tx: &mut Tx<P>, patient: &Patient) -> Result<()> {
    let form = ReadingContext::for_findings(tx, patient)?.with_results(tx, patient.id)?;
    let mut raised = rls::compute(&rls::Answers::default(), &form.facts).flags;
    raised.retain(|flag| flag.rule.is_about_dangerous_result());
    flags::follow_results(tx, patient.id, &raised)
}

/// Computes the findings of intakes of a locked patient anew and brings their flags in line.
pub(super) fn recompute<P>(tx: &mut Tx<P>, patient: &Patient, ids: &[IntakeId]) -> Result<()> {
    for id in ids {
        let intake: Intake = intakes::table.find(id).select(Intake::as_select()).first(tx.conn)?;
        let form = ReadingContext::for_findings(tx, patient)?
            .with_form(tx, patient.id, &intake)?
            .with_results(tx, patient.id)?
            .with_review(tx.env, &intake)?;
        let answers = from_value(&Value::Object(intake.open_answers(tx.env)?))?;
        if intake.status == IntakeStatus::InProgress {
            // The findings of a draft are computed when it is read.
            flags::follow_answers(tx, &intake, &rls::compute(&answers, &form.facts).flags)?;
            continue;
        }
        let computed = rls::compute(&answers, &form.facts_at(intake.authored_at)?);
        let flags = computed.flags.clone();
        let intake = store_findings(tx, intake, computed, &form)?;
        flags::follow_answers(tx, &intake, &flags)?;
    }
    Ok(())
}

/// Stores the findings of a submitted intake. It becomes a new version only if they changed.
fn store_findings<P>(
    tx: &mut Tx<P>,
    intake: Intake,
    mut computed: rls::Computed,
    form: &ReadingContext,
) -> Result<Intake> {
    let mut stored = intake.open_computed(tx.env)?.unwrap_or_default();
    if let Value::Object(members) = &mut stored {
        members.remove("rule_set_version");
    }
    // The issues say what was missing for the person who submitted the answers.
    if let Some(issues) = stored.get("issues").and_then(|issues| serde_json::from_value(issues.clone()).ok()) {
        computed.issues = issues;
    }
    let now = serde_json::to_value(&computed).map_err(|error| Error::internal("write computed values", error))?;
    let changed = stored != now;
    let next = intake.clone().with_findings(tx.env, &computed, &form.place)?;
    if changed {
        return store::update(tx.conn, tx.now, next);
    }
    diesel::update(intakes::table.find(intake.id))
        .set((intakes::due_at.eq(next.due_at), intakes::rule_set.eq(next.rule_set)))
        .execute(tx.conn)?;
    Ok(Intake { due_at: next.due_at, rule_set: next.rule_set, ..intake })
}
