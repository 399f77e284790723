//! The secret and the recovery codes of an account in the database, and the use of codes.

use diesel::prelude::*;

use super::totp::{self, Typed};
use crate::accounts::model::User;
use crate::accounts::notices;
use crate::clock::Timestamp;
use crate::context::Tx;
use crate::db::Conn;
use crate::db::schema::{recovery_codes, second_factors};
use crate::error::{Error, ProblemCode, Result};
use crate::ids::UserId;
use crate::messages::model::SecurityEvent;
use crate::sealed::{Place, Sealed};

fn place(user: UserId) -> Place {
    Place::new("second_factors", "secret", user.0)
}

/// Requires that the account has no second factor.
///
/// # Errors
/// The conflict `second_factor_on`.
pub fn require_off(user: &User) -> Result<()> {
    match user.second_factor_at {
        None => Ok(()),
        Some(_) => {
            Err(Error::conflict(ProblemCode::SecondFactorOn, "The second factor is on already. Switch it off first."))
        }
    }
}

/// Requires that the account has a second factor.
///
/// # Errors
/// The conflict `second_factor_off`.
pub fn require_on(user: &User) -> Result<()> {
    match user.second_factor_at {
        Some(_) => Ok(()),
        None => Err(Error::conflict(
            ProblemCode::SecondFactorOff,
            "The second factor is off. Set up an authenticator app first.",
        )),
    }
}

/// A secret, with the time at which it was created.
pub(super) struct Secret {
    pub base32: String,
    pub created_at: Timestamp,
}

/// The account's secret, if there is one.
pub(super) fn secret<P>(tx: &mut Tx<P>, user: UserId) -> Result<Option<Secret>> {
    let row: Option<(Sealed<String>, Timestamp)> = second_factors::table
        .find(user)
        .select((second_factors::secret, second_factors::created_at))
        .first(tx.conn)
        .optional()?;
    let Some((sealed, created_at)) = row else { return Ok(None) };
    Ok(Some(Secret { base32: tx.env.sealer.open(place(user), &sealed)?, created_at }))
}

/// Replaces the account's secret and recovery codes by a new secret. The user must be locked.
pub(super) fn replace_secret<P>(tx: &mut Tx<P>, user: UserId) -> Result<String> {
    remove(tx.conn, user)?;
    let secret = totp::new_secret(&tx.env.entropy);
    diesel::insert_into(second_factors::table)
        .values((
            second_factors::user_id.eq(user),
            second_factors::secret.eq(tx.env.sealer.seal(place(user), &secret)?),
            second_factors::last_step.eq(0),
            second_factors::created_at.eq(tx.now),
        ))
        .execute(tx.conn)?;
    Ok(secret)
}

/// Uses up the time step of a code. Returns whether no code of this step or of a later one was used before.
pub(super) fn spend_step(tx: &mut Conn, user: UserId, step: i64) -> Result<bool> {
    let unspent = second_factors::table.find(user).filter(second_factors::last_step.lt(step));
    Ok(diesel::update(unspent).set(second_factors::last_step.eq(step)).execute(tx)? == 1)
}

/// Uses up a code of the app or a recovery code. Returns whether it was right. Of several requests with the same code, also
/// concurrent ones, one succeeds.
pub fn spend<P>(tx: &mut Tx<P>, user: &User, code: &str) -> Result<bool> {
    match totp::read(code) {
        Typed::Code(code) => {
            let Some(secret) = secret(tx, user.id)? else { return Ok(false) };
            let Some(step) = totp::step(&secret.base32, &code, tx.now)? else { return Ok(false) };
            spend_step(tx.conn, user.id, step)
        }
        Typed::Recovery(hash) => {
            let unspent = recovery_codes::table.find((user.id, hash)).filter(recovery_codes::used_at.is_null());
            let is_spent = diesel::update(unspent).set(recovery_codes::used_at.eq(tx.now)).execute(tx.conn)? == 1;
            if is_spent {
                notices::tell(tx.conn, tx.env, user, SecurityEvent::RecoveryCodeUsed)?;
            }
            Ok(is_spent)
        }
    }
}

/// Replaces the account's recovery codes. The user must be locked.
pub(super) fn replace_recovery_codes<P>(tx: &mut Tx<P>, user: UserId) -> Result<Vec<String>> {
    diesel::delete(recovery_codes::table.filter(recovery_codes::user_id.eq(user))).execute(tx.conn)?;
    let codes: Vec<String> = (0..totp::RECOVERY_CODES).map(|_| totp::recovery_code(&tx.env.entropy)).collect();
    for code in &codes {
        let Typed::Recovery(hash) = totp::read(code) else { continue };
        diesel::insert_into(recovery_codes::table)
            .values((recovery_codes::user_id.eq(user), recovery_codes::code_hash.eq(hash)))
            .execute(tx.conn)?;
    }
    Ok(codes)
}

/// The number of recovery codes that are not used yet.
pub(super) fn recovery_codes_left(conn: &mut Conn, user: UserId) -> Result<i64> {
    let unused = recovery_codes::table.filter(recovery_codes::user_id.eq(user));
    Ok(unused.filter(recovery_codes::used_at.is_null()).count().get_result(conn)?)
}

/// Deletes the account's secret and recovery codes.
pub(super) fn remove(tx: &mut Conn, user: UserId) -> Result<()> {
    diesel::delete(recovery_codes::table.filter(recovery_codes::user_id.eq(user))).execute(tx)?;
    diesel::delete(second_factors::table.find(user)).execute(tx)?;
    Ok(())
}
