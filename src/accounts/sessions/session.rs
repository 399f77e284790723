//! A session in the database: opening it, the secret that holds it, and until when it is active.

use diesel::prelude::*;
use jiff::SignedDuration;

use super::cookie;
use crate::accounts::origin::Origin;
use crate::accounts::tokens;
use crate::clock::Timestamp;
use crate::context::Tx;
use crate::db::MultiBackend;
use crate::db::schema::{refresh_tokens, sessions};
use crate::env::Env;
use crate::error::Result;
use crate::ids::{RefreshTokenId, SessionId, UserId};

/// A session with the secret that holds it: the newest refresh token of a client, or the token of a browser's cookie.
pub struct OpenSession {
    pub id: SessionId,
    /// In clear text, for the client or browser only.
    pub secret: String,
}

/// Opens a session of a client.
pub fn open<P>(tx: &mut Tx<P>, user: UserId, origin: &Origin) -> Result<OpenSession> {
    let id = insert(tx, user, origin, None)?;
    Ok(OpenSession { id, secret: new_refresh_token(tx, id)? })
}

/// Opens a session of a browser that uses the pages.
pub fn open_by_cookie<P>(tx: &mut Tx<P>, user: UserId, origin: &Origin) -> Result<OpenSession> {
    let secret = cookie::new_token(tx.env, user);
    let id = insert(tx, user, origin, Some(tokens::hash(&secret)))?;
    Ok(OpenSession { id, secret })
}

fn insert<P>(tx: &mut Tx<P>, user: UserId, origin: &Origin, cookie_hash: Option<Vec<u8>>) -> Result<SessionId> {
    let id: SessionId = tx.env.new_id();
    diesel::insert_into(sessions::table)
        .values((
            sessions::id.eq(id),
            sessions::user_id.eq(user),
            sessions::created_at.eq(tx.now),
            sessions::last_used_at.eq(tx.now),
            sessions::expires_at.eq(tx.now.plus(minutes(tx.env.config.settings.session_minutes))),
            sessions::device.eq(&origin.device),
            sessions::network.eq(origin.network()),
            sessions::cookie_hash.eq(cookie_hash),
        ))
        .execute(tx.conn)?;
    Ok(id)
}

/// Creates the next refresh token of a session.
pub(super) fn new_refresh_token<P>(tx: &mut Tx<P>, session: SessionId) -> Result<String> {
    let token = tokens::opaque(&tx.env.entropy);
    diesel::insert_into(refresh_tokens::table)
        .values((
            refresh_tokens::id.eq(tx.env.new_id::<RefreshTokenId>()),
            refresh_tokens::session_id.eq(session),
            refresh_tokens::token_hash.eq(tokens::hash(&token)),
            refresh_tokens::created_at.eq(tx.now),
        ))
        .execute(tx.conn)?;
    Ok(token)
}

fn minutes(count: u32) -> SignedDuration {
    SignedDuration::from_mins(i64::from(count))
}

/// The time before which a session must not have been used last, or it is over.
pub(in crate::accounts) fn idle_limit(env: &Env, now: Timestamp) -> Timestamp {
    now.minus(minutes(env.config.settings.session_idle_minutes))
}

/// The sessions that are not over.
pub(super) fn active(env: &Env, now: Timestamp) -> sessions::BoxedQuery<'static, MultiBackend> {
    sessions::table
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(now))
        .filter(sessions::last_used_at.gt(idle_limit(env, now)))
        .into_boxed()
}
