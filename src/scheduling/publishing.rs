//! Publishing: the slots of the coming days, made to agree with the plan.
//!
//! It may run at any time and any number of times: it adds the slots that are missing and takes away the free ones that
//! the plan no longer gives. A booked slot is never touched but marked while the plan does not cover it
//! (`slots.off_plan`), so that somebody calls the patient. A hold whose time goes ends at once. No slot is made that
//! overlaps what stays.

use std::time::Duration;

use diesel::prelude::*;
use jiff::{Span, ToSpan};

use super::hours::{self, Stretch};
use super::model::{OffPlan, Practitioner, Slot};
use super::plan::Absence;
use super::slots::{self as locks, Range};
use super::{holds, plan_store, store};
use crate::clock::Timestamp;
use crate::db::schema::{practitioners, slots};
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::Result;
use crate::ids::{AppointmentId, HoldId, LocationId, PractitionerId, SlotId};
use crate::rounds;

/// How often the horizon is moved on; a few rows of work where nothing is to do.
const ROUND: Duration = Duration::from_hours(1);
/// Rows of one statement.
const CHUNK: usize = 500;

/// What publishing has to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Slots that nobody booked and the plan does not give.
    pub remove: Vec<SlotId>,
    /// Slots that are missing.
    pub add: Vec<Stretch>,
    /// Booked slots that the plan does not cover any more, or for another reason, or covers again.
    pub mark: Vec<(SlotId, Option<OffPlan>)>,
    /// Holds that lose some of their time.
    pub end: Vec<HoldId>,
    /// The appointments that the plan covered whole until now, and those that a new absence touches, were they hit before
    /// or not.
    pub hit: Vec<AppointmentId>,
}

impl Changes {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.add.is_empty() && self.mark.is_empty()
    }
}

