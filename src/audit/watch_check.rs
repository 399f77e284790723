//! Looks up whether the database still has the committed events, and whether the audit tables have the triggers of the migrations.

use std::collections::HashMap;

use diesel::prelude::*;
use jiff::SignedDuration;

use super::triggers;
use super::watch::Committed;
use crate::db::Conn;
use crate::db::schema::{audit_events, audit_seals};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::AuditEventId;

/// How many events one query looks up.
const BATCH: usize = 500;
/// A purge may have removed older events than this, if the service was suspended. It never removes younger ones.
const PURGED_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// Looks up the committed events, and compares the triggers. Call it after new events were sealed.
///
/// # Errors
/// Those of the database. The events are awaited further.
pub async fn check(env: &Env) -> Result<()> {
    compare_triggers(env).await?;
    let watch = &env.audit;
    let mut awaited = watch.take_awaited();
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
    watch.await_further(unsealed);
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
    env.audit.add_missing();
    env.metrics.audit_missing.inc();
    tracing::error!(
        event = %event.id, at = %event.at,
        "the database does not have an audit event that it committed: it was deleted, or the database lost the commit"
    );
}

async fn compare_triggers(env: &Env) -> Result<()> {
    let compare = |conn: &mut Conn| triggers::differences(conn).map_err(|error| Error::internal("compare", error));
    let found = env.db.read(compare).await?;
    env.metrics.audit_triggers_changed.set(i64::try_from(found.len()).unwrap_or(i64::MAX));
    for new in env.audit.set_differences(found) {
        tracing::error!(difference = %new, "the audit tables were changed while the service ran");
    }
    Ok(())
}
