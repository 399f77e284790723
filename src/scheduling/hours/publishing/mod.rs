//! Makes the stored slots of the coming days agree with the plan.
//!
//! Publishing can run at any time and any number of times. It adds missing slots and deletes free slots that the plan no longer
//! gives. It keeps booked slots, but marks those that the plan does not cover (`slots.off_plan`), so that staff call the patient. A
//! hold that loses some of its slots ends at once. No new slot overlaps a kept one.

mod comparing;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use diesel::prelude::*;
use jiff::{Span, ToSpan};

use self::comparing::{SlotChanges, compare};
use super::affected;
use super::plan::{Absence, AttentionReason};
use super::stored_plan;
use super::weekly::{self, TimeRange};
use crate::audit_context::AuditContext;
use crate::clock::Timestamp;
use crate::context::{Anonymous, Tx};
use crate::db::schema::{practitioners, slots};
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::Result;
use crate::ids::{AppointmentId, HoldId, LocationId, PractitionerId, SlotId};
use crate::periodic;
use crate::scheduling::clock_change::ClockChange;
use crate::scheduling::setup::offerings;
use crate::scheduling::setup::practitioner::{self, Practitioner};
use crate::scheduling::slots::holds::ending;
use crate::scheduling::slots::locking::{self, SlotRange};
use crate::scheduling::slots::slot::Slot;
use crate::zones::recorded::{self, Standing};

/// The interval at which the horizon moves on. If nothing changes, a run reads a few rows.
const INTERVAL: Duration = Duration::from_hours(1);
/// The maximum number of rows of one statement.
const CHUNK: usize = 500;

/// Publishes a practitioner's plan up to the horizon. Returns the affected appointments, earliest first: those that the plan no
/// longer covers, and those that overlap `new_absences`, even if they were not covered before.
///
/// The practitioner must be locked ([`practitioner::lock`]), and no slot yet.
///
/// # Errors
/// [`Error::Unavailable`](crate::error::Error::Unavailable) if the database records other zone data than this process has.
pub fn publish<P>(tx: &mut Tx<P>, practitioner: &Practitioner, new_absences: &[Absence]) -> Result<Vec<AppointmentId>> {
    recorded::require_current(tx.conn, &tx.env.config.zones)?;
    let stored = locking::lock_ranges(tx.conn, &[ahead(practitioner.id, tx.now)])?;
    let changes = slot_changes(tx, practitioner, new_absences, &stored)?;
    ending::lapse(tx.conn, &changes.lapse, tx.now)?;
    for ids in changes.remove.chunks(CHUNK) {
        diesel::delete(slots::table.filter(slots::id.eq_any(ids.to_vec())).filter(slots::appointment_id.is_null()))
            .execute(tx.conn)?;
    }
    for ranges in changes.add.chunks(CHUNK) {
        let rows: Vec<NewSlot> = ranges.iter().map(|range| NewSlot::new(tx.env, practitioner.id, range)).collect();
        per_backend!(tx.conn, conn => diesel::insert_into(slots::table).values(&rows).execute(conn))?;
    }
    mark(tx.conn, &changes.mark, tx.now)?;
    let mut affected = changes.affected;
    for overbooked in affected::overbooked_within(tx.conn, practitioner.id, &changes.affected_times)? {
        if !affected.contains(&overbooked) {
            affected.push(overbooked);
        }
    }
    Ok(affected)
}

/// Publishes the plans of all practitioners who work at a location, like [`publish`]. The set-up must be locked
/// ([`setup::lock`](crate::scheduling::setup::lock)).
pub fn publish_location<P>(
    tx: &mut Tx<P>,
    location: LocationId,
    new_absences: &[Absence],
) -> Result<Vec<AppointmentId>> {
    let mut affected = Vec::new();
    for practitioner in offerings::working_at(tx.conn, location)? {
        let practitioner = practitioner::lock(tx.conn, practitioner)?;
        affected.append(&mut publish(tx, &practitioner, new_absences)?);
    }
    Ok(affected)
}

