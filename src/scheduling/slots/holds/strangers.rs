//! How many times strangers hold at once, with holds and reservations counted alike. A stranger costs nothing to invent, so nothing but
//! these limits keeps one person from holding every time of the clinic.
//!
//! A stranger counts by address and by network. Someone with many networks meets the third limit: all strangers together take only a share
//! of the visits that fit into a day ([`day_share`]). Accounts and staff take the rest of the day, and do not count.

use diesel::prelude::*;

use super::day_share::{self, HeldVisit, too_many};
use super::holder::Holder;
use crate::accounts::origin::Origin;
use crate::context::Tx;
use crate::db::schema::holds;
use crate::db::{Conn, advisory_lock};
use crate::env::Env;
use crate::error::Result;
use crate::ids::HoldId;

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
    Ok(advisory_lock::wait_for_key(conn, advisory_lock::STRANGERS_HOLDS)?)
}

/// Requires that strangers may hold this visit too. `replaced` is a hold that ends with it. The caller has called [`lock`].
///
/// # Errors
/// The conflict `hold_limit`.
pub(super) fn require_room(
    tx: &mut Tx<Holder>,
    counted: &Counted,
    visit: &HeldVisit<'_>,
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
    day_share::require(tx, visit, replaced)
}
