//! Tokens that travel in a mail: 256 bits, stored hashed, good once and not for long; a newer one voids the older.

use diesel::prelude::*;

use super::model::{EmailAddress, Purpose, User};
use super::tokens;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{one_time_tokens, users};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::{OneTimeTokenId, UserId};

/// Makes a token, and voids the account's older ones of this purpose.
///
/// # Errors
/// The database's.
pub fn issue(tx: &mut Conn, env: &Env, user: UserId, purpose: Purpose) -> Result<String> {
    insert(tx, env, user, purpose, None)
}

/// Makes a token that proves a new address of an account.
///
/// # Errors
/// The database's.
pub fn issue_for_address(tx: &mut Conn, env: &Env, user: UserId, new_email: &EmailAddress) -> Result<String> {
    insert(tx, env, user, Purpose::ChangeEmail, Some(new_email.as_str()))
}

fn insert(tx: &mut Conn, env: &Env, user: UserId, purpose: Purpose, new_email: Option<&str>) -> Result<String> {
    let now = env.now();
    void(tx, user, purpose, now)?;
    let token = tokens::opaque(&env.entropy);
    diesel::insert_into(one_time_tokens::table)
        .values((
            one_time_tokens::id.eq(env.new_id::<OneTimeTokenId>()),
            one_time_tokens::user_id.eq(user),
            one_time_tokens::purpose.eq(purpose),
            one_time_tokens::new_email.eq(new_email),
            one_time_tokens::token_hash.eq(tokens::hash(&token)),
            one_time_tokens::created_at.eq(now),
            one_time_tokens::expires_at.eq(now.plus(purpose.lifetime())),
        ))
        .execute(tx)?;
    Ok(token)
}

/// Makes the account's tokens of this purpose useless.
///
/// # Errors
/// The database's.
pub fn void(tx: &mut Conn, user: UserId, purpose: Purpose, now: Timestamp) -> Result<()> {
    let open = one_time_tokens::table
        .filter(one_time_tokens::user_id.eq(user))
        .filter(one_time_tokens::purpose.eq(purpose))
        .filter(one_time_tokens::used_at.is_null());
    diesel::update(open).set(one_time_tokens::used_at.eq(now)).execute(tx)?;
    Ok(())
}

/// Makes all tokens of the account useless.
///
/// # Errors
/// The database's.
pub fn void_all(tx: &mut Conn, user: UserId, now: Timestamp) -> Result<()> {
    for purpose in Purpose::ALL {
        void(tx, user, *purpose, now)?;
    }
    Ok(())
}

/// A token that is still good.
#[derive(Debug, Queryable)]
pub struct Good {
    /// Whose it is.
    pub user: User,
    /// What it is good for.
    pub purpose: Purpose,
    /// The address that it proves, for [`Purpose::ChangeEmail`].
    pub new_email: Option<String>,
}

/// Finds a token that is still good.
///
/// # Errors
/// A broken rule at `/token` where it is not.
pub fn look_up(conn: &mut Conn, token: &str, purposes: &[Purpose], now: Timestamp) -> Result<Good> {
    one_time_tokens::table
        .inner_join(users::table)
        .filter(one_time_tokens::token_hash.eq(tokens::hash(token)))
        .filter(one_time_tokens::purpose.eq_any(purposes.iter().map(|purpose| purpose.as_str())))
        .filter(one_time_tokens::used_at.is_null())
        .filter(one_time_tokens::expires_at.gt(now))
        .filter(users::disabled_at.is_null())
        .select((User::as_select(), one_time_tokens::purpose, one_time_tokens::new_email))
        .first(conn)
        .optional()?
        .ok_or_else(not_good)
}

/// Uses a token up. Of several that try at once, one succeeds.
///
/// # Errors
/// As [`look_up`].
pub fn consume(tx: &mut Conn, token: &str, purposes: &[Purpose], now: Timestamp) -> Result<Good> {
    let good = look_up(tx, token, purposes, now)?;
    let mine = one_time_tokens::table
        .filter(one_time_tokens::token_hash.eq(tokens::hash(token)))
        .filter(one_time_tokens::used_at.is_null());
    if diesel::update(mine).set(one_time_tokens::used_at.eq(now)).execute(tx)? == 0 {
        return Err(not_good());
    }
    Ok(good)
}

/// What is told to whoever comes with a token that is not good.
pub fn not_good() -> Error {
    Error::invalid(
        "/token",
        "invalid_token",
        "was used already, has expired, or was never given out; ask for a new one",
    )
}