/// Like [`publish_location`], after the time zone of the location has changed. Its free slots that have another local time by the new clock are
/// deleted first, and their holds lapse: callers who chose them were told the local time from before. The plan gives such times again as
/// slots with other ids.
pub fn publish_by_clock<P>(tx: &mut Tx<P>, location: LocationId, clock: &ClockChange) -> Result<Vec<AppointmentId>> {
    for practitioner in offerings::working_at(tx.conn, location)? {
        let practitioner = practitioner::lock(tx.conn, practitioner)?;
        let stored = locking::lock_ranges(tx.conn, &[ahead(practitioner.id, tx.now)])?;
        let is_free = |slot: &&Slot| slot.appointment_id.is_none() && !slot.blocked && slot.starts_at > tx.now;
        let is_told = |slot: &&Slot| slot.location_id == location && clock.affects(slot.starts_at);
        let told: Vec<&Slot> = stored.iter().filter(is_free).filter(is_told).collect();
        let held = told.iter().filter(|slot| slot.is_held(tx.now, None)).filter_map(|slot| slot.hold_id);
        let held: BTreeSet<HoldId> = held.collect();
        ending::lapse(tx.conn, &held.into_iter().collect::<Vec<_>>(), tx.now)?;
        let ids: Vec<SlotId> = told.iter().map(|slot| slot.id).collect();
        for ids in ids.chunks(CHUNK) {
            diesel::delete(slots::table.filter(slots::id.eq_any(ids.to_vec())).filter(slots::appointment_id.is_null()))
                .execute(tx.conn)?;
        }
    }
    publish_location(tx, location, &[])
}

/// Marks booked slots with the reason why the plan does not cover them and the time since when, or removes the mark.
fn mark(conn: &mut Conn, marks: &[(SlotId, Option<AttentionReason>)], now: Timestamp) -> Result<()> {
    let with = |wanted: Option<AttentionReason>| -> Vec<SlotId> {
        marks.iter().filter(|(_, why)| *why == wanted).map(|(id, _)| *id).collect()
    };
    for ids in with(None).chunks(CHUNK) {
        diesel::update(slots::table.filter(slots::id.eq_any(ids.to_vec())))
            .set((slots::off_plan.eq(None::<AttentionReason>), slots::off_plan_since.eq(None::<Timestamp>)))
            .execute(conn)?;
    }
    for why in AttentionReason::ALL {
        for ids in with(Some(*why)).chunks(CHUNK) {
            // With another reason the time stays.
            let marked = slots::table.filter(slots::id.eq_any(ids.to_vec())).filter(slots::off_plan.is_not_null());
            diesel::update(marked).set(slots::off_plan.eq(why)).execute(conn)?;
            let unmarked = slots::table.filter(slots::id.eq_any(ids.to_vec())).filter(slots::off_plan.is_null());
            diesel::update(unmarked).set((slots::off_plan.eq(why), slots::off_plan_since.eq(now))).execute(conn)?;
        }
    }
    Ok(())
}

/// Returns the range of the current slot and all later ones. No slot is longer than a day.
fn ahead(practitioner_id: PractitionerId, now: Timestamp) -> SlotRange {
    let day = jiff::SignedDuration::from_hours(24);
    SlotRange { practitioner_id, from: now.minus(day), to: Timestamp::from(jiff::Timestamp::MAX) }
}

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
    fn new(env: &Env, practitioner_id: PractitionerId, range: &TimeRange) -> Self {
        let TimeRange { starts_at, ends_at, location_id } = *range;
        Self { id: env.new_id(), practitioner_id, location_id, starts_at, ends_at }
    }
}

