//! Which free time is offered to whom: the search of booking finds the times, the rule of fairness the entry.

use std::collections::hash_map::Entry as MapEntry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::Bool;
use jiff::{SignedDuration, ToSpan};

use super::entry::{self, Entry, PAUSE_AFTER};
use super::fairness::{self, Candidate, Declined};
use super::making::{replaced, require_changeable, require_movable};
use super::offer::OfferStatus;
use super::offer_times::OfferTimes;
use super::room;
use crate::appointments::appointment::AppointmentDetails;
use crate::appointments::queries;
use crate::clock::Timestamp;
use crate::context::{Anonymous, Tx};
use crate::db::raw_sql::RawSql;
use crate::db::schema::{waitlist_entries, waitlist_offers};
use crate::db::types::Date;
use crate::db::{Conn, per_backend};
use crate::error::{Error, Result};
use crate::http::paging::Cursor;
use crate::ids::{PatientId, PractitionerId, SlotId, VisitTypeId, WaitlistEntryId};
use crate::scheduling::setup::visit_type;
use crate::scheduling::slots::free::{SlotQuery, SlotView, free};
use crate::scheduling::slots::offering::Offering;

/// The length of a [`FreeDay`].
pub(super) const DAY: SignedDuration = SignedDuration::from_hours(24);
/// How many entries of the queue are read at once.
const PAGE: i64 = 500;
/// The most starts of one kind of visit on one day.
const STARTS: i64 = 1000;
/// How many free times are compared at once with what an entry was offered before, and with the patient's visits.
const CHOICES: i64 = 50;
/// How often the next ones are.
const MAX_PAGES: usize = 40;

/// The condition in SQL that an entry waits and is not paused. Literal, because the indexes have it.
pub(super) fn is_waiting() -> RawSql<Bool> {
    RawSql::new("waitlist_entries.status = 'waiting' AND waitlist_entries.lapses < 3")
}

/// A day in UTC on which time is free, of one practitioner or of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FreeDay {
    pub practitioner: Option<PractitionerId>,
    pub begins: Timestamp,
}

impl FreeDay {
    /// The day of a start.
    pub fn of(practitioner: PractitionerId, at: Timestamp) -> Self {
        let micros = at.as_micros();
        let into = SignedDuration::from_micros(micros.rem_euclid(DAY.as_micros().try_into().unwrap_or(i64::MAX)));
        Self { practitioner: Some(practitioner), begins: at.minus(into) }
    }
}

/// A free time that suits an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Proposal {
    pub entry: WaitlistEntryId,
    pub patient: PatientId,
    pub slot: SlotId,
}

/// What is to be offered next of a day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next {
    /// None if no time is left that suits an entry.
    pub proposal: Option<Proposal>,
    /// When the first location with free time that cannot be offered yet ends its quiet hours.
    pub quiet_until: Option<Timestamp>,
}

/// The times that turned out to be impossible in a round, by entry.
pub(super) type Refused = HashMap<WaitlistEntryId, HashSet<SlotId>>;

/// After this many impossible times an entry is skipped until the next round, so that it does not block the entries behind it.
const MAX_REFUSED: usize = 3;

/// A kind of visit that patients book online, with the times at which its offers end.
struct Searched<'a> {
    offering: Arc<Offering>,
    times: &'a OfferTimes,
}

impl<'a> Searched<'a> {
    /// None if patients cannot book the visit online.
    fn load(tx: &mut Tx<Anonymous>, id: VisitTypeId, times: &'a OfferTimes) -> Result<Option<Self>> {
        let kind = visit_type::find(tx.conn, id)?;
        if !kind.active || !kind.online_bookable {
            return Ok(None);
        }
        Ok(Some(Self { offering: Offering::find(tx.conn, tx.env, id)?, times }))
    }

    /// The search for starts that patients could still book at the end of the offer that ends first; [`Self::is_open`] chooses among them. None
    /// while all locations have quiet hours.
    fn query(&self, from: Timestamp, now: Timestamp) -> Option<SlotQuery> {
        let first_end = self.times.first_end()?;
        Some(SlotQuery { now, ..SlotQuery::new(&self.offering, from, first_end, false) })
    }

    /// Returns whether the location of a start has no quiet hours, and patients could still book it at the end of an offer there.
    fn is_open(&self, start: &SlotView) -> bool {
        let until = self.times.until(start.location_id);
        until.is_some_and(|until| {
            start.starts_at > until && start.starts_at >= self.offering.earliest_for_patients(until)
        })
    }

    /// Returns whether the visit that a start would replace could still be moved at the end of the offer.
    fn is_changeable(&self, visit: Option<&AppointmentDetails>, start: &SlotView) -> bool {
        let Some(visit) = visit else { return true };
        let until = self.times.until(start.location_id);
        until.is_some_and(|until| require_changeable(visit, until, false).is_ok())
    }
}

