//! Reads free slots in order, a chunk at a time, until enough of them can start a visit.
//!
//! Each query is one range of a partial index of the free slots. Which starts fit is decided in Rust ([`Finder`]), by the rule of booking
//! and alike on both engines. Without a start that fits, each free slot of the period is read once.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use diesel::prelude::*;
use jiff::SignedDuration;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::fitting::{Finder, FreeSlot};
use super::local::LocalFilter;
use super::offering::Offering;
use super::slot::is_open;
use super::units::Units;
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
        let time_zone = visit.zones.get(&location_id).and_then(TimeZone::iana_name).unwrap_or_default().to_owned();
        Self { id, practitioner_id, location_id, starts_at, ends_at: starts_at.plus(visit.length.visit), time_zone }
    }
}

/// A checked search.
#[derive(Debug, Clone)]
pub struct SlotQuery {
    /// Only with these practitioners; empty for all who offer the visit type.
    pub practitioners: Vec<PractitionerId>,
    /// Only at these locations; empty for all.
    pub locations: Vec<LocationId>,
    /// Only at these local dates and times.
    pub local: LocalFilter,
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
        let (practitioners, locations, local) = (Vec::new(), Vec::new(), LocalFilter::default());
        Self { practitioners, locations, local, from, to: from.plus(WINDOW), now, after: None }
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
    let reading = Reading::new(conn, visit, query)?;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let size = first_chunk(reading.practitioners.len(), visit.length, limit);
    let mut is_enough = |finder: &mut Finder| finder.decided() >= wanted;
    let found = if let Some(finder) = reading.scan(conn, reading.scope(), size, &mut is_enough)? {
        finder.finish().take(wanted).collect()
    } else {
        let mut found = Vec::new();
        let size = first_chunk(1, visit.length, limit);
        for practitioner in reading.practitioners.iter() {
            let finder = reading.scan(conn, Scope::With(*practitioner), size, &mut is_enough)?;
            found.extend(finder.into_iter().flat_map(Finder::finish).take(wanted));
        }
        found.sort_by_key(|slot| (slot.starts_at, slot.id));
        found.truncate(wanted);
        found
    };
    Ok(found.into_iter().map(|slot| SlotView::new(visit, slot)).collect())
}

/// Counts the starts of a search by local date. Reads each row of the period once and keeps none.
pub fn count_by_date(conn: &mut Conn, visit: &Offering, query: &SlotQuery) -> Result<BTreeMap<Date, u32>> {
    let reading = Reading::new(conn, visit, query)?;
    let mut counts = BTreeMap::new();
    let count = |counts: &mut BTreeMap<Date, u32>, finder: &mut Finder| {
        for slot in finder.take_found() {
            if let Some(zone) = visit.zones.get(&slot.location_id) {
                *counts.entry(slot.starts_at.in_zone(zone).date()).or_default() += 1;
            }
        }
        false
    };
    let whole = reading.scan(conn, reading.scope(), MAX_CHUNK, &mut |finder| count(&mut counts, finder))?;
    if whole.is_none() {
        counts.clear();
        for practitioner in reading.practitioners.iter() {
            let scope = Scope::With(*practitioner);
            reading.scan(conn, scope, MAX_CHUNK, &mut |finder| count(&mut counts, finder))?;
        }
    }
    Ok(counts)
}

/// A search with what decides whether a slot belongs to it.
struct Reading<'a> {
    visit: &'a Offering,
    query: &'a SlotQuery,
    /// Those of the search's practitioners who offer the visit type.
    practitioners: Cow<'a, HashSet<PractitionerId>>,
    /// The time zones, if the search has local filters.
    zones: Option<&'a HashMap<LocationId, TimeZone>>,
    /// The units of resources that the visit needs; none if it needs none.
    units: Option<Arc<Units>>,
}

