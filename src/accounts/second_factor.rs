//! The second factor: an authenticator app beside the password. Being on is `users.second_factor_at`; what the codes are
//! computed from stands sealed in a table of its own.
//!
//! Where the clinic demands it of its staff (`REQUIRE_TOTP`) and one has none yet, their sessions can do nothing but set it
//! up: see [`is_due`]. That holds for each request anew, so turning the demand on, or an administrator's reset, counts at
//! once; and setting it up ends all other sessions, which were opened with the password alone.

use diesel::prelude::*;
use jiff::SignedDuration;

use super::model::User;
use super::notices;
use super::sessions::{self, RevokedReason};
use super::store;
use super::throttle::Tries;
use super::totp::{self, Provision, Typed};
use crate::actor::{Actor, Role};
use crate::clock::Timestamp;
use crate::config::{RequireTotp, Settings};
use crate::db::Conn;
use crate::db::schema::{recovery_codes, second_factors};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::UserId;
use crate::messages::model::SecurityEvent;
use crate::sealed::{Place, Sealed};

/// How long a secret waits for its first code.
const ENROLMENT: SignedDuration = SignedDuration::from_mins(30);

/// Whether an account must set up a second factor before it may do anything else.
pub fn is_due(settings: &Settings, role: Role, second_factor_at: Option<Timestamp>) -> bool {
    settings.require_totp == RequireTotp::Staff && role.is_staff() && second_factor_at.is_none()
}

fn place(user: UserId) -> Place {
    Place::new("second_factors", "secret", user.0)
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = second_factors)]
struct Row {
    secret: Sealed<String>,
    created_at: Timestamp,
}

fn find(conn: &mut Conn, user: UserId) -> Result<Option<Row>> {
    Ok(second_factors::table.find(user).select(Row::as_select()).first(conn).optional()?)
}

/// # Errors
/// A conflict where the second factor is on.
pub fn require_off(user: &User) -> Result<()> {
    match user.second_factor_at {
        None => Ok(()),
        Some(_) => Err(Error::conflict("second_factor_on", "Codes are asked for already. Switch them off first.")),
    }
}

fn require_on(user: &User) -> Result<()> {
    match user.second_factor_at {
        Some(_) => Ok(()),
        None => Err(Error::conflict("second_factor_off", "No codes are asked for. Set up an authenticator app first.")),
    }
}

/// Makes a secret; it counts once [`confirm`] has seen a code of it. An earlier one that was not confirmed is void.
/// The user must be locked.
///
/// # Errors
/// A conflict where the second factor is on.
pub fn begin(tx: &mut Conn, env: &Env, user: &User) -> Result<Provision> {
    require_off(user)?;
    remove(tx, user.id)?;
    let secret = totp::new_secret(&env.entropy);
    diesel::insert_into(second_factors::table)
        .values((
            second_factors::user_id.eq(user.id),
            second_factors::secret.eq(env.sealer.seal(place(user.id), &secret)?),
            second_factors::last_step.eq(0),
            second_factors::created_at.eq(env.now()),
        ))
        .execute(tx)?;
    totp::provision(&secret, &env.config.settings.clinic_name, &user.email)
}

/// Switches the second factor on, given a code of the new secret, and ends every other session of the account.
/// Gives the recovery codes, or `None` where the code is wrong, which was counted.
///
/// # Errors
/// A conflict where it is on already, or no secret was asked for lately; [`Error::TooMany`].
pub fn confirm(tx: &mut Conn, env: &Env, actor: &Actor, code: &str) -> Result<Option<Vec<String>>> {
    let now = env.now();
    let user = store::lock(tx, actor.user_id)?;
    let tries = Tries::code(env, user.id);
    if let Some(wait) = tries.hold(tx, now)? {
        return Err(wait.into());
    }
    require_off(&user)?;
    let missing = || Error::conflict("no_enrolment", "Ask for a new secret first; one is good for half an hour.");
    let row = find(tx, user.id)?.filter(|row| now.since(row.created_at) < ENROLMENT).ok_or_else(missing)?;
    let secret = env.sealer.open(place(user.id), &row.secret)?;
    let Typed::Code(code) = totp::read(code) else { return wrong(tx, &tries, now) };
    let Some(step) = totp::step(&secret, &code, now)? else { return wrong(tx, &tries, now) };
    tries.succeeded(tx, now)?;
    diesel::update(second_factors::table.find(user.id)).set(second_factors::last_step.eq(step)).execute(tx)?;
    store::set_second_factor(tx, &user, Some(now), now)?;
    sessions::revoke_others(tx, actor, RevokedReason::CredentialsChanged, now)?;
    notices::tell(tx, env, &user, SecurityEvent::SecondFactorOn)?;
    renew_recovery_codes(tx, env, user.id).map(Some)
}

