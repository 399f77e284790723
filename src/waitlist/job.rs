//! The background job that offers times that became free. All that it has to do is in tables, so a crash loses nothing, and several
//! instances may run it: each step is a transaction that locks the patient and finds its reason still true.
//!
//! - `freed_times` has the days on which time became free, or becomes free by the clock. The job offers what is free on these days.
//! - For an entry that is new, changed, or whose offer ended, it searches a day with a free time that suits. It does so again from time to
//!   time, for what writes no row, such as a practitioner who begins to offer the visit.
//! - It ends offers and entries whose time has passed.
//!
//! In the quiet hours of a location it offers no time there. Free time of a day that cannot be offered yet keeps its rows until the quiet hours
//! end.

use std::collections::HashMap;
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::Bool;
use jiff::SignedDuration;

use super::entry::{self, Entry, WaitlistStatus};
use super::making::{self, Making, replaced};
use super::matching::{self, FreeDay, Next, Proposal, Refused, is_waiting};
use super::offer::{self, Offer, OfferStatus, OfferWay};
use super::offer_times::OfferTimes;
use super::telling;
use crate::audit_context::AuditContext;
use crate::clock::Timestamp;
use crate::context::{Anonymous, Tx};
use crate::db::raw_sql::RawSql;
use crate::db::schema::{freed_times, waitlist_entries, waitlist_offers};
use crate::db::types::Date;
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::{HoldId, PatientId, PractitionerId, WaitlistEntryId, WaitlistOfferId};
use crate::patients::store as records;
use crate::periodic::{self, go_on};
use crate::scheduling::slots::holds::keeping::{self, KeptKind};

/// The pause after a round that found nothing more to do, for what became free by the clock or through another process. Until then everyone
/// can book such a time.
const INTERVAL: Duration = Duration::from_secs(5);
/// The pause after a request has written something, such as a cancellation. Until then everyone can book what it freed.
const SETTLE: Duration = Duration::from_millis(200);
/// The pause after a round that left something.
const NEXT_ROUND: Duration = Duration::from_millis(100);
/// The most rows of each kind in a round.
const BATCH: i64 = 200;
/// The most entries for which a round searches.
const SEARCHES: i64 = 20;
/// The most proposals for one day in a round.
const PROPOSALS: usize = 100;
/// When an entry is searched for again that nothing suited.
const SEARCH_AGAIN: SignedDuration = SignedDuration::from_hours(1);
/// When an entry is searched for again whose time is about to be offered, if another patient got it.
const SEARCH_SOON: SignedDuration = SignedDuration::from_mins(10);

/// What the log says of a step that failed.
const FAILURE: &str = "a step of the waitlist failed";

/// What a round did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Round {
    /// The offers that it made.
    pub offers: usize,
    /// Whether it left work that is due.
    pub has_more: bool,
}

/// What is due in a round, at most [`BATCH`] of each kind.
#[derive(Debug, Default)]
pub struct Due {
    /// Offers whose time has passed or is gone, and offers that ended with a booking and still hold their time.
    offers: Vec<(WaitlistOfferId, PatientId)>,
    /// Entries whose last day has passed.
    entries: Vec<(WaitlistEntryId, PatientId)>,
    /// Entries for which the free times are to be searched.
    searches: Vec<(WaitlistEntryId, PatientId)>,
    /// Days on which time became free, with their rows.
    days: Vec<(FreeDay, Vec<i64>)>,
    /// Whether there may be more.
    is_cut: bool,
}

/// Reads what is due. Without work it reads the beginnings of five indexes.
pub fn due(tx: &mut Tx<Anonymous>) -> Result<Due> {
    let offers = over(tx.conn, tx.now)?;
    let entries = expired(tx)?;
    if OfferTimes::load(tx)?.first_end().is_none() {
        return Ok(Due { offers, entries, ..Due::default() });
    }
    let searches = to_search(tx.conn, tx.now)?;
    let (days, is_cut) = freed(tx.conn, tx.now)?;
    // An entry whose offer ends is searched for in the next round, and what a search finds is offered then.
    let is_cut = is_cut || !offers.is_empty() || !searches.is_empty();
    Ok(Due { offers, entries, searches, days, is_cut })
}

