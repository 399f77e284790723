//! Findings that change although no answer and no result does: a day is reached, or the service has newer rules. A background job
//! computes them again.

use std::time::Duration;

use diesel::prelude::*;
use jiff::SignedDuration;

use super::model::IntakeStatus;
use super::{recompute, store};
use crate::audit_context::AuditContext;
use crate::clock::Timestamp;
use crate::context::{Anonymous, Tx};
use crate::db::Conn;
use crate::db::schema::{intakes, patients};
use crate::env::Env;
use crate::error::Result;
use crate::ids::IntakeId;
use crate::patients::model::Patient;
use crate::periodic;

/// The most intakes of one round.
const BATCH: i64 = 200;
/// The pause after a round that found everything.
const INTERVAL: Duration = Duration::from_mins(5);
/// The pause after a round that found more than it may take.
const NEXT_BATCH: Duration = Duration::from_secs(1);
/// How long an intake is left alone whose findings cannot be computed.
const RETRY_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// Computes the findings of the intakes that are due, at most [`BATCH`]. Returns how many were due.
///
/// Each intake has a transaction of its own, so the next round continues an interrupted one. An intake that another instance has computed
/// meanwhile is no longer due.
pub async fn compute_due(env: &Env) -> Result<usize> {
    let now = env.now();
    let due = env.db.read(move |conn| due(conn, now)).await?;
    for id in &due {
        let (shared, id) = (env.clone(), *id);
        if let Err(error) = env.db.write(move |conn| compute_again(conn, &shared, id)).await {
            if error.concerns_all() {
                return Err(error);
            }
            tracing::warn!(intake = %id, %error, "could not compute the findings of an intake again; retrying in a day");
            env.db.write(move |conn| set_aside(conn, id, now)).await?;
        }
    }
    Ok(due.len())
}

/// Returns the intakes whose day is reached, the oldest first, and then those of older rules.
fn due(conn: &mut Conn, now: Timestamp) -> Result<Vec<IntakeId>> {
    let mut ids: Vec<IntakeId> = intakes::table
        .filter(intakes::due_at.le(now))
        .order((intakes::due_at, intakes::id))
        .limit(BATCH)
        .select(intakes::id)
        .load(conn)?;
    let room = BATCH - i64::try_from(ids.len()).unwrap_or(BATCH);
    let outdated: Vec<IntakeId> = intakes::table
        // An older instance beside this one leaves what newer rules have computed.
        .filter(intakes::rule_set.lt(rls::rule_set_number()))
        .filter(intakes::id.ne_all(ids.clone()))
        .order((intakes::rule_set, intakes::id))
        .limit(room)
        .select(intakes::id)
        .load(conn)?;
    ids.extend(outdated);
    Ok(ids)
}

/// The intake of this id, if it is still due.
macro_rules! still_due {
    ($id:expr, $now:expr) => {
        intakes::table
            .find($id)
            .filter(intakes::status.eq_any([IntakeStatus::Completed, IntakeStatus::Amended]))
            .filter(intakes::due_at.le($now).or(intakes::rule_set.lt(rls::rule_set_number())).assume_not_null())
    };
}

/// Computes the findings of an intake again, if it is still due.
fn compute_again(conn: &mut Conn, env: &Env, id: IntakeId) -> Result<()> {
    let audit = AuditContext::of_command("compute due findings");
    let tx = &mut Tx::new(conn, env, &Anonymous, &audit);
    let Some(patient) = store::lock_patient_of(tx.conn, id)? else { return Ok(()) };
    let form: Option<String> = still_due!(id, tx.now).select(intakes::form).first(tx.conn).optional()?;
    let Some(form) = form else { return Ok(()) };
    if store::newest_submitted(tx.conn, patient, &form)? != Some(id) {
        // Older intakes keep the findings of their time.
        return release(tx.conn, id);
    }
    let patient: Patient = patients::table.find(patient).select(Patient::as_select()).first(tx.conn)?;
    recompute::recompute(tx, &patient, &[id])
}

/// Marks an intake as one whose findings do not change by themselves.
fn release(conn: &mut Conn, id: IntakeId) -> Result<()> {
    diesel::update(intakes::table.find(id))
        .set((intakes::due_at.eq(None::<Timestamp>), intakes::rule_set.eq(rls::rule_set_number())))
        .execute(conn)?;
    Ok(())
}

/// Leaves an intake alone for some time, so that it does not keep others from their turn. Only if it is still due: another change may have
/// computed its findings meanwhile, or a void ended it.
fn set_aside(conn: &mut Conn, id: IntakeId, now: Timestamp) -> Result<()> {
    diesel::update(still_due!(id, now))
        .set((intakes::due_at.eq(now.plus(RETRY_AFTER)), intakes::rule_set.eq(rls::rule_set_number())))
        .execute(conn)?;
    Ok(())
}

/// Starts the background job.
pub fn start(env: &Env, stopping: tokio::sync::watch::Receiver<bool>) {
    let env = env.clone();
    periodic::start(stopping, async move || match compute_due(&env).await {
        Ok(0) => INTERVAL,
        Ok(count) => {
            tracing::info!(count, "computed findings that came due");
            if i64::try_from(count).is_ok_and(|count| count < BATCH) { INTERVAL } else { NEXT_BATCH }
        }
        Err(error) => {
            tracing::warn!(%error, "could not compute findings that came due; retrying in five minutes");
            INTERVAL
        }
    });
}
