//! Publishing: the slots of the coming days, made to agree with the weekly hours.
//!
//! It may run at any time and any number of times: it adds the slots that are missing and takes away the free ones that
//! the hours no longer have, and never touches a slot that is booked or held, nor makes one that overlaps what stays.

use std::time::Duration;

use diesel::prelude::*;
use jiff::{Span, ToSpan};

use super::hours::{self, Place, Rule, Stretch, Weekday};
use super::model::{Practitioner, Slot};
use super::slots::{self as locks, Range};
use super::store;
use crate::clock::Timestamp;
use crate::db::schema::{availability, locations, practitioner_locations, practitioners, slots};
use crate::db::types::Date;
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::{LocationId, PractitionerId, SlotId};

/// How often the horizon is moved on; a few rows of work where nothing is to do.
const ROUND: Duration = Duration::from_hours(1);
/// Rows of one statement.
const CHUNK: usize = 500;

/// What publishing has to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Free slots that the hours no longer have.
    pub remove: Vec<SlotId>,
    /// Slots that are missing.
    pub add: Vec<Stretch>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.add.is_empty()
    }
}

/// Compares the slots that the hours want with those that are there. `wanted` lies after `now` and does not overlap in
/// itself; `there` are the slots of the one practitioner that end after `now`.
///
/// A blocked slot that the hours no longer have stays as long as it lies in the way of one that they want: the block
/// means the doctor's time, however it is cut.
pub fn plan(wanted: &[Stretch], there: &[Slot], now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let mut kept: Vec<&Slot> = Vec::new();
    for slot in there {
        let same = Stretch { starts_at: slot.starts_at, ends_at: slot.ends_at, location_id: slot.location_id };
        let firm = slot.appointment_id.is_some() || slot.is_held(now, None) || slot.starts_at <= now;
        let in_the_way = || slot.blocked && overlapping(wanted, slot);
        if firm || wanted.binary_search(&same).is_ok() || in_the_way() {
            kept.push(slot);
        } else {
            plan.remove.push(slot.id);
        }
    }
    kept.sort_unstable_by_key(|slot| slot.starts_at);
    plan.add = wanted.iter().filter(|stretch| !hit(&kept, stretch)).copied().collect();
    plan
}

/// Whether one of `wanted`, which are in order, overlaps the slot.
fn overlapping(wanted: &[Stretch], slot: &Slot) -> bool {
    let after = wanted.partition_point(|stretch| stretch.ends_at <= slot.starts_at);
    wanted.get(after).is_some_and(|stretch| stretch.overlaps(slot.starts_at, slot.ends_at))
}

/// Whether one of `kept`, which are in order and do not overlap, overlaps the stretch.
fn hit(kept: &[&Slot], stretch: &Stretch) -> bool {
    let after = kept.partition_point(|slot| slot.ends_at <= stretch.starts_at);
    kept.get(after).is_some_and(|slot| stretch.overlaps(slot.starts_at, slot.ends_at))
}

/// Publishes a practitioner's hours up to the horizon, inside the caller's transaction. The practitioner's row must be
/// locked ([`store::lock_practitioner`]), and no slot yet.
///
/// # Errors
/// The database's.
pub fn publish(tx: &mut Conn, env: &Env, practitioner: &Practitioner) -> Result<()> {
    let now = env.now();
    let there = locks::lock_ranges(tx, &[ahead(practitioner.id, now)])?;
    let plan = plan(&wanted(tx, env, practitioner, now)?, &there, now);
    for ids in plan.remove.chunks(CHUNK) {
        diesel::delete(slots::table.filter(slots::id.eq_any(ids.to_vec())).filter(slots::appointment_id.is_null()))
            .execute(tx)?;
    }
    for stretches in plan.add.chunks(CHUNK) {
        let rows: Vec<NewSlot> = stretches.iter().map(|stretch| NewSlot::new(env, practitioner.id, stretch)).collect();
        per_backend!(tx, tx => diesel::insert_into(slots::table).values(&rows).execute(tx))?;
    }
    Ok(())
}

/// The slots from now on, and the one that is running: none is longer than a day.
fn ahead(practitioner_id: PractitionerId, now: Timestamp) -> Range {
    let day = jiff::SignedDuration::from_hours(24);
    Range { practitioner_id, from: now.minus(day), to: Timestamp::from(jiff::Timestamp::MAX) }
}

/// What stands in the table of a new slot.
#[derive(Insertable)]
#[diesel(table_name = slots)]
struct NewSlot {
    id: SlotId,
    practitioner_id: PractitionerId,
    location_id: LocationId,
    starts_at: Timestamp,
    ends_at: Timestamp,
}

impl NewSlot {
    fn new(env: &Env, practitioner_id: PractitionerId, stretch: &Stretch) -> Self {
        let Stretch { starts_at, ends_at, location_id } = *stretch;
        Self { id: env.new_id(), practitioner_id, location_id, starts_at, ends_at }
    }
}

/// The slots that a practitioner's hours want from now to the horizon, in order.
fn wanted(tx: &mut Conn, env: &Env, practitioner: &Practitioner, now: Timestamp) -> Result<Vec<Stretch>> {
    let horizon = Span::new().days(env.config.settings.slot_horizon_days);
    let mut wanted = cut(tx, practitioner, |place| {
        let today = now.in_zone(&place.zone).date();
        (today, today.saturating_add(horizon).saturating_add(1.day()))
    })?;
    wanted.retain(|stretch| stretch.starts_at > now);
    Ok(wanted)
}