/// Runs one round.
pub async fn run(env: &Env) -> Result<Round> {
    let due = read(env, due).await?;
    for (id, patient) in due.offers {
        go_on(change(env, patient, move |tx| end_offer(tx, id, patient)).await, id, FAILURE)?;
    }
    for (id, patient) in due.entries {
        go_on(change(env, patient, move |tx| end_entry(tx, id, patient)).await, id, FAILURE)?;
    }
    for (id, patient) in due.searches {
        go_on(search(env, id, patient).await, id, FAILURE)?;
    }
    let mut round = Round { has_more: due.is_cut, ..Round::default() };
    for (day, rows) in due.days {
        let Some(offered) = go_on(offer_day(env, day).await, day.begins, FAILURE)? else { continue };
        round.offers += offered.made;
        // Without an offer another round at once would find the same.
        round.has_more |= !offered.is_done && offered.made > 0;
        if offered.is_done {
            // Only these rows: what became free since then has another one.
            env.db
                .write(move |conn| match offered.quiet_until {
                    Some(until) => postpone(conn, &rows, until),
                    None => remove(conn, &rows),
                })
                .await?;
        }
    }
    Ok(round)
}

/// Runs a step of the job that only reads.
async fn read<T: Send + 'static>(
    env: &Env,
    work: impl FnOnce(&mut Tx<Anonymous>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let shared = env.clone();
    env.db.read(move |conn| work(&mut Tx::new(conn, &shared, &Anonymous, &audit()))).await
}

/// Runs a step of the job that changes what belongs to a patient, who is locked.
async fn change<T: Send + 'static>(
    env: &Env,
    patient: PatientId,
    work: impl Fn(&mut Tx<Anonymous>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let shared = env.clone();
    let changed = env.db.write(move |conn| {
        // Also a record that is not in use any more: an offer of it can still keep a time from others.
        records::lock_record(conn, patient)?;
        work(&mut Tx::new(conn, &shared, &Anonymous, &audit()))
    });
    let done = changed.await?;
    env.written.send_replace(());
    Ok(done)
}

fn audit() -> AuditContext {
    AuditContext::of_command("offer_free_times")
}

/// Returns the offers that a round has to end.
fn over(conn: &mut Conn, now: Timestamp) -> Result<Vec<(WaitlistOfferId, PatientId)>> {
    let open: Vec<Offer> = per_backend!(conn, conn => waitlist_offers::table
        .filter(RawSql::<Bool>::new("waitlist_offers.status = 'offered'"))
        .order((waitlist_offers::expires_at, waitlist_offers::id))
        .limit(BATCH)
        .select(Offer::as_select())
        .load(conn))?;
    let holds: Vec<_> = open.iter().filter_map(|offer| offer.hold_id).collect();
    let kept = keeping::keeping_at(conn, &holds, now)?;
    let mut over: Vec<_> =
        open.iter().filter(|offer| !is_kept(offer, &kept)).map(|offer| (offer.id, offer.patient_id)).collect();
    over.extend(per_backend!(conn, conn => waitlist_offers::table
        .filter(RawSql::<Bool>::new("waitlist_offers.hold_id IS NOT NULL AND waitlist_offers.status <> 'offered'"))
        .limit(BATCH)
        .select((waitlist_offers::id, waitlist_offers::patient_id))
        .load::<(WaitlistOfferId, PatientId)>(conn))?);
    Ok(over)
}

/// Returns whether an open offer keeps its time, and its kind of visit can still be booked by whoever answers it: patients, or the desk.
fn is_kept(offer: &Offer, kept: &HashMap<HoldId, KeptKind>) -> bool {
    let kind = offer.hold_id.and_then(|hold| kept.get(&hold));
    kind.is_some_and(|kind| kind.active && (kind.online_bookable || offer.way == OfferWay::Phone))
}

/// Ends an offer whose patient is locked, if it is still due.
fn end_offer(tx: &mut Tx<Anonymous>, id: WaitlistOfferId, patient: PatientId) -> Result<()> {
    let found = offer::find_of(tx.conn, id, patient)?;
    let Some(hold) = found.hold_id else { return Ok(()) };
    if found.status != OfferStatus::Offered {
        keeping::release(tx, hold)?;
        offer::settle_call(tx, &found)?;
        offer::note_released(tx.conn, &found)?;
        // The entry ended with the visit that the offer would have moved. About a visit that was booked in another way there is a mail.
        let ended = entry::find(tx.conn, found.entry_id)?.status;
        let is_news = found.status == OfferStatus::Withdrawn
            && matches!(ended, WaitlistStatus::Cancelled | WaitlistStatus::Expired);
        return if is_news { telling::withdrawn(tx, &found) } else { Ok(()) };
    }
    let status = if found.expires_at <= tx.now {
        OfferStatus::Lapsed
    } else if !is_kept(&found, &keeping::keeping_at(tx.conn, &[hold], tx.now)?) {
        // The hours or the time zone of the location changed, or the kind of visit is not booked any more.
        OfferStatus::Withdrawn
    } else {
        return Ok(());
    };
    let ended = offer::end(tx, found, status)?;
    let is_news = status == OfferStatus::Withdrawn || entry::find(tx.conn, ended.entry_id)?.is_paused();
    if is_news { telling::withdrawn(tx, &ended) } else { Ok(()) }
}

