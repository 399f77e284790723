//! How much time the service keeps for the entries of one account.
//!
//! Anyone can register, add patients and put each of them on the waitlist. Without a limit such an account would keep one time for each, and
//! take a day from everybody else. Staff are not limited.

use super::entry::Entry;
use super::offer;
use crate::accounts::store as accounts;
use crate::appointments::limits;
use crate::context::{Anonymous, Tx};
use crate::error::{Error, Result};
use crate::role::Role;

/// Returns whether the service may keep a time for the entry: the account that made it has no other open offer, and could book the visit, or
/// hold a time to move the one that the patient has.
pub(super) fn has_room(tx: &mut Tx<Anonymous>, entry: &Entry) -> Result<bool> {
    let account = accounts::find(tx.conn, entry.created_by)?;
    if account.role != Role::Patient {
        return Ok(true);
    }
    if offer::is_open_of_account(tx.conn, account.id)? {
        return Ok(false);
    }
    let room = match entry.appointment_id {
        Some(visit) => limits::require_room_to_move(tx.conn, tx.env, account.id, visit, tx.now),
        None => limits::require_room_without_locks(tx.conn, tx.env, account.id, entry.patient_id, tx.now),
    };
    match room {
        Ok(()) => Ok(true),
        Err(Error::Conflict(_)) => Ok(false),
        Err(other) => Err(other),
    }
}
