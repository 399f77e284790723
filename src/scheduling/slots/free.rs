//! Reads free slots in order, a chunk at a time, until enough of them can start a visit.
//!
//! Each query is one range of a partial index of the free slots. Which starts fit is decided in Rust ([`Finder`]), by the rule of booking
//! and alike on both engines. Without a start that fits, each free slot of the period is read once.

use diesel::prelude::*;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::fitting::{Finder, FreeSlot};
use super::offering::Offering;
use super::slot::is_open;
use crate::clock::Timestamp;
use crate::db::schema::slots;
use crate::db::{Conn, per_backend};
use crate::error::Result;
use crate::http::paging::Cursor;
use crate::ids::{LocationId, PractitionerId, SlotId};
use crate::scheduling::visit_time::VisitLength;

/// The longest time span of a search.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(31 * 24);
/// The largest number of rows that are read at once.
const MAX_CHUNK: i64 = 4096;
/// The usual length of a slot. It only decides how many rows are read first.
const USUAL_SLOT_MINUTES: i64 = 15;

/// A slot in which a visit can start, with the time of the whole visit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Slot, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "practitioner_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01",
    "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "starts_at": "2026-03-09T13:30:00Z",
    "ends_at": "2026-03-09T14:30:00Z", "time_zone": "America/New_York"
}))]
pub struct SlotView {
    /// The slot to book or hold.
    pub id: SlotId,
    /// The practitioner.
    pub practitioner_id: PractitionerId,
    /// The location.
    pub location_id: LocationId,
    /// The start of the visit.
    pub starts_at: Timestamp,
    /// The end of the visit.
    pub ends_at: Timestamp,
    /// The location's IANA time zone.
    pub time_zone: String,
}

impl SlotView {
    fn new(visit: &Offering, slot: FreeSlot) -> Self {
        let FreeSlot { id, practitioner_id, location_id, starts_at, .. } = slot;
        let time_zone = visit.zones.get(&location_id).cloned().unwrap_or_default();
        Self { id, practitioner_id, location_id, starts_at, ends_at: starts_at.plus(visit.length.visit), time_zone }
    }
}

/// A checked search.
#[derive(Debug, Clone)]
pub struct SlotQuery {
    /// Only with this practitioner.
    pub practitioner_id: Option<PractitionerId>,
    /// Only at this location.
    pub location_id: Option<LocationId>,
    /// The earliest start, inclusive.
    pub from: Timestamp,
    /// The latest start, exclusive.
    pub to: Timestamp,
    /// The time by which holds lapse.
    pub now: Timestamp,
    /// The last slot of the previous page.
    pub after: Option<Cursor>,
}

impl SlotQuery {
    /// Searches from `from` on for as long as a search can. Leaves out starts in the past, and for patients those within the visit
    /// type's booking notice.
    pub fn new(visit: &Offering, from: Timestamp, now: Timestamp, by_staff: bool) -> Self {
        // A visit cannot start at the instant of the search itself.
        let first = now.plus(SignedDuration::from_micros(1));
        let first = if by_staff { first } else { first.max(visit.earliest_for_patients(now)) };
        let from = from.max(first);
        Self { practitioner_id: None, location_id: None, from, to: from.plus(WINDOW), now, after: None }
    }
}

/// The index whose range is read.
#[derive(Debug, Clone, Copy)]
enum Scope {
    Everyone,
    At(LocationId),
    With(PractitionerId),
}

/// Finds the first `limit` slots in which the whole visit fits, earliest first.
pub fn free(conn: &mut Conn, visit: &Offering, query: &SlotQuery, limit: i64) -> Result<Vec<SlotView>> {
    let offering = &visit.practitioners;
    if offering.is_empty() || query.practitioner_id.is_some_and(|id| !offering.contains(&id)) {
        return Ok(Vec::new());
    }
    let scope = match (query.practitioner_id, query.location_id) {
        (Some(practitioner), _) => Scope::With(practitioner),
        (None, Some(location)) => Scope::At(location),
        (None, None) => Scope::Everyone,
    };
    let found = read(conn, visit, query, scope, limit)?;
    Ok(found.into_iter().map(|slot| SlotView::new(visit, slot)).collect())
}

