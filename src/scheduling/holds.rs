//! Holds: a slot kept for one account for ten minutes, while they make up their mind. A hold lapses by the clock; nothing
//! has to run for it.

use diesel::prelude::*;
use jiff::SignedDuration;

use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::holds;
use crate::error::{Error, Result};
use crate::ids::{HoldId, SlotId, UserId, VisitTypeId};

/// How long a hold lasts, and by how much it is renewed.
const LASTS: SignedDuration = SignedDuration::from_mins(10);

/// A hold.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = holds)]
pub struct Hold {
    /// Its id.
    pub id: HoldId,
    /// Whose it is.
    pub user_id: UserId,
    /// The slot with which the visit starts.
    pub slot_id: SlotId,
    /// The visit for which the slots are held.
    pub visit_type_id: VisitTypeId,
    /// When it lapses.
    pub expires_at: Timestamp,
    /// Whether it has been renewed, which is possible once.
    pub renewed: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

fn lapsed() -> Error {
    Error::conflict("hold_lapsed", "The hold has lapsed. Hold the slot again if it is still free.")
}

/// A hold of this account.
///
/// # Errors
/// `NotFound` if it is another's; the conflict `hold_lapsed`.
pub fn current(tx: &mut Conn, hold: HoldId, user: UserId, now: Timestamp) -> Result<Hold> {
    let hold: Hold = holds::table.find(hold).filter(holds::user_id.eq(user)).select(Hold::as_select()).first(tx)?;
    if hold.expires_at > now { Ok(hold) } else { Err(lapsed()) }
}

/// Uses a hold up for a booking in the same transaction, after the slots are locked ([`super::slots::lock_visit`]); their
/// hold columns are cleared when they are taken.
///
/// # Errors
/// `NotFound` if it is not this account's; the conflict `hold_lapsed` if it is over.
pub fn consume(tx: &mut Conn, hold: HoldId, user: UserId, now: Timestamp) -> Result<Hold> {
    let hold = current(tx, hold, user, now)?;
    if diesel::delete(holds::table.find(hold.id)).execute(tx)? == 0 {
        // Another request of the account was quicker.
        return Err(Error::Retry);
    }
    Ok(hold)
}
