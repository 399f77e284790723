//! The sequence for other modules, which read the events of all patients.

pub use super::listing::MAX_SEQ;
use super::model::{Event, EventType};
use super::store::{self, Part};
use crate::db::Conn;
use crate::error::{Error, Result};

/// What follows a number.
pub enum Following {
    Events {
        /// The events of the wanted types.
        events: Vec<Event>,
        /// The reader has everything up to this number.
        through: i64,
    },
    /// The events up to the one before this number are deleted.
    Expired { oldest: i64 },
}

/// Returns the last number, or 0 before the first.
pub fn newest(conn: &mut Conn) -> Result<i64> {
    store::newest(conn)
}

/// Reads at most `limit` events of these types after a number. An empty list means all types.
pub fn after(conn: &mut Conn, after: i64, types: &[EventType], limit: i64) -> Result<Following> {
    match store::after(conn, Some(after), types, limit) {
        Ok(Part { events, through, .. }) => {
            Ok(Following::Events { events: events.into_iter().map(Event::from).collect(), through })
        }
        Err(Error::Gone(_)) => Ok(Following::Expired { oldest: store::oldest(conn)? }),
        Err(error) => Err(error),
    }
}

/// Requires that no event from this number on is deleted.
///
/// # Errors
/// [`Error::Gone`] with the code `events_expired`.
pub fn require_kept(conn: &mut Conn, from: i64) -> Result<()> {
    let oldest = store::oldest(conn)?;
    if from < oldest { Err(store::expired(oldest, store::newest(conn)?)) } else { Ok(()) }
}