/// Compares the slots that the plan wants with those that are there. `wanted` lies after `now` and does not overlap in
/// itself; `off` says why the plan does not cover the time of a slot, however it is cut; `absent` are the absences that have just
/// been entered; `there` are the slots of the one practitioner, in order.
///
/// A blocked slot stays blocked through time off and closures, which may be taken back, and as long as it lies in the
/// way of a slot that the plan wants: the block means the doctor's time, however it is cut.
pub fn compare(
    wanted: &[Stretch],
    off: impl Fn(&Stretch) -> Option<OffPlan>,
    absent: &[Absence],
    there: &[Slot],
    now: Timestamp,
) -> Changes {
    let mut changes = Changes::default();
    let mut kept: Vec<&Slot> = Vec::new();
    for slot in there.iter().filter(|slot| slot.ends_at > now) {
        let time = slot.stretch();
        if let Some(appointment) = slot.appointment_id {
            let why = off(&time);
            if why != slot.off_plan {
                changes.mark.push((slot.id, why));
            }
            let hit = why.is_some() && slot.off_plan.is_none() || absent.iter().any(|absence| absence.touches(&time));
            if hit && !changes.hit.contains(&appointment) {
                changes.hit.push(appointment);
            }
            kept.push(slot);
            continue;
        }
        let held = slot.is_held(now, None);
        let stays = || match off(&time) {
            None => held || slot.blocked && overlapping(wanted, slot),
            Some(OffPlan::TimeOff | OffPlan::Closure) => slot.blocked,
            Some(OffPlan::Hours) => slot.blocked && overlapping(wanted, slot),
        };
        if slot.starts_at <= now || wanted.binary_search(&time).is_ok() || stays() {
            kept.push(slot);
        } else {
            changes.remove.push(slot.id);
            changes.end.extend(slot.hold_id.filter(|hold| held && !changes.end.contains(hold)));
        }
    }
    changes.add = wanted.iter().filter(|stretch| !hit(&kept, stretch)).copied().collect();
    changes
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

/// Publishes a practitioner's plan up to the horizon, inside the caller's transaction, and says whose visits it does not
/// cover any more, earliest first; also those that the absences `absent`, just entered, touch although something else hit
/// them before. The practitioner's row must be locked ([`store::lock_practitioner`]), and no slot yet.
///
/// # Errors
/// The database's.
pub fn publish(
    tx: &mut Conn,
    env: &Env,
    practitioner: &Practitioner,
    absent: &[Absence],
) -> Result<Vec<AppointmentId>> {
    let now = env.now();
    let there = locks::lock_ranges(tx, &[ahead(practitioner.id, now)])?;
    let changes = changes(tx, env, practitioner, absent, &there, now)?;
    holds::end(tx, &changes.end, now)?;
    for ids in changes.remove.chunks(CHUNK) {
        diesel::delete(slots::table.filter(slots::id.eq_any(ids.to_vec())).filter(slots::appointment_id.is_null()))
            .execute(tx)?;
    }
    for stretches in changes.add.chunks(CHUNK) {
        let rows: Vec<NewSlot> = stretches.iter().map(|stretch| NewSlot::new(env, practitioner.id, stretch)).collect();
        per_backend!(tx, tx => diesel::insert_into(slots::table).values(&rows).execute(tx))?;
    }
    mark(tx, &changes.mark, now)?;
    Ok(changes.hit)
}

/// Publishes the plans of all who work at a location, and says whose visits are hit, as [`publish`] does. The set-up must
/// be taken ([`store::set_up`]).
///
/// # Errors
/// The database's.
pub fn publish_location(
    tx: &mut Conn,
    env: &Env,
    location: LocationId,
    absent: &[Absence],
) -> Result<Vec<AppointmentId>> {
    let mut hit = Vec::new();
    for practitioner in store::working_at(tx, location)? {
        let practitioner = store::lock_practitioner(tx, practitioner)?;
        hit.append(&mut publish(tx, env, &practitioner, absent)?);
    }
    Ok(hit)
}

/// Notes on booked slots why the plan does not cover them, and since when; or that it does.
fn mark(tx: &mut Conn, marks: &[(SlotId, Option<OffPlan>)], now: Timestamp) -> Result<()> {
    let with = |wanted: Option<OffPlan>| -> Vec<SlotId> {
        marks.iter().filter(|(_, why)| *why == wanted).map(|(id, _)| *id).collect()
    };
    for ids in with(None).chunks(CHUNK) {
        diesel::update(slots::table.filter(slots::id.eq_any(ids.to_vec())))
            .set((slots::off_plan.eq(None::<OffPlan>), slots::off_plan_since.eq(None::<Timestamp>)))
            .execute(tx)?;
    }
    for why in OffPlan::ALL {
        for ids in with(Some(*why)).chunks(CHUNK) {
            // Another reason does not make it newer.
            let known = slots::table.filter(slots::id.eq_any(ids.to_vec())).filter(slots::off_plan.is_not_null());
            diesel::update(known).set(slots::off_plan.eq(why)).execute(tx)?;
            let new = slots::table.filter(slots::id.eq_any(ids.to_vec())).filter(slots::off_plan.is_null());
            diesel::update(new).set((slots::off_plan.eq(why), slots::off_plan_since.eq(now))).execute(tx)?;
        }
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

/// What makes the slots that are there agree with the plan up to the horizon: so many whole days of each location.
fn changes(
    tx: &mut Conn,
    env: &Env,
    practitioner: &Practitioner,
    absent: &[Absence],
    there: &[Slot],
    now: Timestamp,
) -> Result<Changes> {
    let plan = plan_store::plan(tx, practitioner, now)?;
    let days = Span::new().days(env.config.settings.slot_horizon_days);
    let horizons: Vec<(LocationId, Timestamp)> = plan
        .places
        .iter()
        .map(|place| {
            let today = now.in_zone(&place.zone).date();
            let end = today.saturating_add(days).saturating_add(1.day());
            (place.location_id, hours::midnight(end, &place.zone))
        })
        .collect();
    let within = |slot: &Stretch| {
        horizons.iter().any(|(location, horizon)| *location == slot.location_id && slot.starts_at < *horizon)
    };
    // What is booked beyond the horizon, since that was further once, is still within somebody's hours.
    let last = there.last().map(|slot| slot.ends_at);
    let to = horizons.iter().map(|(_, horizon)| *horizon).chain(last).max().unwrap_or(now);
    let outlook = plan.outlook(now, to);
    let wanted: Vec<Stretch> =
        outlook.slots.iter().filter(|slot| slot.starts_at > now && within(slot)).copied().collect();
    Ok(compare(&wanted, |time| outlook.off(time), absent, there, now))
}

/// Publishes the plan of every practitioner whose slots do not agree with it, and says how many those were.
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
                publish(tx, &within, &practitioner, &[])
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
        .order(slots::starts_at)
        .select(Slot::as_select())
        .load(conn)?;
    Ok(changes(conn, env, &practitioner, &[], &there, now)?.is_empty())
}

/// Moves the horizon on at the start and then every hour, until told to stop.
pub fn start(env: &Env, stopping: tokio::sync::watch::Receiver<bool>) {
    let env = env.clone();
    rounds::start(stopping, async move || {
        match publish_all(&env).await {
            Ok(0) => {}
            Ok(practitioners) => tracing::info!(practitioners, "slots published"),
            Err(error) => tracing::warn!(%error, "slots could not be published; tried again in an hour"),
        }
        ROUND
    });
}

#[cfg(test)]
mod tests;