impl<'a> Reading<'a> {
    fn new(conn: &mut Conn, visit: &'a Offering, query: &'a SlotQuery) -> Result<Self> {
        let offering = &visit.practitioners;
        let practitioners = if query.practitioners.is_empty() {
            Cow::Borrowed(offering)
        } else {
            Cow::Owned(query.practitioners.iter().copied().filter(|id| offering.contains(id)).collect())
        };
        let zones = if query.local.is_any() { None } else { Some(&visit.zones) };
        let span = (query.from.minus(visit.length.before), query.to.plus(visit.length.from_start()));
        let units = visit.units_between(conn, span, query.now)?;
        Ok(Self { visit, query, practitioners, zones, units })
    }

    fn scope(&self) -> Scope {
        let chosen = if self.query.practitioners.is_empty() { None } else { self.practitioners.iter().next() };
        match (chosen, self.query.locations.as_slice()) {
            (Some(practitioner), _) if self.practitioners.len() == 1 => Scope::With(*practitioner),
            (_, [location]) => Scope::At(*location),
            _ => Scope::Everyone,
        }
    }

    /// Whether the visit may take the slot.
    fn has(&self, slot: &FreeSlot) -> bool {
        let locations = &self.query.locations;
        self.practitioners.contains(&slot.practitioner_id)
            && (locations.is_empty() || locations.contains(&slot.location_id))
    }

    /// The visit starts in a later slot than this one.
    fn begin(&self) -> (Timestamp, Uuid) {
        match self.query.after {
            Some(cursor) if cursor.at >= self.query.from => (cursor.at, cursor.id),
            _ => (self.query.from, Uuid::nil()),
        }
    }

    /// Whether the visit may start in the slot.
    fn is_start(&self, slot: &FreeSlot) -> bool {
        let is_local = || match &self.zones {
            None => true,
            Some(zones) => zones
                .get(&slot.location_id)
                .is_some_and(|zone| self.query.local.accepts(slot.starts_at.in_zone(zone).datetime())),
        };
        (slot.starts_at, slot.id.0) > self.begin() && slot.starts_at < self.query.to && is_local()
    }

    /// Reads the range of one index until `is_enough`, first `size` rows. Returns none, once it has read more rows than the ranges of the
    /// practitioners one by one would have, if most rows are of others.
    fn scan(
        &self,
        conn: &mut Conn,
        scope: Scope,
        mut size: i64,
        is_enough: &mut impl FnMut(&mut Finder) -> bool,
    ) -> Result<Option<Finder>> {
        let (visit, query) = (self.visit, self.query);
        let mut finder = Finder::new(visit.length, query.now, self.units.clone());
        if self.practitioners.is_empty() {
            return Ok(Some(finder));
        }
        let (mut read, mut skipped) = (0_usize, 0_usize);
        let begin = self.begin();
        // The buffer before the first visit may begin in an earlier slot.
        let mut after =
            if visit.length.before.is_zero() { begin } else { (begin.0.minus(visit.length.before), Uuid::nil()) };
        let one_by_one = self.practitioners.len().saturating_mul(usize::try_from(size).unwrap_or(usize::MAX));
        // A visit that starts before the end of the search may end after it.
        let to = query.to.plus(visit.length.from_start());
        loop {
            let rows = chunk(conn, to, scope, after, size)?;
            let is_last = i64::try_from(rows.len()).unwrap_or(i64::MAX) < size;
            read += rows.len();
            let Some(last) = rows.last() else { break };
            after = (last.starts_at, last.id.0);
            for slot in rows {
                if self.has(&slot) {
                    let is_start = self.is_start(&slot);
                    finder.add(slot, is_start);
                } else {
                    skipped += 1;
                }
            }
            let is_over = after.0 >= query.to && !finder.is_undecided();
            if is_enough(&mut finder) || is_last || is_over {
                break;
            }
            if !matches!(scope, Scope::With(_)) && skipped > read / 2 && read > one_by_one {
                return Ok(None);
            }
            size = (size * 2).min(MAX_CHUNK);
        }
        Ok(Some(finder))
    }
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
