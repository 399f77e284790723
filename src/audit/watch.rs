//! What a running service knows of its trail: whether events can be stored, whether the database still has those that it committed, and
//! whether the audit tables have the triggers of the migrations. Readiness ends with any fault.
//!
//! The database reports a committed event as stored even if a trigger deleted it in the same transaction. So each committed event is
//! awaited here, and the sealing loop looks it up until it has its seal. From then on the chain shows its removal.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use diesel::prelude::*;
use jiff::SignedDuration;

use super::triggers::{self, Difference};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{audit_events, audit_seals};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::AuditEventId;

/// How many committed events are awaited at most, which takes some megabytes. They are looked up about every second.
const MAX_AWAITED: usize = 100_000;
/// How many events one query looks up.
const BATCH: usize = 500;
/// A purge may have removed older events than this, if the service was suspended. It never removes younger ones.
const PURGED_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// A committed event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    pub id: AuditEventId,
    /// The time.
    pub at: Timestamp,
}

/// The state of the trail.
#[derive(Debug, Default)]
pub struct Watch {
    /// Whether events cannot be stored.
    stalled: AtomicBool,
    /// The committed events without a known seal.
    awaited: Mutex<Vec<Committed>>,
    /// Whether events were not awaited because there were too many.
    overflowed: AtomicBool,
    /// How many committed events the database did not have.
    missing: AtomicU64,
    /// How the triggers differ from the migrations, as last compared.
    differences: Mutex<Vec<Difference>>,
}

impl Watch {
    /// Sets whether events cannot be stored.
    pub fn set_stalled(&self, stalled: bool) {
        self.stalled.store(stalled, Ordering::Relaxed);
    }

    /// Awaits the seals of events whose transaction has committed.
    pub fn committed(&self, events: impl IntoIterator<Item = Committed>) {
        let mut awaited = lock(&self.awaited);
        for event in events {
            if awaited.len() >= MAX_AWAITED {
                self.overflowed.store(true, Ordering::Relaxed);
                return;
            }
            awaited.push(event);
        }
    }

    /// Returns why the service is not ready, in words for the operator.
    pub fn fault(&self) -> Option<String> {
        if self.stalled.load(Ordering::Relaxed) {
            return Some(
                "Audit events cannot be stored, so requests are rejected. Check whether the disk is full.".to_owned(),
            );
        }
        let missing = self.missing.load(Ordering::Relaxed);
        if missing > 0 {
            return Some(format!(
                "The database has lost {missing} committed audit events. Find out who deleted them, run `legwork audit verify` and restart."
            ));
        }
        if let Some(first) = lock(&self.differences).first() {
            return Some(format!("{first}. It could drop audit events. Find out who did it, and restore the schema."));
        }
        self.overflowed.load(Ordering::Relaxed).then(|| {
            "Audit events get no seals, so they cannot be checked. The log has the error of the database.".to_owned()
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks up the committed events, and compares the triggers. Call it after new events were sealed.
///
/// # Errors
/// Those of the database. The events are awaited further.
pub async fn check(env: &Env) -> Result<()> {
    compare_triggers(env).await?;
    let watch = &env.audit;
    let mut awaited = std::mem::take(&mut *lock(&watch.awaited));
    let mut done = 0;
    let mut unsealed = Vec::new();
    let mut result = Ok(());
    for events in awaited.chunks(BATCH) {
        let ids: Vec<AuditEventId> = events.iter().map(|event| event.id).collect();
        let found = match env.db.read(move |conn| find(conn, ids)).await {
            Ok(found) => found,
            Err(error) => {
                result = Err(error);
                break;
            }
        };
        done += events.len();
        for event in events {
            match found.get(&event.id) {
                Some(Some(_)) => {}
                // Another instance is sealing, or the next pass does.
                Some(None) => unsealed.push(*event),
                None if event.at < env.now().minus(PURGED_AFTER) => {}
                None => report_missing(env, event),
            }
        }
    }
    unsealed.extend(awaited.drain(done..));
    let mut later = lock(&watch.awaited);
    let has_room = unsealed.len() + later.len() < MAX_AWAITED;
    later.extend(unsealed);
    if has_room {
        watch.overflowed.store(false, Ordering::Relaxed);
    }
    result
}

/// Returns those of the events that exist, each with the place of its seal.
fn find(conn: &mut Conn, ids: Vec<AuditEventId>) -> Result<HashMap<AuditEventId, Option<i64>>> {
    let found: Vec<_> = audit_events::table
        .left_join(audit_seals::table.on(audit_seals::event_id.eq(audit_events::id)))
        .filter(audit_events::id.eq_any(ids))
        .select((audit_events::id, audit_seals::seq.nullable()))
        .load(conn)?;
    Ok(found.into_iter().collect())
}

fn report_missing(env: &Env, event: &Committed) {
    env.audit.missing.fetch_add(1, Ordering::Relaxed);
    env.metrics.audit_missing.inc();
    tracing::error!(
        event = %event.id, at = %event.at,
        "the database does not have an audit event that it committed: it was deleted, or the database lost the commit"
    );
}

async fn compare_triggers(env: &Env) -> Result<()> {
    let compare = |conn: &mut Conn| triggers::differences(conn).map_err(|error| Error::internal("compare", error));
    let found = env.db.read(compare).await?;
    let mut known = lock(&env.audit.differences);
    for new in found.iter().filter(|difference| !known.contains(difference)) {
        tracing::error!(difference = %new, "the audit tables were changed while the service ran");
    }
    env.metrics.audit_triggers_changed.set(i64::try_from(found.len()).unwrap_or(i64::MAX));
    *known = found;
    Ok(())
}