fn wrong(tx: &mut Conn, tries: &Tries, now: Timestamp) -> Result<Option<Vec<String>>> {
    tries.failed(tx, now)?;
    Ok(None)
}

/// Uses a code up, be it the app's or a recovery code: of several who show the same one, also at once, one is believed.
///
/// # Errors
/// The database's.
pub fn spend(tx: &mut Conn, env: &Env, user: &User, code: &str) -> Result<bool> {
    let now = env.now();
    match totp::read(code) {
        Typed::Code(code) => {
            let Some(row) = find(tx, user.id)? else { return Ok(false) };
            let secret = env.sealer.open(place(user.id), &row.secret)?;
            let Some(step) = totp::step(&secret, &code, now)? else { return Ok(false) };
            let unspent = second_factors::table.find(user.id).filter(second_factors::last_step.lt(step));
            Ok(diesel::update(unspent).set(second_factors::last_step.eq(step)).execute(tx)? == 1)
        }
        Typed::Recovery(hash) => {
            let unspent = recovery_codes::table.find((user.id, hash)).filter(recovery_codes::used_at.is_null());
            let spent = diesel::update(unspent).set(recovery_codes::used_at.eq(now)).execute(tx)? == 1;
            if spent {
                notices::tell(tx, env, user, SecurityEvent::RecoveryCodeUsed)?;
            }
            Ok(spent)
        }
    }
}

/// Gives new recovery codes; the old ones are void. The user must be locked.
///
/// # Errors
/// A conflict where the second factor is off.
pub fn regenerate(tx: &mut Conn, env: &Env, user: &User) -> Result<Vec<String>> {
    require_on(user)?;
    notices::tell(tx, env, user, SecurityEvent::RecoveryCodesRenewed)?;
    renew_recovery_codes(tx, env, user.id)
}

fn renew_recovery_codes(tx: &mut Conn, env: &Env, user: UserId) -> Result<Vec<String>> {
    diesel::delete(recovery_codes::table.filter(recovery_codes::user_id.eq(user))).execute(tx)?;
    let codes: Vec<String> = (0..totp::RECOVERY_CODES).map(|_| totp::recovery_code(&env.entropy)).collect();
    for code in &codes {
        let Typed::Recovery(hash) = totp::read(code) else { continue };
        diesel::insert_into(recovery_codes::table)
            .values((recovery_codes::user_id.eq(user), recovery_codes::code_hash.eq(hash)))
            .execute(tx)?;
    }
    Ok(codes)
}

/// How many recovery codes are left.
///
/// # Errors
/// The database's.
pub fn recovery_codes_left(conn: &mut Conn, user: UserId) -> Result<i64> {
    let unused = recovery_codes::table.filter(recovery_codes::user_id.eq(user));
    Ok(unused.filter(recovery_codes::used_at.is_null()).count().get_result(conn)?)
}

/// Switches the second factor off, as its owner wants. The user must be locked.
///
/// # Errors
/// A conflict where it is off.
pub fn disable(tx: &mut Conn, env: &Env, user: &User) -> Result<()> {
    require_on(user)?;
    take_away(tx, env, user)?;
    notices::tell(tx, env, user, SecurityEvent::SecondFactorOff)
}

/// Takes the second factor from somebody who lost theirs, at an administrator's word: their sessions end, and they are told.
///
/// # Errors
/// [`Error::NotFound`].
pub fn reset(tx: &mut Conn, env: &Env, user: UserId) -> Result<()> {
    let user = store::lock(tx, user)?;
    take_away(tx, env, &user)?;
    sessions::revoke_all(tx, user.id, RevokedReason::Admin, env.now())?;
    if user.second_factor_at.is_some() {
        notices::tell(tx, env, &user, SecurityEvent::SecondFactorReset)?;
    }
    Ok(())
}

fn take_away(tx: &mut Conn, env: &Env, user: &User) -> Result<()> {
    remove(tx, user.id)?;
    if user.second_factor_at.is_some() {
        store::set_second_factor(tx, user, None, env.now())?;
    }
    Ok(())
}

fn remove(tx: &mut Conn, user: UserId) -> Result<()> {
    diesel::delete(recovery_codes::table.filter(recovery_codes::user_id.eq(user))).execute(tx)?;
    diesel::delete(second_factors::table.find(user)).execute(tx)?;
    Ok(())
}
