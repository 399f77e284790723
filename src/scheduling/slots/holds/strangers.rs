//! How many times strangers hold at once, with holds and reservations counted alike. A stranger costs nothing to invent, so nothing but
//! these limits keeps one person from holding every time of the clinic.
//!
//! A stranger counts by address and by network. Someone with many networks meets the third limit: all strangers together hold only a share
//! of a practitioner's open times of a day. Accounts and staff take the rest of the day, and do not count.

use diesel::prelude::*;

use super::holder::Holder;
use crate::accounts::origin::Origin;
use crate::clock::Timestamp;
use crate::context::Tx;
use crate::db::schema::{holds, slots};
use crate::db::{Conn, advisory_lock, per_backend};
use crate::env::Env;
use crate::error::{Conflict, Error, Result};
use crate::ids::HoldId;
use crate::scheduling::hours::weekly;
use crate::scheduling::setup::location::Location;
use crate::scheduling::slots::slot::{Slot, is_open};

/// A stranger's address and network, under keyed hashes.
pub(super) struct Counted {
    pub caller: Vec<u8>,
    pub network: Vec<u8>,
}

impl Counted {
    pub(super) fn new(env: &Env, origin: &Origin) -> Self {
        Self {
            caller: env.sealer.fingerprint(&[b"hold caller", &origin.caller()]),
            network: env.sealer.fingerprint(&[b"hold network", origin.network().as_bytes()]),
        }
    }
}

/// Makes strangers' holds wait for each other until the end of the transaction, so that each counts those before it. Comes before the locks
/// of slots.
pub(super) fn lock(conn: &mut Conn) -> Result<()> {
    if let Conn::Postgres(conn) = conn {
        advisory_lock::wait_for_key(conn, advisory_lock::STRANGERS_HOLDS)?;
    }
    Ok(())
}

fn too_many(detail: &str) -> Error {
    Error::conflict(Conflict::HOLD_LIMIT, format!("{detail}, sign in, or call the clinic."))
}

/// Requires that strangers may hold this visit too. `replaced` is a hold that ends with it. The caller has called [`lock`].
///
/// # Errors
/// The conflict `hold_limit`.
pub(super) fn require_room(
    tx: &mut Tx<Holder>,
    counted: &Counted,
    location: &Location,
    visit: &[Slot],
    replaced: Option<HoldId>,
) -> Result<()> {
    let settings = &tx.env.config.settings;
    let of_network: Vec<(HoldId, Option<Vec<u8>>)> = holds::table
        .filter(holds::network.eq(&counted.network))
        .filter(holds::expires_at.gt(tx.now))
        .select((holds::id, holds::caller))
        .load(tx.conn)?;
    let others = || of_network.iter().filter(|(id, _)| Some(*id) != replaced);
    let of_caller = others().filter(|(_, caller)| caller.as_ref() == Some(&counted.caller));
    if of_caller.count() >= usize::from(settings.stranger_holds_per_address) {
        return Err(too_many("Callers at your address hold too many times without an account. Release one"));
    }
    if others().count() >= usize::from(settings.stranger_holds_per_network) {
        return Err(too_many("Callers in your network hold too many times without an account. Retry in some minutes"));
    }
    let (open, held) = times_of_day(tx, location, visit, replaced)?;
    let share = open * usize::from(settings.stranger_hold_percent) / 100;
    // One visit a day fits always, so that strangers can take the last times of a day that is nearly full.
    if held > 0 && held + visit.len() > share {
        return Err(too_many(
            "Callers without an account hold too many of the practitioner's times on this day. Choose another day",
        ));
    }
    Ok(())
}

/// Counts the practitioner's slots of the rest of the visit's local day that are neither booked nor blocked, and those of them that
/// strangers hold.
fn times_of_day(
    tx: &mut Tx<Holder>,
    location: &Location,
    visit: &[Slot],
    replaced: Option<HoldId>,
) -> Result<(usize, usize)> {
    let Some(first) = visit.first() else { return Ok((0, 0)) };
    let zone = location.zone(&tx.env.config.zones)?;
    let day = first.starts_at.in_zone(&zone).date();
    let next = day.tomorrow().map_err(|error| Error::internal("the day after a visit", error))?;
    let (from, to) = (weekly::midnight(day, &zone).max(tx.now), weekly::midnight(next, &zone));
    let rows: Vec<(Option<Timestamp>, Option<HoldId>)> = per_backend!(tx.conn, conn => slots::table
        .left_join(holds::table.on(slots::hold_id.eq(holds::id.nullable()).and(holds::user_id.is_null())))
        .filter(slots::practitioner_id.eq(first.practitioner_id))
        .filter(slots::starts_at.ge(from))
        .filter(slots::starts_at.lt(to))
        .filter(is_open())
        .select((slots::held_until, holds::id.nullable()))
        .load(conn))?;
    let is_held = |(until, hold): &&(Option<Timestamp>, Option<HoldId>)| {
        hold.is_some() && *hold != replaced && until.is_some_and(|until| until > tx.now)
    };
    Ok((rows.len(), rows.iter().filter(is_held).count()))
}
