//! Releasing the slots of a cancelled or moved appointment, a hold or a block. Released slots that the plan no longer gives are
//! deleted, so that they cannot be booked.

use diesel::prelude::*;

use super::slot::Slot;
use crate::clock::Timestamp;
use crate::db::schema::slots;
use crate::db::update::update;
use crate::db::{Conn, per_backend};
use crate::error::Result;
use crate::ids::{AppointmentId, SlotId};
use crate::scheduling::hours::stored_plan;
use crate::scheduling::setup::practitioner;

/// Releases the slots of a cancelled or moved appointment. They must be locked.
pub fn release(conn: &mut Conn, appointment: AppointmentId) -> Result<()> {
    let released: Vec<Slot> =
        slots::table.filter(slots::appointment_id.eq(appointment)).select(Slot::as_select()).load(conn)?;
    let free = (
        slots::appointment_id.eq(None::<AppointmentId>),
        slots::off_plan.eq(None::<String>),
        slots::off_plan_since.eq(None::<Timestamp>),
    );
    per_backend!(conn, conn => update(slots::table, slots::appointment_id.eq(appointment), free).execute(conn))?;
    delete_unplanned(conn, &released)
}

/// Deletes those of the released slots that the plan does not give. They must be locked.
pub(super) fn delete_unplanned(conn: &mut Conn, released: &[Slot]) -> Result<()> {
    let Some(first) = released.first() else { return Ok(()) };
    let practitioner = practitioner::find(conn, first.practitioner_id)?;
    let (from, to) = released
        .iter()
        .fold((first.starts_at, first.ends_at), |(from, to), slot| (from.min(slot.starts_at), to.max(slot.ends_at)));
    let planned = stored_plan::load(conn, &practitioner, from)?.planned(from, to);
    let unplanned: Vec<SlotId> = released
        .iter()
        .filter(|slot| slot.practitioner_id == practitioner.id && !planned.contains(&slot.time_range()))
        .map(|slot| slot.id)
        .collect();
    if !unplanned.is_empty() {
        let free = slots::table.filter(slots::id.eq_any(unplanned)).filter(slots::appointment_id.is_null());
        diesel::delete(free).execute(conn)?;
    }
    Ok(())
}