/// The slots that a practitioner's hours give on the days that `days` names for each place, in order, without overlaps.
fn cut(
    tx: &mut Conn,
    practitioner: &Practitioner,
    days: impl Fn(&Place) -> (jiff::civil::Date, jiff::civil::Date),
) -> Result<Vec<Stretch>> {
    if !practitioner.active {
        return Ok(Vec::new());
    }
    let rules = rules(tx, practitioner.id)?;
    let mut all = Vec::new();
    for place in places(tx, practitioner.id)? {
        let (from, until) = days(&place);
        all.append(&mut hours::slots(&rules, &place, from, until));
    }
    all.sort_unstable();
    // Rules are checked against each other when they are written; places that change their zone later may still collide.
    let mut end = Timestamp::from(jiff::Timestamp::MIN);
    all.retain(|stretch| {
        let free = stretch.starts_at >= end;
        end = if free { stretch.ends_at } else { end };
        free
    });
    Ok(all)
}

/// The weekly hours as they stand in the table, in order.
pub(super) fn rules(tx: &mut Conn, practitioner: PractitionerId) -> Result<Vec<Rule>> {
    let rows = availability::table
        .filter(availability::practitioner_id.eq(practitioner))
        .order((availability::weekday, availability::start_minute, availability::valid_from, availability::id))
        .select((
            availability::location_id,
            availability::weekday,
            availability::start_minute,
            availability::end_minute,
            availability::valid_from,
            availability::valid_until,
        ))
        .load::<(LocationId, i32, i32, i32, Option<Date>, Option<Date>)>(tx)?;
    rows.into_iter()
        .map(|(location_id, weekday, start_minute, end_minute, valid_from, valid_until)| {
            let weekday = Weekday::from_iso(weekday).ok_or_else(|| Error::fault("a weekday that is none"))?;
            let (valid_from, valid_until) = (valid_from.map(|day| day.0), valid_until.map(|day| day.0));
            Ok(Rule { location_id, weekday, start_minute, end_minute, valid_from, valid_until })
        })
        .collect()
}

/// The places where a practitioner works now.
pub(super) fn places(tx: &mut Conn, practitioner: PractitionerId) -> Result<Vec<Place>> {
    let places = practitioner_locations::table
        .inner_join(locations::table.on(locations::id.eq(practitioner_locations::location_id)))
        .filter(practitioner_locations::practitioner_id.eq(practitioner))
        .order(locations::id)
        .select(super::model::Location::as_select())
        .load(tx)?;
    places
        .into_iter()
        .map(|place| Ok(Place { location_id: place.id, zone: place.zone()?, slot_minutes: place.slot_minutes }))
        .collect()
}

/// Takes away those of `freed`, which were just given back and are locked, that the hours no longer have.
pub(super) fn withdraw_unwanted(tx: &mut Conn, freed: &[Slot]) -> Result<()> {
    let (Some(first), Some(last)) = (freed.first(), freed.last()) else { return Ok(()) };
    let practitioner = store::practitioner(tx, first.practitioner_id)?;
    let (from, until) = freed.iter().fold((first.starts_at, last.ends_at), |(from, until), slot| {
        (from.min(slot.starts_at), until.max(slot.ends_at))
    });
    let wanted = cut(tx, &practitioner, |place| {
        (from.in_zone(&place.zone).date(), until.in_zone(&place.zone).date().saturating_add(1.day()))
    })?;
    let unwanted: Vec<SlotId> = freed
        .iter()
        .filter(|slot| {
            let same = Stretch { starts_at: slot.starts_at, ends_at: slot.ends_at, location_id: slot.location_id };
            slot.practitioner_id == practitioner.id && wanted.binary_search(&same).is_err()
        })
        .map(|slot| slot.id)
        .collect();
    if !unwanted.is_empty() {
        diesel::delete(slots::table.filter(slots::id.eq_any(unwanted)).filter(slots::appointment_id.is_null()))
            .execute(tx)?;
    }
    Ok(())
}

/// Publishes the hours of every practitioner whose slots do not agree with them, and says how many those were.
///
/// # Errors
/// The database's.
pub async fn publish_all(env: &Env) -> Result<usize> {
    let everybody: Vec<PractitionerId> = env
        .db
        .read(|conn| Ok(practitioners::table.select(practitioners::id).order(practitioners::id).load(conn)?))
        .await?;
    let mut published = 0;
    for id in everybody {
        if env
            .db
            .read({
                let env = env.clone();
                move |conn| is_current(conn, &env, id)
            })
            .await?
        {
            continue;
        }
        let within = env.clone();
        env.db
            .write(move |tx| {
                let practitioner = store::lock_practitioner(tx, id)?;
                publish(tx, &within, &practitioner)
            })
            .await?;
        published += 1;
    }
    Ok(published)
}

/// A look without locks: mostly there is nothing to do.
fn is_current(conn: &mut Conn, env: &Env, id: PractitionerId) -> Result<bool> {
    let now = env.now();
    let practitioner = store::practitioner(conn, id)?;
    let range = ahead(id, now);
    let there: Vec<Slot> = slots::table
        .filter(slots::practitioner_id.eq(id))
        .filter(slots::starts_at.ge(range.from))
        .select(Slot::as_select())
        .load(conn)?;
    Ok(plan(&wanted(conn, env, &practitioner, now)?, &there, now).is_empty())
}

/// Moves the horizon on at the start and then every hour, until told to stop.
pub fn start(env: &Env, mut stopping: tokio::sync::watch::Receiver<bool>) {
    let env = env.clone();
    actix_web::rt::spawn(async move {
        loop {
            match publish_all(&env).await {
                Ok(0) => {}
                Ok(practitioners) => tracing::info!(practitioners, "slots published"),
                Err(error) => tracing::warn!(%error, "slots could not be published; tried again in an hour"),
            }
            tokio::select! {
                () = tokio::time::sleep(ROUND) => {}
                _ = stopping.changed() => return,
            }
        }
    });
}

#[cfg(test)]
mod tests;