/// The starts of a kind of visit that take free time of a day.
struct DayStarts<'a> {
    searched: Searched<'a>,
    open: Vec<SlotView>,
    /// The first end of the quiet hours of a location with other starts.
    quiet_until: Option<Timestamp>,
}

/// Returns the free time of a day that is to be offered next, and to whom. The entries are read in the order of the queue until one is found
/// that it suits.
pub(super) fn propose(tx: &mut Tx<Anonymous>, day: FreeDay, refused: &Refused) -> Result<Next> {
    let times = OfferTimes::load(tx)?;
    let mut starts: HashMap<VisitTypeId, Option<DayStarts<'_>>> = HashMap::new();
    let today = entry::today(tx)?;
    for page in 0.. {
        let entries: Vec<Entry> = per_backend!(tx.conn, conn => waitlist_entries::table
            .filter(is_waiting())
            .filter(waitlist_entries::to_date.is_null().or(waitlist_entries::to_date.assume_not_null().ge(Date(today))))
            .order((waitlist_entries::urgency.desc(), waitlist_entries::created_at, waitlist_entries::id))
            .offset(page * PAGE)
            .limit(PAGE)
            .select(Entry::as_select())
            .load(conn))?;
        let is_last = i64::try_from(entries.len()).unwrap_or(PAGE) < PAGE;
        let candidates: Vec<Candidate> = entries.iter().map(Candidate::of).collect();
        let offered = with_open_offers(tx.conn, &candidates)?;
        let by_id: HashMap<WaitlistEntryId, &Entry> = entries.iter().map(|entry| (entry.id, entry)).collect();
        for candidate in fairness::queue(&candidates, &offered, PAUSE_AFTER) {
            let Some(entry) = by_id.get(&candidate.id) else { continue };
            let impossible = refused.get(&entry.id);
            if impossible.is_some_and(|slots| slots.len() >= MAX_REFUSED) {
                continue;
            }
            let found = match starts.entry(entry.visit_type_id) {
                MapEntry::Occupied(found) => found.into_mut(),
                MapEntry::Vacant(free) => free.insert(starts_on(tx, day, entry.visit_type_id, &times)?),
            };
            let Some(DayStarts { searched, open, .. }) = found else { continue };
            let is_possible = |start: &&SlotView| impossible.is_none_or(|slots| !slots.contains(&start.id));
            let possible: Vec<&SlotView> = open.iter().filter(is_possible).collect();
            if let Some(start) = first_that_suits(tx, entry, searched, &possible)?
                && room::has_room(tx, entry)?
            {
                let proposal = Proposal { entry: entry.id, patient: entry.patient_id, slot: start.id };
                return Ok(Next { proposal: Some(proposal), quiet_until: None });
            }
        }
        if is_last {
            break;
        }
    }
    let quiet_until = starts.values().flatten().filter_map(|starts| starts.quiet_until).min();
    Ok(Next { proposal: None, quiet_until })
}

/// Finds the starts of a kind of visit that take free time of the day.
fn starts_on<'a>(
    tx: &mut Tx<Anonymous>,
    day: FreeDay,
    visit_type: VisitTypeId,
    times: &'a OfferTimes,
) -> Result<Option<DayStarts<'a>>> {
    let Some(searched) = Searched::load(tx, visit_type, times)? else { return Ok(None) };
    let length = searched.offering.length;
    let Some(query) = searched.query(day.begins.minus(length.from_start()), tx.now) else { return Ok(None) };
    let query = SlotQuery {
        practitioners: day.practitioner.into_iter().collect(),
        to: day.begins.plus(DAY).plus(length.before),
        ..query
    };
    if query.from >= query.to {
        return Ok(None);
    }
    let found = free(tx.conn, &searched.offering, &query, STARTS)?;
    let quiet_until = found.iter().filter_map(|start| times.quiet_until(start.location_id)).min();
    let open = found.into_iter().filter(|start| searched.is_open(start)).collect();
    Ok(Some(DayStarts { searched, open, quiet_until }))
}