/// Returns the entries whose last day has passed.
fn expired(tx: &mut Tx<Anonymous>) -> Result<Vec<(WaitlistEntryId, PatientId)>> {
    let today = entry::today(tx)?;
    Ok(per_backend!(tx.conn, conn => waitlist_entries::table
        .filter(RawSql::<Bool>::new("waitlist_entries.status = 'waiting'"))
        .filter(waitlist_entries::to_date.assume_not_null().lt(Date(today)))
        .filter(waitlist_entries::to_date.is_not_null())
        .order((waitlist_entries::to_date, waitlist_entries::id))
        .limit(BATCH)
        .select((waitlist_entries::id, waitlist_entries::patient_id))
        .load(conn))?)
}

/// Ends an entry whose patient is locked, if its last day has passed.
fn end_entry(tx: &mut Tx<Anonymous>, id: WaitlistEntryId, patient: PatientId) -> Result<()> {
    let found = entry::find_of(tx.conn, id, patient)?;
    let today = entry::today(tx)?;
    let is_due = found.status == WaitlistStatus::Waiting && found.status_on(today) == WaitlistStatus::Expired;
    if is_due { expire(tx, found) } else { Ok(()) }
}

fn expire(tx: &mut Tx<Anonymous>, found: Entry) -> Result<()> {
    entry::update(tx, Entry { status: WaitlistStatus::Expired, ..found }).map(|_| ())
}

/// Returns the entries for which the free times are to be searched.
fn to_search(conn: &mut Conn, now: Timestamp) -> Result<Vec<(WaitlistEntryId, PatientId)>> {
    Ok(per_backend!(conn, conn => waitlist_entries::table
        .filter(is_waiting())
        .filter(waitlist_entries::search_at.le(now))
        .order((waitlist_entries::search_at, waitlist_entries::id))
        .limit(SEARCHES)
        .select((waitlist_entries::id, waitlist_entries::patient_id))
        .load(conn))?)
}

/// What a search for an entry found.
#[derive(Debug, Clone, Copy)]
struct Found {
    /// The visit for which the patient wanted an earlier time has begun, or was cancelled.
    has_ended: bool,
    day: Option<FreeDay>,
    /// When the next location ends its quiet hours.
    next_morning: Option<Timestamp>,
}

/// Searches a day with a free time for an entry. What is free on that day is then offered in the order of the queue, so another entry may get
/// it first.
async fn search(env: &Env, id: WaitlistEntryId, patient: PatientId) -> Result<()> {
    let found = read(env, move |tx| {
        let found = entry::find(tx.conn, id)?;
        let times = OfferTimes::load(tx)?;
        let next_morning = times.next_morning();
        match replaced(tx, &found) {
            Err(Error::Conflict(_)) => Ok(Found { has_ended: true, day: None, next_morning }),
            Err(other) => Err(other),
            Ok(_) => Ok(Found { has_ended: false, day: matching::day_for(tx, &found, &times)?, next_morning }),
        }
    });
    let found = found.await?;
    change(env, patient, move |tx| note_search(tx, (id, patient), found)).await
}

/// Stores what a search found for an entry whose patient is locked.
fn note_search(
    tx: &mut Tx<Anonymous>,
    (id, patient): (WaitlistEntryId, PatientId),
    Found { has_ended, day, next_morning }: Found,
) -> Result<()> {
    let found = entry::find_of(tx.conn, id, patient)?;
    if found.status != WaitlistStatus::Waiting || found.search_at > tx.now {
        return Ok(());
    }
    if has_ended {
        return expire(tx, found);
    }
    if let Some(FreeDay { practitioner, begins }) = day {
        let at_once = Timestamp::from_micros(0);
        diesel::insert_into(freed_times::table)
            .values((
                freed_times::practitioner_id.eq(practitioner),
                freed_times::day.eq(begins),
                freed_times::due_at.eq(at_once.unwrap_or(tx.now)),
            ))
            .execute(tx.conn)?;
    }
    let next = tx.now.plus(if day.is_some() { SEARCH_SOON } else { SEARCH_AGAIN });
    // Then there may be more to offer.
    let next = next_morning.map_or(next, |morning| next.min(morning));
    diesel::update(waitlist_entries::table.find(id)).set(waitlist_entries::search_at.eq(next)).execute(tx.conn)?;
    Ok(())
}

