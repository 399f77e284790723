//! Queries of events.

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use serde_json::json;

use super::model::{EventType, Row};
use crate::clock::Timestamp;
use crate::db::schema::events;
use crate::db::types::Instant;
use crate::db::{Conn, advisory_lock, per_backend};
use crate::error::{Conflict, Error, ProblemCode, Result};

/// How many events one transaction numbers.
pub const BATCH: i64 = 1_000;

/// A part of the sequence.
pub struct Part {
    pub events: Vec<Row>,
    /// The reader has everything up to this number.
    pub through: i64,
    /// The last number.
    pub newest: i64,
}

/// Numbers waiting events, and returns how many. Returns 0 if another instance is numbering.
pub fn number(tx: &mut Conn, now: Timestamp) -> Result<usize> {
    // The instances of one PostgreSQL database number one at a time.
    if let Conn::Postgres(tx) = tx
        && !advisory_lock::try_take_key(tx, advisory_lock::NUMBERING)?
    {
        return Ok(0);
    }
    let sql = "UPDATE events SET seq = numbered.seq, occurred_at = COALESCE(events.occurred_at, $1) FROM ( \
         SELECT id, (SELECT COALESCE(max(seq), 0) FROM events) + row_number() OVER (ORDER BY id) AS seq \
         FROM (SELECT id FROM events WHERE seq IS NULL ORDER BY id LIMIT $2) AS waiting \
         ) AS numbered WHERE events.id = numbered.id";
    let query = diesel::sql_query(sql).bind::<Instant, _>(now).bind::<BigInt, _>(BATCH);
    Ok(per_backend!(tx, tx => query.execute(tx))?)
}

/// Returns whether an event waits for its number.
pub fn is_waiting(conn: &mut Conn) -> Result<bool> {
    let waiting = events::table.filter(events::seq.is_null()).order(events::id).select(events::id);
    Ok(waiting.first::<i64>(conn).optional()?.is_some())
}

/// Returns the last number, or 0 before the first.
pub fn newest(conn: &mut Conn) -> Result<i64> {
    let numbers = events::table.filter(events::seq.is_not_null()).order(events::seq.desc()).select(events::seq);
    Ok(numbers.first::<Option<i64>>(conn).optional()?.flatten().unwrap_or(0))
}

/// Returns the first number that is kept, or the next number if there is no event.
pub fn oldest(conn: &mut Conn) -> Result<i64> {
    let numbers = events::table.filter(events::seq.is_not_null()).order(events::seq).select(events::seq);
    Ok(numbers.first::<Option<i64>>(conn).optional()?.flatten().unwrap_or(1))
}

/// Reads at most `limit` events after a number. Without one, begins with the oldest event that is kept.
///
/// # Errors
/// [`Error::Gone`] if events after the number are deleted, or the number is not given yet.
pub fn after(conn: &mut Conn, after: Option<i64>, types: &[EventType], limit: i64) -> Result<Part> {
    let newest = newest(conn)?;
    let start = after.unwrap_or(0);
    let mut query = events::table
        .filter(events::seq.gt(start).and(events::seq.le(newest)))
        .order(events::seq)
        .limit(limit)
        .select(Row::as_select())
        .into_boxed();
    if !types.is_empty() {
        query = query.filter(events::kind.eq_any(types.iter().map(|kind| kind.as_str()).collect::<Vec<_>>()));
    }
    let found: Vec<Row> = query.load(conn)?;
    // Last, because events may be deleted meanwhile.
    let oldest = oldest(conn)?;
    if after.is_some_and(|after| after + 1 < oldest || after > newest) {
        return Err(expired(oldest, newest));
    }
    let is_full = i64::try_from(found.len()).is_ok_and(|count| count >= limit);
    let through = found.last().filter(|_| is_full).map_or(newest.max(start), |last| last.seq);
    Ok(Part { events: found, through, newest })
}

/// The error of a reader that asks for events which are deleted.
pub fn expired(oldest: i64, newest: i64) -> Error {
    let members = [("oldest_seq", json!(oldest)), ("newest_seq", json!(newest))];
    Error::Gone(Box::new(Conflict {
        code: ProblemCode::EventsExpired,
        detail: "Events after this number are not kept any more, or the clinic restored a backup from before it. Read the lists of \
                 appointments, patients and intakes again, and then the events after `newest_seq`."
            .to_owned(),
        members: members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    }))
}
