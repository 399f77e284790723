//! Reservations: a registration carries a stranger's hold, which then lasts until the mailbox's owner had time to follow the link.

use diesel::prelude::*;
use jiff::SignedDuration;

use super::holder::opens;
use super::{Hold, lapsed};
use crate::accounts::tokens;
use crate::clock::Timestamp;
use crate::context::{Principal, Tx};
use crate::db::Conn;
use crate::db::schema::{holds, slots};
use crate::error::{Error, Result};
use crate::ids::{HoldId, SlotId, VisitTypeId};
use crate::scheduling::setup::location::{self, Location};
use crate::scheduling::slots::locking;
use crate::scheduling::slots::offers::{self, Offer};

/// A stranger's hold, with what a mail says of it.
pub struct Reservable {
    pub hold: Hold,
    pub offer: Offer,
    pub location: Location,
    /// The time until which the reservation lasts.
    pub until: Timestamp,
}

/// Loads the stranger's hold that a registration carries, without a lock.
///
/// # Errors
/// The conflict `hold_lapsed` unless it has this secret and has not lapsed.
pub fn find(tx: &mut Tx<impl Principal>, id: HoldId, secret: &str) -> Result<Reservable> {
    let hold = of_secret(tx.conn, id, secret)?.filter(|hold| hold.expires_at > tx.now).ok_or_else(lapsed)?;
    let offer = offers::find(tx.conn, hold.slot_id, hold.visit_type_id)?;
    let location = location::find(tx.conn, offer.slot.location_id)?;
    let lasts = SignedDuration::from_mins(tx.env.config.settings.reservation_minutes.into());
    // Another registration with the same hold does not prolong it, or a stranger could keep the time.
    let until = if hold.reserved { hold.expires_at } else { hold.expires_at.max(tx.now.plus(lasts)) };
    Ok(Reservable { hold, offer, location, until })
}

fn of_secret(conn: &mut Conn, id: HoldId, secret: &str) -> Result<Option<Hold>> {
    let found: Option<Hold> = holds::table.find(id).select(Hold::as_select()).first(conn).optional()?;
    Ok(found.filter(|hold| opens(hold, &tokens::hash(secret))))
}

/// Returns the slot and the visit type of a hold that may have lapsed; none if it is gone.
pub fn place_of(conn: &mut Conn, id: HoldId, secret: &str) -> Result<Option<(SlotId, VisitTypeId)>> {
    Ok(of_secret(conn, id, secret)?.map(|hold| (hold.slot_id, hold.visit_type_id)))
}

/// Locks the slots of a hold, so that registrations with it come one after the other.
pub fn lock(tx: &mut Tx<impl Principal>, hold: HoldId) -> Result<()> {
    locking::lock(tx.conn, &[], Some(hold)).map(|_| ())
}

/// Turns the hold into a reservation.
///
/// # Errors
/// [`Error::Retry`] if another transaction changed the hold since it was read.
pub fn reserve(tx: &mut Tx<impl Principal>, reservable: &Reservable) -> Result<()> {
    let Reservable { hold, until, .. } = reservable;
    if hold.reserved {
        return Ok(());
    }
    locking::lock(tx.conn, &[], Some(hold.id))?;
    let unchanged =
        holds::table.find(hold.id).filter(holds::expires_at.eq(hold.expires_at)).filter(holds::reserved.eq(false));
    let reserved = (holds::reserved.eq(true), holds::expires_at.eq(until));
    if diesel::update(unchanged).set(reserved).execute(tx.conn)? == 0 {
        return Err(Error::Retry);
    }
    diesel::update(slots::table.filter(slots::hold_id.eq(hold.id)))
        .set(slots::held_until.eq(Some(*until)))
        .execute(tx.conn)?;
    Ok(())
}