/// The days on which time became free, each with its rows, and whether there are more rows.
type Freed = (Vec<(FreeDay, Vec<i64>)>, bool);

fn freed(conn: &mut Conn, now: Timestamp) -> Result<Freed> {
    let rows: Vec<(i64, Option<PractitionerId>, Timestamp)> = freed_times::table
        .filter(freed_times::due_at.le(now))
        .order((freed_times::due_at, freed_times::id))
        .limit(BATCH)
        .select((freed_times::id, freed_times::practitioner_id, freed_times::day))
        .load(conn)?;
    let is_cut = i64::try_from(rows.len()).unwrap_or(BATCH) == BATCH;
    let (mut days, mut places) = (Vec::<(FreeDay, Vec<i64>)>::new(), HashMap::<FreeDay, usize>::new());
    for (id, practitioner, begins) in rows {
        let day = FreeDay { practitioner, begins };
        let place = *places.entry(day).or_insert_with(|| {
            days.push((day, Vec::new()));
            days.len() - 1
        });
        days[place].1.push(id);
    }
    Ok((days, is_cut))
}

fn remove(conn: &mut Conn, rows: &[i64]) -> Result<()> {
    let rows = rows.to_vec();
    per_backend!(conn, conn => diesel::delete(freed_times::table.filter(freed_times::id.eq_any(rows))).execute(conn))?;
    Ok(())
}

/// Lets the day of the rows be looked at again later.
fn postpone(conn: &mut Conn, rows: &[i64], until: Timestamp) -> Result<()> {
    let rows = rows.to_vec();
    per_backend!(conn, conn => diesel::update(freed_times::table.filter(freed_times::id.eq_any(rows)))
        .set(freed_times::due_at.eq(until))
        .execute(conn))?;
    Ok(())
}

/// What became of the free time of a day.
#[derive(Debug, Clone, Copy)]
struct Offered {
    /// How many offers were made.
    made: usize,
    /// Whether nothing is left that could be offered now.
    is_done: bool,
    /// When the rest can be offered, if there is one at a location that has quiet hours.
    quiet_until: Option<Timestamp>,
}

/// Offers what is free on a day, one time after the other.
async fn offer_day(env: &Env, day: FreeDay) -> Result<Offered> {
    let (mut made, mut refused) = (0, Refused::new());
    for _ in 0..PROPOSALS {
        let known = refused.clone();
        let Next { proposal, quiet_until } = read(env, move |tx| matching::propose(tx, day, &known)).await?;
        let Some(proposal) = proposal else { return Ok(Offered { made, is_done: true, quiet_until }) };
        match change(env, proposal.patient, move |tx| make(tx, proposal)).await {
            Ok(()) => made += 1,
            // Another instance, a booking or a change of the set-up was first.
            Err(Error::Conflict(conflict)) => {
                tracing::debug!(entry = %proposal.entry, code = %conflict.code, "a free time could not be offered");
                refused.entry(proposal.entry).or_default().insert(proposal.slot);
            }
            Err(other) => return Err(other),
        }
    }
    Ok(Offered { made, is_done: false, quiet_until: None })
}

fn make(tx: &mut Tx<Anonymous>, proposal: Proposal) -> Result<()> {
    let found = entry::find_of(tx.conn, proposal.entry, proposal.patient)?;
    making::make(tx, found, Making { slot_id: proposal.slot, way: None, made_by: None }).map(|_| ())
}

/// Starts the background job.
pub fn start(env: &Env, stopping: tokio::sync::watch::Receiver<bool>) {
    let (env, written) = (env.clone(), env.written.subscribe());
    periodic::start_after_writes(stopping, written, SETTLE, async move || match run(&env).await {
        Ok(round) => {
            if round.offers > 0 {
                tracing::info!(offers = round.offers, "offered free times to patients on the waitlist");
            }
            if round.has_more { NEXT_ROUND } else { INTERVAL }
        }
        Err(error) => {
            tracing::warn!(%error, "could not offer free times; retrying");
            INTERVAL
        }
    });
}
