//! From where the accounts of the last day were verified. One person can verify many accounts, so limits count what new accounts at one
//! address, and in one network, take together.

use diesel::prelude::*;
use jiff::SignedDuration;

use super::origin::Origin;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::new_accounts;
use crate::env::Env;
use crate::error::Result;
use crate::ids::UserId;

/// How long an account is new. Staff see its first visits within a day.
const NEW_FOR: SignedDuration = SignedDuration::from_hours(24);

/// A row of a new account. Address and network are under keyed hashes.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = new_accounts)]
struct NewAccount {
    user_id: UserId,
    caller: Vec<u8>,
    network: Vec<u8>,
    expires_at: Timestamp,
    /// The upcoming appointments of an account that was closed. They count although the account acts for nobody any more.
    visits_left: i32,
}

/// Remembers from where an account was verified, for a day.
pub fn remember(conn: &mut Conn, env: &Env, user_id: UserId, origin: &Origin, now: Timestamp) -> Result<()> {
    let new = NewAccount {
        user_id,
        caller: env.sealer.fingerprint(&[b"new account caller", &origin.caller()]),
        network: env.sealer.fingerprint(&[b"new account network", origin.network().as_bytes()]),
        expires_at: now.plus(NEW_FOR),
        visits_left: 0,
    };
    diesel::insert_into(new_accounts::table).values(new).execute(conn)?;
    Ok(())
}

/// Lets the upcoming appointments of an account that is closed go on counting. Otherwise closing it would make room for the next account at
/// its address.
pub fn keep_visits(conn: &mut Conn, user_id: UserId, visits: i64) -> Result<()> {
    let visits = i32::try_from(visits).unwrap_or(i32::MAX);
    diesel::update(new_accounts::table.find(user_id)).set(new_accounts::visits_left.eq(visits)).execute(conn)?;
    Ok(())
}
