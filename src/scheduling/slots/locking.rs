//! Locking and booking slots.
//!
//! Every writer locks its slots first, ordered by practitioner and start, and only then checks whether they are free. Its update
//! repeats the whole condition. So two requests for overlapping visits wait for each other without a deadlock, and neither can book
//! a slot that is not free.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable};
use diesel::sqlite::Sqlite;

use super::slot::{Slot, is_free, slot_gone};
use crate::clock::Timestamp;
use crate::db::schema::slots;
use crate::db::update::update;
use crate::db::{Conn, per_backend};
use crate::error::Result;
use crate::ids::{AppointmentId, HoldId, LocationId, PractitionerId, SlotId};

/// The slots of a practitioner that start from one instant until before another, such as the working time of a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotRange {
    pub practitioner_id: PractitionerId,
    /// The earliest start, inclusive.
    pub from: Timestamp,
    /// The latest start, exclusive.
    pub to: Timestamp,
}

impl SlotRange {
    /// Whether it includes a slot.
    pub fn includes(&self, slot: &Slot) -> bool {
        slot.practitioner_id == self.practitioner_id && self.from <= slot.starts_at && slot.starts_at < self.to
    }
}

/// Loads a slot without a lock.
pub fn find(conn: &mut Conn, id: SlotId) -> Result<Option<Slot>> {
    Ok(slots::table.find(id).select(Slot::as_select()).first(conn).optional()?)
}

/// Returns the slot of a practitioner at a location that starts at an instant, free or not.
pub fn starting_at(
    conn: &mut Conn,
    practitioner: PractitionerId,
    location: LocationId,
    at: Timestamp,
) -> Result<Option<SlotId>> {
    Ok(slots::table
        .filter(slots::practitioner_id.eq(practitioner))
        .filter(slots::starts_at.eq(at))
        .filter(slots::location_id.eq(location))
        .select(slots::id)
        .first(conn)
        .optional()?)
}

/// Locks one slot, free or not.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound).
pub fn lock_slot(conn: &mut Conn, id: SlotId) -> Result<Slot> {
    let slot = slots::table.find(id);
    Ok(match conn {
        Conn::Sqlite(conn) => slot.select(Slot::as_select()).first(conn)?,
        Conn::Postgres(conn) => slot.select(Slot::as_select()).for_no_key_update().first(conn)?,
    })
}

/// Locks the slots of a visit that starts in `start`, free or not, and returns them in order. For a move, also locks the slots of
/// the current time `before`.
///
/// # Errors
/// The conflict `slot_taken` if the slot `start` was deleted before it was locked.
pub fn lock_visit(conn: &mut Conn, start: SlotId, visit: SlotRange, before: Option<SlotRange>) -> Result<Vec<Slot>> {
    let ranges: Vec<SlotRange> = before.into_iter().chain([visit]).collect();
    let mut slots = lock_ranges(conn, &ranges)?;
    slots.retain(|slot| visit.includes(slot));
    if slots.iter().any(|slot| slot.id == start) { Ok(slots) } else { Err(slot_gone()) }
}

/// Locks the slots of several ranges in the one global order, and returns them in that order, each once.
pub fn lock_ranges(conn: &mut Conn, ranges: &[SlotRange]) -> Result<Vec<Slot>> {
    lock(conn, ranges, None)
}

/// Locks the slots of several ranges and those of a hold.
pub(super) fn lock(conn: &mut Conn, ranges: &[SlotRange], hold: Option<HoldId>) -> Result<Vec<Slot>> {
    /// The query for one engine. Only PostgreSQL locks rows.
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
    Ok(match conn {
        Conn::Sqlite(conn) => wanted!(Sqlite).load(conn)?,
        Conn::Postgres(conn) => wanted!(Pg).for_no_key_update().load(conn)?,
    })
}

/// Books the free slots of a visit at a location for an appointment, and ends the hold on them. The slots must be locked. Returns how many
/// were free. Without statistics PostgreSQL may choose the index that begins with the location. Without the location in the condition it
/// would read the whole index.
pub(super) fn book_free(
    conn: &mut Conn,
    (range, location): (SlotRange, LocationId),
    now: Timestamp,
    hold: Option<HoldId>,
    appointment: AppointmentId,
) -> Result<usize> {
    Ok(per_backend!(conn, conn => {
        let free = slots::practitioner_id
            .eq(range.practitioner_id)
            .and(slots::starts_at.ge(range.from))
            .and(slots::starts_at.lt(range.to))
            .and(slots::location_id.eq(location))
            .and(is_free(now, hold));
        let taking = (
            slots::appointment_id.eq(appointment),
            slots::hold_id.eq(None::<HoldId>),
            slots::held_until.eq(None::<Timestamp>),
        );
        update(slots::table, free, taking).execute(conn)
    })?)
}
