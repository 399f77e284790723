//! Computes findings and flags anew when a laboratory result arrives between intakes.

use diesel::prelude::*;
use serde_json::Value;

use super::model::IntakeStatus;
use super::reading_context::ReadingContext;
use super::store::{self, Intake};
use super::submission::seal_computed;
use super::{flags, from_value};
use crate::context::Tx;
use crate::db::Conn;
use crate::db::schema::intakes;
use crate::error::{Error, Result};
use crate::ids::{IntakeId, PatientId};
use crate::patients::model::Patient;

/// Locks the patient's open draft and newest submitted intake. Older intakes keep the findings of their time.
pub(super) fn lock_current(conn: &mut Conn, patient: PatientId) -> Result<Vec<IntakeId>> {
    let draft = store::open_draft(conn, patient, rls::FORM)?;
    let newest: Option<IntakeId> = intakes::table
        .filter(intakes::patient_id.eq(patient))
        .filter(intakes::form.eq(rls::FORM))
        .filter(intakes::status.eq_any([IntakeStatus::Completed, IntakeStatus::Amended]))
        .order((intakes::authored_at.desc(), intakes::id.desc()))
        .select(intakes::id)
        .first(conn)
        .optional()?;
    let mut ids: Vec<IntakeId> = draft.into_iter().chain(newest).collect();
    ids.sort_unstable();
    ids.iter().filter_map(|id| store::lock_row(conn, *id).transpose()).collect()
}

/// Computes the findings of locked intakes anew and brings their flags in line.
pub(super) fn recompute(tx: &mut Tx, patient: &Patient, ids: &[IntakeId]) -> Result<()> {
    for id in ids {
        let intake: Intake = intakes::table.find(id).select(Intake::as_select()).first(tx.conn)?;
        let reading = ReadingContext::load(tx, patient)?.with_results(tx, patient.id)?.with_review(tx.env, &intake)?;
        let answers = from_value(&Value::Object(intake.open_answers(tx.env)?))?;
        let facts = if intake.status == IntakeStatus::InProgress {
            reading.facts
        } else {
            reading.facts_at(intake.authored_at)?
        };
        let computed = rls::compute(&answers, &facts);
        let intake = store_changed(tx, intake, &computed)?;
        flags::follow_answers(tx, &intake, &computed.flags)?;
    }
    Ok(())
}

/// Stores the findings of a submitted intake if they changed. Those of a draft are computed when it is read.
fn store_changed(tx: &mut Tx, intake: Intake, computed: &rls::Computed) -> Result<Intake> {
    let Some(mut stored) = intake.open_computed(tx.env)? else { return Ok(intake) };
    let now = serde_json::to_value(computed).map_err(|error| Error::internal("write computed values", error))?;
    if let Value::Object(members) = &mut stored {
        members.remove("rule_set_version");
    }
    if stored == now {
        return Ok(intake);
    }
    let changed = Intake { computed: Some(seal_computed(tx.env, intake.id, computed)?), ..intake };
    store::update(tx.conn, tx.now, changed)
}