/// Returns the first of the free times that suits the entry: it has the wished time and place, the patient was not offered it before, did
/// not decline one like it within the last day, and has no other visit then, and the visit that it would replace can be moved to it.
fn first_that_suits<'a>(
    tx: &mut Tx<Anonymous>,
    entry: &Entry,
    searched: &Searched<'_>,
    starts: &[&'a SlotView],
) -> Result<Option<&'a SlotView>> {
    type Before = (PractitionerId, Timestamp, OfferStatus, Timestamp);
    let local = entry.wishes.local(entry.from_date, entry.to_date);
    let is_wished = |start: &&&SlotView| {
        let zone = searched.offering.zones.get(&start.location_id);
        entry.wishes.accept(start.practitioner_id, start.location_id)
            && zone.is_some_and(|zone| local.accepts(start.starts_at.in_zone(zone).datetime()))
    };
    let wished: Vec<&&SlotView> = starts.iter().filter(is_wished).collect();
    if wished.is_empty() {
        return Ok(None);
    }
    let visit = match replaced(tx, entry) {
        Err(Error::Conflict(_)) => return Ok(None),
        found => found?,
    };
    let wished: Vec<_> = wished.into_iter().filter(|start| searched.is_changeable(visit.as_ref(), start)).collect();
    if wished.is_empty() {
        return Ok(None);
    }
    let before: Vec<Before> = waitlist_offers::table
        .filter(waitlist_offers::entry_id.eq(entry.id))
        .select((
            waitlist_offers::practitioner_id,
            waitlist_offers::starts_at,
            waitlist_offers::status,
            waitlist_offers::updated_at,
        ))
        .load(tx.conn)?;
    let offered: HashSet<_> = before.iter().map(|(practitioner, starts_at, ..)| (*practitioner, *starts_at)).collect();
    let declined = before.into_iter().filter(|(.., status, _)| *status == OfferStatus::Declined);
    let declined: Vec<Declined> =
        declined.map(|(practitioner, starts_at, _, at)| Declined { practitioner, starts_at, at }).collect();
    for start in wished {
        let except = visit.as_ref().map(|visit| visit.appointment.id);
        if !offered.contains(&(start.practitioner_id, start.starts_at))
            && !fairness::is_like_declined((start.practitioner_id, start.starts_at), &declined, tx.now)
            && !queries::is_busy(tx.conn, entry.patient_id, (start.starts_at, start.ends_at), except)?
            && can_be_moved(tx, visit.as_ref(), start)?
        {
            return Ok(Some(start));
        }
    }
    Ok(None)
}

/// Whether the visit that a start would replace, if there is one, can be moved to it.
fn can_be_moved(tx: &mut Tx<Anonymous>, visit: Option<&AppointmentDetails>, start: &SlotView) -> Result<bool> {
    let Some(visit) = visit else { return Ok(true) };
    match require_movable(tx, visit, (start.starts_at, start.location_id)) {
        Err(Error::Conflict(_)) => Ok(false),
        other => other.map(|()| true),
    }
}

/// Returns those of the patients who have an open offer.
fn with_open_offers(conn: &mut Conn, candidates: &[Candidate]) -> Result<HashSet<PatientId>> {
    let patients: Vec<PatientId> = candidates.iter().map(|candidate| candidate.patient).collect();
    let open: Vec<PatientId> = per_backend!(conn, conn => waitlist_offers::table
        .filter(RawSql::<Bool>::new("waitlist_offers.status = 'offered'"))
        .filter(waitlist_offers::patient_id.eq_any(patients))
        .select(waitlist_offers::patient_id)
        .load(conn))?;
    Ok(open.into_iter().collect())
}

/// Returns a day on which free time suits the entry, within the span of a patient's search from the first day on that suits.
pub(super) fn day_for(tx: &mut Tx<Anonymous>, entry: &Entry, times: &OfferTimes) -> Result<Option<FreeDay>> {
    let Some(searched) = Searched::load(tx, entry.visit_type_id, times)? else { return Ok(None) };
    // The first day begins somewhere on the earth the day before.
    let first = entry.from_date.and_then(|Date(day)| day.checked_sub(1.day()).ok());
    let first = first.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
    let from = first.map_or(tx.now, |first| Timestamp::from(first.timestamp()));
    let Some(query) = searched.query(from, tx.now) else { return Ok(None) };
    let mut query = SlotQuery {
        practitioners: entry.wishes.practitioner_ids.clone(),
        locations: entry.wishes.location_ids.clone(),
        local: entry.wishes.local(entry.from_date, entry.to_date),
        ..query
    };
    for _ in 0..MAX_PAGES {
        let starts = free(tx.conn, &searched.offering, &query, CHOICES)?;
        let open: Vec<&SlotView> = starts.iter().filter(|start| searched.is_open(start)).collect();
        if let Some(start) = first_that_suits(tx, entry, &searched, &open)? {
            return Ok(Some(FreeDay::of(start.practitioner_id, start.starts_at)));
        }
        let Some(last) = starts.last().filter(|_| i64::try_from(starts.len()) == Ok(CHOICES)) else { break };
        query.after = Some(Cursor { at: last.starts_at, id: last.id.0 });
    }
    Ok(None)
}

impl Candidate {
    /// What the rule of fairness knows of an entry.
    fn of(entry: &Entry) -> Self {
        Self {
            id: entry.id,
            patient: entry.patient_id,
            urgency: entry.urgency,
            since: entry.created_at,
            lapses: entry.lapses.try_into().unwrap_or(0),
        }
    }
}
