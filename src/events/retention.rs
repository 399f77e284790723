//! Deletes the oldest events. What stays has no gap.

use diesel::prelude::*;

use super::store;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::events;
use crate::error::Result;

/// How many events one transaction deletes.
const BATCH: i64 = 5_000;

/// Deletes events from the beginning of the sequence up to the first that is not older than `before`, at most [`BATCH`] of them, and
/// returns how many. The newest event stays, because the numbers continue after it.
pub fn purge(tx: &mut Conn, before: Timestamp) -> Result<usize> {
    let newest = store::newest(tx)?;
    let oldest: Vec<(Option<i64>, Option<Timestamp>)> = events::table
        .filter(events::seq.lt(newest))
        .order(events::seq)
        .limit(BATCH)
        .select((events::seq, events::occurred_at))
        .load(tx)?;
    let expired = oldest.into_iter().map_while(|(seq, at)| seq.filter(|_| at.is_some_and(|at| at < before)));
    let Some(last) = expired.last() else { return Ok(0) };
    Ok(diesel::delete(events::table.filter(events::seq.le(last))).execute(tx)?)
}
