//! The clinic's set-up: locations, practitioners, and the types of visits.

pub mod included;
pub mod location;
pub mod locations;
pub mod offerings;
pub mod practitioner;
pub mod practitioners;
pub mod resource;
pub mod resources;
pub mod visit_type;
pub mod visit_types;

use self::visit_type::Lengths;
use crate::db::{Conn, advisory_lock};
use crate::error::{Check, FieldCode, FieldError, Result, Rule};
use crate::http::input::Change;

/// Locks the clinic's set-up for this transaction. Locations, visit types and practitioners must fit each other, so their changes
/// run one after the other. Such changes are rare. SQLite's writes are serial anyway.
pub fn lock(conn: &mut Conn) -> Result<()> {
    Ok(advisory_lock::wait_for_key(conn, advisory_lock::SET_UP)?)
}

/// Checks a member of a merge patch that cannot be deleted. Returns the new value; none if the member keeps its value or breaks a
/// rule.
fn changed<T, U>(
    check: &mut Check,
    pointer: &str,
    change: Change<T>,
    read: impl FnOnce(T) -> Result<U, Rule>,
) -> Option<U> {
    match change {
        Change::Keep => None,
        Change::Clear => {
            check.add(FieldError::new(pointer, FieldCode::Required, "cannot be deleted"));
            None
        }
        Change::Set(value) => check.field(pointer, read(value)),
    }
}

/// Whether a visit and its buffers each take a whole number of slots.
fn is_whole_number_of_slots((before, visit, after): Lengths, slot_minutes: i32) -> bool {
    slot_minutes > 0 && [before, visit, after].iter().all(|minutes| minutes % slot_minutes == 0)
}
