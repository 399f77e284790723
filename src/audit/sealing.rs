//! Sealing all events that wait, with the metrics and the warning about late seals.

use super::seal::{self, Head, SEALED_WITHIN};
use crate::env::Env;
use crate::error::Result;

/// Seals until no event waits, and returns the head of the chain. Warns of old events: a person who deletes seals and an event lets the
/// service seal the rest again, and that chain is whole.
pub async fn seal_all(env: &Env, back: jiff::SignedDuration) -> Result<Head> {
    let now = env.now();
    let oldest = env.db.read(move |conn| seal::oldest_unsealed(conn, back, now)).await?;
    let lag = oldest.map_or(0.0, |at| now.since(at).as_secs_f64().max(0.0));
    env.metrics.audit_seal_lag.set(lag);
    if oldest.is_some() {
        seal::seal_waiting(&env.db, &env.signer, back, now).await?;
    }
    let head = env.db.read(seal::head).await?;
    if let Some(oldest) = oldest.filter(|at| now.since(*at) > SEALED_WITHIN) {
        tracing::warn!(
            %oldest, %head,
            "audit events older than ten minutes had no seal and have one now; unless a crash with a long outage or a restored backup \
             explains it, run `legwork audit verify --head` with a head from before"
        );
    }
    env.metrics.audit_sealed.set(head.seq);
    Ok(head)
}
