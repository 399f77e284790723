//! Sessions: a device signs in, renews its tokens, signs out.
//!
//! Refresh tokens are opaque, stored hashed, and rotated at each use. A used one that comes back within ten seconds lost a race
//! (two tabs) and hurts nobody; one that comes back later was stolen from somebody, so the whole session ends (RFC 9700, 4.14.2).

use diesel::prelude::*;
use jiff::SignedDuration;

use super::model::User;
use super::tokens;
use crate::actor::{Actor, Role};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{refresh_tokens, sessions, users};
use crate::db::types::text_enum;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::{PractitionerId, RefreshTokenId, SessionId, UserId};
use crate::trail::Trail;

/// Within this time after a rotation the old token counts as a race.
const RACE: SignedDuration = SignedDuration::from_secs(10);

text_enum! {
    /// Why a session ended before its time.
    RevokedReason {
        /// Its owner signed out.
        Logout = "logout",
        /// A used refresh token came back.
        Reuse = "reuse",
        /// The password was set anew.
        PasswordReset = "password_reset",
        /// The account was switched off, or may now do other things.
        Disabled = "disabled",
        /// An administrator ended it.
        Admin = "admin",
    }
}

/// A session with its fresh refresh token.
#[derive(Debug)]
pub struct Opened {
    /// The session.
    pub session_id: SessionId,
    /// The token, for the client alone.
    pub refresh_token: String,
}

/// Opens a session.
///
/// # Errors
/// The database's.
pub fn open(tx: &mut Conn, env: &Env, user: UserId) -> Result<Opened> {
    let now = env.now();
    let session_id: SessionId = env.new_id();
    diesel::insert_into(sessions::table)
        .values((
            sessions::id.eq(session_id),
            sessions::user_id.eq(user),
            sessions::created_at.eq(now),
            sessions::last_used_at.eq(now),
            sessions::expires_at.eq(now.plus(minutes(env.config.settings.session_minutes))),
        ))
        .execute(tx)?;
    Ok(Opened { session_id, refresh_token: new_refresh_token(tx, env, session_id, now)? })
}

fn minutes(count: u32) -> SignedDuration {
    SignedDuration::from_mins(i64::from(count))
}

fn new_refresh_token(tx: &mut Conn, env: &Env, session: SessionId, now: Timestamp) -> Result<String> {
    let token = tokens::opaque(&env.entropy);
    diesel::insert_into(refresh_tokens::table)
        .values((
            refresh_tokens::id.eq(env.new_id::<RefreshTokenId>()),
            refresh_tokens::session_id.eq(session),
            refresh_tokens::token_hash.eq(tokens::hash(&token)),
            refresh_tokens::created_at.eq(now),
        ))
        .execute(tx)?;
    Ok(token)
}

/// What became of a refresh token. A reuse is no `Err`: its revocation must be kept.
#[derive(Debug)]
pub enum Refreshed {
    /// Good; here is the next one.
    Renewed(Box<User>, Opened),
    /// It was stolen, or its owner kept an old copy; the session has ended.
    Reused,
}

/// Exchanges a refresh token for the next.
///
/// # Errors
/// Unauthenticated where the token is unknown or the session over; a conflict where a twin was quicker.
pub fn refresh(tx: &mut Conn, env: &Env, token: &str) -> Result<Refreshed> {
    let now = env.now();
    let over = || Error::unauthenticated("session_ended", "The session has ended. Sign in again.");
    let (token_id, used_at, session_id, user) = refresh_tokens::table
        .inner_join(sessions::table.inner_join(users::table))
        .filter(refresh_tokens::token_hash.eq(tokens::hash(token)))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(now))
        .filter(sessions::last_used_at.gt(idle_limit(env, now)))
        .filter(users::disabled_at.is_null())
        .select((refresh_tokens::id, refresh_tokens::used_at, sessions::id, User::as_select()))
        .first::<(RefreshTokenId, Option<Timestamp>, SessionId, User)>(tx)
        .optional()?
        .ok_or_else(over)?;
    if let Some(used_at) = used_at {
        if now.since(used_at) <= RACE {
            return Err(raced());
        }
        revoke(tx, session_id, RevokedReason::Reuse, now)?;
        return Ok(Refreshed::Reused);
    }
    let unused = refresh_tokens::table.find(token_id).filter(refresh_tokens::used_at.is_null());
    if diesel::update(unused).set(refresh_tokens::used_at.eq(now)).execute(tx)? == 0 {
        return Err(raced());
    }
    diesel::update(sessions::table.find(session_id)).set(sessions::last_used_at.eq(now)).execute(tx)?;
    let refresh_token = new_refresh_token(tx, env, session_id, now)?;
    Ok(Refreshed::Renewed(Box::new(user), Opened { session_id, refresh_token }))
}

fn raced() -> Error {
    Error::conflict("refresh_raced", "Another request has just renewed this session. Use the tokens that it got.")
}

fn idle_limit(env: &Env, now: Timestamp) -> Timestamp {
    now.minus(minutes(env.config.settings.session_idle_minutes))
}

/// Ends a session.
///
/// # Errors
/// The database's.
pub fn revoke(tx: &mut Conn, session: SessionId, reason: RevokedReason, now: Timestamp) -> Result<()> {
    diesel::update(sessions::table.find(session).filter(sessions::revoked_at.is_null()))
        .set((sessions::revoked_at.eq(now), sessions::revoked_reason.eq(reason)))
        .execute(tx)?;
    Ok(())
}

/// Ends every session of an account.
///
/// # Errors
/// The database's.
pub fn revoke_all(tx: &mut Conn, user: UserId, reason: RevokedReason, now: Timestamp) -> Result<()> {
    diesel::update(sessions::table.filter(sessions::user_id.eq(user)).filter(sessions::revoked_at.is_null()))
        .set((sessions::revoked_at.eq(now), sessions::revoked_reason.eq(reason)))
        .execute(tx)?;
    Ok(())
}

/// The caller behind a session that is still good: one indexed query, asked for each request, so that signing out and
/// switching off take effect at once on every instance.
///
/// # Errors
/// The database's.
pub fn actor(conn: &mut Conn, env: &Env, session: SessionId, user: UserId, trail: &Trail) -> Result<Option<Actor>> {
    let now = env.now();
    let found = sessions::table
        .inner_join(users::table)
        .filter(sessions::id.eq(session))
        .filter(sessions::user_id.eq(user))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(now))
        .filter(sessions::last_used_at.gt(idle_limit(env, now)))
        .filter(users::disabled_at.is_null())
        .select((users::role, users::practitioner_id))
        .first::<(Role, Option<PractitionerId>)>(conn)
        .optional()?;
    trail.note_actor(user, found.as_ref().map(|(role, _)| *role));
    let trail = trail.clone();
    Ok(found.map(|(role, practitioner_id)| Actor { user_id: user, session_id: session, role, practitioner_id, trail }))
}