/// Reads the range of one index. If most rows are of practitioners who do not offer the visit type, reads the range of each one who does
/// instead, once it has read more rows than that way would.
fn read(conn: &mut Conn, visit: &Offering, query: &SlotQuery, scope: Scope, limit: i64) -> Result<Vec<FreeSlot>> {
    let offering = &visit.practitioners;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut finder = Finder::new(visit.length, query.now);
    let (mut read, mut skipped) = (0_usize, 0_usize);
    // The visit starts in a later slot than this one.
    let begin = match query.after {
        Some(cursor) if cursor.at >= query.from => (cursor.at, cursor.id),
        _ => (query.from, Uuid::nil()),
    };
    // The buffer before the first visit may begin in an earlier slot.
    let mut after =
        if visit.length.before.is_zero() { begin } else { (begin.0.minus(visit.length.before), Uuid::nil()) };
    let practitioners = if matches!(scope, Scope::With(_)) { 1 } else { offering.len() };
    let mut size = first_chunk(practitioners, visit.length, limit);
    let one_by_one = offering.len().saturating_mul(usize::try_from(size).unwrap_or(usize::MAX));
    // A visit that starts before the end of the search may end after it.
    let to = query.to.plus(visit.length.from_start());
    loop {
        let rows = chunk(conn, to, scope, after, size)?;
        let is_last = i64::try_from(rows.len()).unwrap_or(i64::MAX) < size;
        read += rows.len();
        let Some(last) = rows.last() else { break };
        after = (last.starts_at, last.id.0);
        for slot in rows {
            if offering.contains(&slot.practitioner_id) && query.location_id.is_none_or(|id| id == slot.location_id) {
                let is_start = (slot.starts_at, slot.id.0) > begin && slot.starts_at < query.to;
                finder.add(slot, is_start);
            } else {
                skipped += 1;
            }
        }
        let is_over = after.0 >= query.to && !finder.is_undecided();
        if is_last || is_over || finder.decided() >= wanted {
            break;
        }
        if !matches!(scope, Scope::With(_)) && skipped > read / 2 && read > one_by_one {
            return read_one_by_one(conn, visit, query, limit);
        }
        size = (size * 2).min(MAX_CHUNK);
    }
    Ok(finder.finish().take(wanted).collect())
}

fn read_one_by_one(conn: &mut Conn, visit: &Offering, query: &SlotQuery, limit: i64) -> Result<Vec<FreeSlot>> {
    let mut found = Vec::new();
    for practitioner in &visit.practitioners {
        found.extend(read(conn, visit, query, Scope::With(*practitioner), limit)?);
    }
    found.sort_by_key(|slot| (slot.starts_at, slot.id));
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

/// How many rows the result of `limit` starts usually takes with this number of practitioners: the starts, a quarter more for slots before a
/// break, in which no visit can start, and what of the first and the last visits lies before and after their starts.
fn first_chunk(practitioners: usize, length: VisitLength, limit: i64) -> i64 {
    let practitioners = i64::try_from(practitioners).unwrap_or(MAX_CHUNK);
    let minutes = (length.before + length.from_start()).as_mins();
    practitioners.saturating_mul((minutes - 1) / USUAL_SLOT_MINUTES).saturating_add(limit + limit / 4).min(MAX_CHUNK)
}

/// The next free slots after a start and an id. The text of the query does not depend on the values, so it stays prepared.
fn chunk(
    conn: &mut Conn,
    to: Timestamp,
    scope: Scope,
    (at, id): (Timestamp, Uuid),
    size: i64,
) -> Result<Vec<FreeSlot>> {
    per_backend!(conn, conn => {
        let range = slots::table
            .select(FreeSlot::as_select())
            .filter(is_open())
            .filter(slots::starts_at.ge(at))
            .filter(slots::starts_at.lt(to))
            .filter(slots::starts_at.gt(at).or(slots::id.gt(SlotId(id))))
            .order((slots::starts_at, slots::id))
            .limit(size);
        Ok(match scope {
            Scope::Everyone => range.load(conn)?,
            Scope::At(location) => range.filter(slots::location_id.eq(location)).load(conn)?,
            Scope::With(practitioner) => range.filter(slots::practitioner_id.eq(practitioner)).load(conn)?,
        })
    })
}
