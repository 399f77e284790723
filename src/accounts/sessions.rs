//! Sessions: a device signs in, renews its tokens, signs out.
//!
//! Refresh tokens are opaque, stored hashed, and rotated at each use. A used one that comes back within ten seconds lost a race
//! (two tabs) and hurts nobody; one that comes back later was stolen from somebody, so the whole session ends (RFC 9700, 4.14.2).

use diesel::prelude::*;
use jiff::SignedDuration;

use super::model::User;
use super::origin::Origin;
use super::second_factor;
use super::tokens;
use crate::actor::{Actor, Role};
use crate::audit;
use crate::clock::Timestamp;
use crate::db::schema::{refresh_tokens, sessions, users};
use crate::db::types::text_enum;
use crate::db::{Conn, MultiBackend, per_backend};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::{Cursor, Limit};
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
        /// The password was set anew with a link.
        PasswordReset = "password_reset",
        /// Its owner changed what signing in needs, from another session.
        CredentialsChanged = "credentials_changed",
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
pub fn open(tx: &mut Conn, env: &Env, user: UserId, origin: &Origin) -> Result<Opened> {
    let now = env.now();
    let session_id: SessionId = env.new_id();
    diesel::insert_into(sessions::table)
        .values((
            sessions::id.eq(session_id),
            sessions::user_id.eq(user),
            sessions::created_at.eq(now),
            sessions::last_used_at.eq(now),
            sessions::expires_at.eq(now.plus(minutes(env.config.settings.session_minutes))),
            sessions::device.eq(&origin.device),
            sessions::network.eq(origin.network()),
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
pub fn refresh(tx: &mut Conn, env: &Env, trail: &Trail, token: &str) -> Result<Refreshed> {
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
    trail.note_actor(user.id, Some(user.role));
    if let Some(used_at) = used_at {
        if now.since(used_at) <= RACE {
            return Err(raced());
        }
        revoke(tx, session_id, RevokedReason::Reuse, now)?;
        audit::record_as(tx, env, trail, "end_reused_session", session_id.0)?;
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

/// Ends every other session of the caller's account.
///
/// # Errors
/// The database's.
pub fn revoke_others(tx: &mut Conn, actor: &Actor, reason: RevokedReason, now: Timestamp) -> Result<()> {
    let others = sessions::table.filter(sessions::user_id.eq(actor.user_id)).filter(sessions::id.ne(actor.session_id));
    diesel::update(others.filter(sessions::revoked_at.is_null()))
        .set((sessions::revoked_at.eq(now), sessions::revoked_reason.eq(reason)))
        .execute(tx)?;
    Ok(())
}

/// Ends one of an account's sessions.
///
/// # Errors
/// [`Error::NotFound`] where the account has no such session that goes on.
pub fn revoke_own(tx: &mut Conn, env: &Env, user: UserId, session: SessionId) -> Result<()> {
    let now = env.now();
    let mine: i64 = going_on(env, now)
        .filter(sessions::user_id.eq(user))
        .filter(sessions::id.eq(session))
        .count()
        .get_result(tx)?;
    if mine == 0 {
        return Err(Error::NotFound);
    }
    revoke(tx, session, RevokedReason::Logout, now)
}

/// A session as its owner sees it.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = sessions)]
pub struct Listed {
    /// Its id.
    pub id: SessionId,
    /// When somebody signed in.
    pub created_at: Timestamp,
    /// When its tokens were last renewed.
    pub last_used_at: Timestamp,
    /// When it ends in any case.
    pub expires_at: Timestamp,
    /// The kind of device.
    pub device: String,
    /// The network.
    pub network: String,
}

/// A page of an account's sessions that go on, the newest first.
///
/// # Errors
/// The database's.
pub fn list(conn: &mut Conn, env: &Env, user: UserId, after: Option<Cursor>, limit: Limit) -> Result<Vec<Listed>> {
    let mut query = going_on(env, env.now()).filter(sessions::user_id.eq(user));
    if let Some(Cursor { at, id }) = after {
        query = query
            .filter(sessions::created_at.lt(at).or(sessions::created_at.eq(at).and(sessions::id.lt(SessionId(id)))));
    }
    let newest_first = query.order((sessions::created_at.desc(), sessions::id.desc()));
    Ok(newest_first.limit(limit.query()).select(Listed::as_select()).load(conn)?)
}

/// The sessions that are not over.
fn going_on(env: &Env, now: Timestamp) -> sessions::BoxedQuery<'static, MultiBackend> {
    sessions::table
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(now))
        .filter(sessions::last_used_at.gt(idle_limit(env, now)))
        .into_boxed()
}

/// Who is behind a session.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub actor: Actor,
    /// Whether they must set up a second factor before they may do anything else.
    pub must_enrol: bool,
}

/// The caller behind a session that is still good: one indexed query, asked for each request, so that signing out and
/// switching off take effect at once on every instance.
///
/// # Errors
/// The database's.
pub fn caller(conn: &mut Conn, env: &Env, session: SessionId, user: UserId, trail: &Trail) -> Result<Option<Caller>> {
    let now = env.now();
    let standing = sessions::table
        .inner_join(users::table)
        .filter(sessions::id.eq(session))
        .filter(sessions::user_id.eq(user))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(now))
        .filter(sessions::last_used_at.gt(idle_limit(env, now)))
        .filter(users::disabled_at.is_null())
        .select((users::role, users::practitioner_id, users::second_factor_at));
    let found: Option<(Role, Option<PractitionerId>, Option<Timestamp>)> =
        per_backend!(conn, conn => standing.first(conn)).optional()?;
    trail.note_actor(user, found.as_ref().map(|(role, ..)| *role));
    let trail = trail.clone();
    Ok(found.map(|(role, practitioner_id, second_factor_at)| Caller {
        actor: Actor { user_id: user, session_id: session, role, practitioner_id, access_reason: None, trail },
        must_enrol: second_factor::is_due(&env.config.settings, role, second_factor_at),
    }))
}
