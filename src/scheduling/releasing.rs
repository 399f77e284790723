//! Slots as they are given back, by a cancelled or moved appointment, a hold or a block. What the plan does not give by then
//! is taken away, so that nobody books into time that was given up.

use diesel::prelude::*;

use super::model::Slot;
use super::{plan_store, store};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::slots;
use crate::error::Result;
use crate::ids::{AppointmentId, SlotId};

/// Gives back the slots of a cancelled or moved appointment; they must be locked.
///
/// # Errors
/// The database's.
pub fn release(tx: &mut Conn, appointment: AppointmentId) -> Result<()> {
    let freed: Vec<Slot> =
        slots::table.filter(slots::appointment_id.eq(appointment)).select(Slot::as_select()).load(tx)?;
    diesel::update(slots::table.filter(slots::appointment_id.eq(appointment)))
        .set((
            slots::appointment_id.eq(None::<AppointmentId>),
            slots::off_plan.eq(None::<String>),
            slots::off_plan_since.eq(None::<Timestamp>),
        ))
        .execute(tx)?;
    withdraw_unwanted(tx, &freed)
}

/// Takes away those of `freed`, which were just given back and are locked, that the plan does not give.
///
/// # Errors
/// The database's.
pub(super) fn withdraw_unwanted(tx: &mut Conn, freed: &[Slot]) -> Result<()> {
    let Some(first) = freed.first() else { return Ok(()) };
    let practitioner = store::practitioner(tx, first.practitioner_id)?;
    let (from, to) = freed
        .iter()
        .fold((first.starts_at, first.ends_at), |(from, to), slot| (from.min(slot.starts_at), to.max(slot.ends_at)));
    let outlook = plan_store::plan(tx, &practitioner, from)?.outlook(from, to);
    let unwanted: Vec<SlotId> = freed
        .iter()
        .filter(|slot| slot.practitioner_id == practitioner.id && !outlook.gives(&slot.stretch()))
        .map(|slot| slot.id)
        .collect();
    if !unwanted.is_empty() {
        let free = slots::table.filter(slots::id.eq_any(unwanted)).filter(slots::appointment_id.is_null());
        diesel::delete(free).execute(tx)?;
    }
    Ok(())
}