/// Compares the plan with the stored slots up to the horizon, which is a number of whole days at each location.
fn slot_changes<P>(
    tx: &mut Tx<P>,
    practitioner: &Practitioner,
    new_absences: &[Absence],
    stored: &[Slot],
) -> Result<SlotChanges> {
    let now = tx.now;
    let plan = stored_plan::load(tx.conn, &tx.env.config.zones, practitioner, now)?;
    let days = Span::new().days(tx.env.config.settings.slot_horizon_days);
    let horizons: Vec<(LocationId, Timestamp)> = plan
        .places
        .iter()
        .map(|place| {
            let today = now.in_zone(&place.zone).date();
            let end = today.saturating_add(days).saturating_add(1.day());
            (place.location_id, weekly::midnight(end, &place.zone))
        })
        .collect();
    let within = |slot: &TimeRange| {
        horizons.iter().any(|(location, horizon)| *location == slot.location_id && slot.starts_at < *horizon)
    };
    // Slots that are booked beyond the horizon, because it was later once, are compared as well.
    let last = stored.last().map(|slot| slot.ends_at);
    let to = horizons.iter().map(|(_, horizon)| *horizon).chain(last).max().unwrap_or(now);
    let planned = plan.planned(now, to);
    let wanted: Vec<TimeRange> =
        planned.slots.iter().filter(|slot| slot.starts_at > now && within(slot)).copied().collect();
    Ok(compare(&wanted, |time| planned.why_not_covered(time), new_absences, stored, now))
}

/// What the log says of a practitioner whose slots could not be published.
const FAILURE: &str = "slots of a practitioner could not be published";

/// Publishes the plans of all practitioners whose slots do not agree with them, and returns the number of these practitioners.
pub async fn publish_all(env: &Env) -> Result<usize> {
    let zones = env.config.zones.clone();
    if let Standing::Other(recorded) = env.db.read(move |conn| recorded::standing(conn, &zones)).await? {
        tracing::error!("{}", recorded::outdated(&env.config.zones, &recorded));
        return Ok(0);
    }
    let practitioners: Vec<PractitionerId> = env
        .db
        .read(|conn| Ok(practitioners::table.select(practitioners::id).order(practitioners::id).load(conn)?))
        .await?;
    let audit = AuditContext::of_command("publish_slots");
    let mut published = 0;
    for id in practitioners {
        let (shared, context) = (env.clone(), audit.clone());
        let is_current =
            env.db.read(move |conn| is_current(&mut Tx::new(conn, &shared, &Anonymous, &context), id)).await;
        if periodic::go_on(is_current, id, FAILURE)? == Some(false) {
            published += usize::from(periodic::go_on(publish_one(env, id).await, id, FAILURE)?.is_some());
        }
    }
    Ok(published)
}

/// Publishes the plan of a practitioner in a transaction of its own.
pub async fn publish_one(env: &Env, id: PractitionerId) -> Result<()> {
    let (shared, audit) = (env.clone(), AuditContext::of_command("publish_slots"));
    env.db
        .write(move |conn| {
            let practitioner = practitioner::lock(conn, id)?;
            publish(&mut Tx::new(conn, &shared, &Anonymous, &audit), &practitioner, &[])
        })
        .await?;
    Ok(())
}

/// Whether a practitioner's slots agree with the plan. Takes no locks, because mostly nothing changes.
fn is_current<P>(tx: &mut Tx<P>, id: PractitionerId) -> Result<bool> {
    let practitioner = practitioner::find(tx.conn, id)?;
    let stored: Vec<Slot> = slots::table
        .filter(slots::practitioner_id.eq(id))
        .filter(slots::starts_at.ge(ahead(id, tx.now).from))
        .order(slots::starts_at)
        .select(Slot::as_select())
        .load(tx.conn)?;
    Ok(slot_changes(tx, &practitioner, &[], &stored)?.is_empty())
}

/// Starts the periodic task that publishes all plans, now and then once an hour.
pub fn start(env: &Env, stopping: tokio::sync::watch::Receiver<bool>) {
    let env = env.clone();
    periodic::start(stopping, async move || {
        match publish_all(&env).await {
            Ok(0) => {}
            Ok(practitioners) => tracing::info!(practitioners, "slots published"),
            Err(error) => tracing::warn!(%error, "slots could not be published; the next attempt is in an hour"),
        }
        INTERVAL
    });
}
