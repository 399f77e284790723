//! Releasing the slots of a cancelled or moved appointment, a hold or a block. Released slots that the plan no longer gives are
//! deleted, so that they cannot be booked.

use std::collections::BTreeMap;

use diesel::dsl::{exists, not};
use diesel::prelude::*;
use jiff::SignedDuration;

use super::locking::SlotRange;
use super::slot::Slot;
use super::units;
use crate::appointment_status::AppointmentStatus;
use crate::clock::Timestamp;
use crate::context::Tx;
use crate::db::schema::{appointments, slots};
use crate::db::update::update;
use crate::db::{Conn, per_backend};
use crate::error::Result;
use crate::ids::{AppointmentId, SlotId};
use crate::scheduling::hours::stored_plan;
use crate::scheduling::setup::practitioner;

/// More than the longest working time of a visit.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// What became of the slots of a released appointment.
#[derive(Debug, Default)]
pub struct Released {
    /// The slots that stay taken, because they passed to visits that share them.
    pub passed: Vec<SlotId>,
    /// These visits. All of them are overbooked.
    pub heirs: Vec<AppointmentId>,
}

/// Releases the slots and units of a cancelled or moved appointment, whose time was `time`. They must be locked. A slot that an overbooked visit
/// shares passes to that visit, and stays taken.
pub fn release<P>(tx: &mut Tx<P>, appointment: AppointmentId, time: SlotRange, has_units: bool) -> Result<Released> {
    let conn = &mut *tx.conn;
    if has_units {
        units::free(conn, appointment)?;
    }
    let released: Vec<(Slot, Option<AppointmentId>)> = per_backend!(conn, conn => slots::table
        .filter(slots::appointment_id.eq(appointment))
        .order(slots::starts_at)
        .select((
            Slot::as_select(),
            // Only an overbooked visit can share a slot of another one.
            appointments::table
                .filter(appointments::overbooked)
                .filter(appointments::practitioner_id.eq(slots::practitioner_id))
                .filter(appointments::busy_from.gt(time.from.minus(LONGEST)))
                .filter(appointments::busy_from.le(slots::starts_at))
                .filter(appointments::busy_until.gt(slots::starts_at))
                .filter(appointments::status.ne(AppointmentStatus::Cancelled))
                .filter(appointments::id.ne(appointment))
                .order((appointments::created_at, appointments::id))
                .select(appointments::id)
                .single_value(),
        ))
        .load(conn))?;
    let mut passed: BTreeMap<AppointmentId, Vec<SlotId>> = BTreeMap::new();
    let mut freed = Vec::new();
    for (slot, heir) in released {
        match heir {
            Some(heir) => passed.entry(heir).or_default().push(slot.id),
            None => freed.push(slot),
        }
    }
    for (heir, ids) in &passed {
        let shared = slots::table.filter(slots::id.eq_any(ids.clone()));
        diesel::update(shared).set(slots::appointment_id.eq(heir)).execute(conn)?;
    }
    let free = (
        slots::appointment_id.eq(None::<AppointmentId>),
        slots::off_plan.eq(None::<String>),
        slots::off_plan_since.eq(None::<Timestamp>),
    );
    per_backend!(conn, conn => update(slots::table, slots::appointment_id.eq(appointment), free).execute(conn))?;
    delete_unplanned(tx, &freed)?;
    let heirs = passed.keys().copied().collect();
    Ok(Released { passed: passed.into_values().flatten().collect(), heirs })
}

/// Returns those of the visits that have all slots of their time. An unmarked visit has all of its own, too, so none overlaps them.
pub fn having_all_slots(conn: &mut Conn, visits: &[AppointmentId]) -> Result<Vec<AppointmentId>> {
    let of_another = slots::table
        .filter(slots::practitioner_id.eq(appointments::practitioner_id))
        .filter(slots::starts_at.ge(appointments::busy_from))
        .filter(slots::starts_at.lt(appointments::busy_until))
        .filter(slots::appointment_id.ne(appointments::id.nullable()));
    Ok(appointments::table
        .filter(appointments::id.eq_any(visits.to_vec()))
        .filter(not(exists(of_another)))
        .select(appointments::id)
        .load(conn)?)
}

/// Deletes those of the released slots that the plan does not give. They must be locked.
pub(super) fn delete_unplanned<P>(tx: &mut Tx<P>, released: &[Slot]) -> Result<()> {
    let Some(first) = released.first() else { return Ok(()) };
    let practitioner = practitioner::find(tx.conn, first.practitioner_id)?;
    let (from, to) = released
        .iter()
        .fold((first.starts_at, first.ends_at), |(from, to), slot| (from.min(slot.starts_at), to.max(slot.ends_at)));
    let planned = stored_plan::load(tx.conn, &tx.env.config.zones, &practitioner, from)?.planned(from, to);
    let unplanned: Vec<SlotId> = released
        .iter()
        .filter(|slot| slot.practitioner_id == practitioner.id && !planned.contains(&slot.time_range()))
        .map(|slot| slot.id)
        .collect();
    if !unplanned.is_empty() {
        let free = slots::table.filter(slots::id.eq_any(unplanned)).filter(slots::appointment_id.is_null());
        diesel::delete(free).execute(tx.conn)?;
    }
    Ok(())
}
