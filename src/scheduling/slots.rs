//! Slots as they are locked and taken; [`super::releasing`] gives them back.
//!
//! Whoever changes slots first locks them in one order, by practitioner and start, without asking whether they are free;
//! decides in Rust; and then writes with the whole condition once more. Two requests that want overlapping visits
//! therefore wait for each other instead of deadlocking, and none can take what is not free.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable};
use diesel::sqlite::Sqlite;
use jiff::SignedDuration;

use super::model::{Slot, Unfit, gone};
use crate::clock::Timestamp;
use crate::db::schema::slots;
use crate::db::update::update;
use crate::db::{Conn, per_backend};
use crate::error::Result;
use crate::ids::{AppointmentId, HoldId, PractitionerId, SlotId};

/// The slots of a practitioner that start from the first instant until before the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Whose.
    pub practitioner_id: PractitionerId,
    /// The first start.
    pub from: Timestamp,
    /// The end, which is no start any more.
    pub to: Timestamp,
}

impl Range {
    /// Whether the slot lies in it.
    pub fn has(&self, slot: &Slot) -> bool {
        slot.practitioner_id == self.practitioner_id && self.from <= slot.starts_at && slot.starts_at < self.to
    }
}

/// A slot by its id, without a lock, if it is there.
///
/// # Errors
/// The database's.
pub fn find(tx: &mut Conn, id: SlotId) -> Result<Option<Slot>> {
    Ok(slots::table.find(id).select(Slot::as_select()).first(tx).optional()?)
}

/// The range of a visit of `duration_minutes` that starts with `slot`.
pub fn range_of_visit(slot: &Slot, duration_minutes: i32) -> Range {
    let to = slot.starts_at.plus(SignedDuration::from_mins(duration_minutes.into()));
    Range { practitioner_id: slot.practitioner_id, from: slot.starts_at, to }
}

/// Locks the slots of a visit that starts with `first`, free or not, and returns them in order; together with those of the
/// time `before`, if it is a move.
///
/// # Errors
/// The conflict `slot_taken` if the first has gone between finding and locking.
pub fn lock_visit(tx: &mut Conn, first: SlotId, visit: Range, before: Option<Range>) -> Result<Vec<Slot>> {
    let ranges: Vec<Range> = before.into_iter().chain([visit]).collect();
    let mut slots = lock_ranges(tx, &ranges)?;
    slots.retain(|slot| visit.has(slot));
    if slots.first().is_some_and(|slot| slot.id == first) { Ok(slots) } else { Err(gone()) }
}

/// Locks the slots of a practitioner that start in a range, and returns them in order.
///
/// # Errors
/// The database's.
pub fn lock_appointment(
    tx: &mut Conn,
    practitioner_id: PractitionerId,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Slot>> {
    lock_ranges(tx, &[Range { practitioner_id, from, to }])
}

/// Locks the slots of several ranges in the one global order (a move needs its old and its new range), and returns them
/// in that order, each once.
///
/// # Errors
/// The database's.
pub fn lock_ranges(tx: &mut Conn, ranges: &[Range]) -> Result<Vec<Slot>> {
    lock(tx, ranges, None)
}

/// Locks the slots of ranges together with those of a hold.
pub(super) fn lock(tx: &mut Conn, ranges: &[Range], hold: Option<HoldId>) -> Result<Vec<Slot>> {
    /// The same query for each engine; only PostgreSQL locks rows.
    macro_rules! wanted {
        ($engine:ty) => {{
            type Condition<'a> = Box<dyn BoxableExpression<slots::table, $engine, SqlType = Nullable<Bool>> + 'a>;
            let held = hold.map(|hold| Box::new(slots::hold_id.eq(hold)) as Condition<'_>);
            let within = ranges.iter().map(|range| {
                let starts = slots::starts_at.ge(range.from).and(slots::starts_at.lt(range.to));
                Box::new(slots::practitioner_id.eq(range.practitioner_id).and(starts).nullable()) as Condition<'_>
            });
            let Some(condition) = within.chain(held).reduce(|one, other| Box::new(one.or(other))) else {
                return Ok(Vec::new());
            };
            let query = slots::table.select(Slot::as_select()).filter(condition);
            query.order((slots::practitioner_id, slots::starts_at))
        }};
    }
    Ok(match tx {
        Conn::Sqlite(tx) => wanted!(Sqlite).load(tx)?,
        Conn::Postgres(tx) => wanted!(Pg).for_no_key_update().load(tx)?,
    })
}

/// Gives `slots`, which are all those of a visit, in order and locked, to an appointment, and ends the hold on them.
///
/// # Errors
/// The conflict `slot_taken` if any of them is not free after all.
pub fn take(
    tx: &mut Conn,
    slots: &[Slot],
    now: Timestamp,
    hold: Option<HoldId>,
    appointment: AppointmentId,
) -> Result<()> {
    let (Some(first), Some(last)) = (slots.first(), slots.last()) else { return Err(Unfit::Taken.into()) };
    let taken = per_backend!(tx, tx => {
        let free = slots::practitioner_id
            .eq(first.practitioner_id)
            .and(slots::starts_at.ge(first.starts_at))
            .and(slots::starts_at.le(last.starts_at))
            .and(slots::appointment_id.is_null())
            .and(slots::blocked_reason.is_null())
            .and(slots::held_until.is_null().or(slots::held_until.le(now)).or(slots::hold_id.eq(hold)));
        let taking = (
            slots::appointment_id.eq(appointment),
            slots::hold_id.eq(None::<HoldId>),
            slots::held_until.eq(None::<Timestamp>),
        );
        update(slots::table, free, taking).execute(tx)
    })?;
    if taken == slots.len() { Ok(()) } else { Err(Unfit::Taken.into()) }
}
