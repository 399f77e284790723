//! Deletes short-lived data: ended sessions with their refresh tokens, used refresh tokens, expired links, old counts of failures,
//! from where accounts were verified, requests about addresses, used assertions and ended secrets of machine clients.

use std::time::Duration;

use diesel::dsl::{exists, not};
use diesel::prelude::*;
use jiff::SignedDuration;

use super::throttle;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{
    address_requests, client_assertions, client_secrets, new_accounts, one_time_tokens, refresh_tokens, sessions,
    sign_in_failures,
};
use crate::env::Env;
use crate::error::Result;
use crate::ids::{AddressRequestId, ClientSecretId, OneTimeTokenId, RefreshTokenId, SessionId, UserId};
use crate::periodic;

/// The most rows of a kind that one transaction deletes, so that it never blocks others for long.
const ROUND: i64 = 500;
/// The time between two purges.
const PAUSE: Duration = Duration::from_hours(1);

/// Loads ids and locks their rows. Skips rows that another instance is deleting.
macro_rules! taken {
    ($tx:expr, $ids:expr) => {
        match $tx {
            Conn::Sqlite(conn) => $ids.load(conn)?,
            Conn::Postgres(conn) => $ids.for_update().skip_locked().load(conn)?,
        }
    };
}

/// Deletes at most [`ROUND`] rows of each kind. Returns how many were deleted.
pub fn round(tx: &mut Conn, env: &Env) -> Result<usize> {
    let now = env.now();
    let kept = SignedDuration::from_hours(24 * i64::from(env.config.settings.sessions_kept_days));
    let before = now.minus(kept);
    let failures = sign_in_failures::table.filter(sign_in_failures::last_at.lt(now.minus(throttle::MEMORY)));
    let failures = failures.filter(sign_in_failures::retry_at.lt(now)).limit(ROUND);
    let failures: Vec<(Vec<u8>, Vec<u8>)> =
        taken!(tx, failures.select((sign_in_failures::account, sign_in_failures::network)));
    for key in &failures {
        diesel::delete(sign_in_failures::table.find((&key.0, &key.1))).execute(tx)?;
    }
    let tokens = one_time_tokens::table.filter(one_time_tokens::expires_at.lt(before)).limit(ROUND);
    let tokens: Vec<OneTimeTokenId> = taken!(tx, tokens.select(one_time_tokens::id));
    diesel::delete(one_time_tokens::table.filter(one_time_tokens::id.eq_any(&tokens))).execute(tx)?;
    let verified = new_accounts::table.filter(new_accounts::expires_at.lt(now)).limit(ROUND);
    let verified: Vec<UserId> = taken!(tx, verified.select(new_accounts::user_id));
    diesel::delete(new_accounts::table.filter(new_accounts::user_id.eq_any(&verified))).execute(tx)?;
    let requests = address_requests::table.filter(address_requests::requested_at.lt(now)).limit(ROUND);
    let requests: Vec<AddressRequestId> = taken!(tx, requests.select(address_requests::id));
    diesel::delete(address_requests::table.filter(address_requests::id.eq_any(&requests))).execute(tx)?;
    let clients = of_clients(tx, now, before)?;
    Ok(clients
        + failures.len()
        + tokens.len()
        + verified.len()
        + requests.len()
        + used_tokens(tx, before)?
        + ended_sessions(tx, before)?)
}

/// Deletes used assertions of machine clients once they have expired, and ended secrets.
fn of_clients(tx: &mut Conn, now: Timestamp, before: Timestamp) -> Result<usize> {
    let used = client_assertions::table.filter(client_assertions::expires_at.lt(now)).limit(ROUND);
    let used: Vec<(UserId, Vec<u8>)> =
        taken!(tx, used.select((client_assertions::client_id, client_assertions::jti_hash)));
    for key in &used {
        diesel::delete(client_assertions::table.find((key.0, &key.1))).execute(tx)?;
    }
    let ended = client_secrets::table.filter(client_secrets::ends_at.lt(before)).limit(ROUND);
    let ended: Vec<ClientSecretId> = taken!(tx, ended.select(client_secrets::id));
    diesel::delete(client_secrets::table.filter(client_secrets::id.eq_any(&ended))).execute(tx)?;
    Ok(used.len() + ended.len())
}

/// Deletes used refresh tokens of active sessions. If one is sent again, it is unknown instead of reused; both fail.
fn used_tokens(tx: &mut Conn, before: Timestamp) -> Result<usize> {
    let used = refresh_tokens::table.filter(refresh_tokens::used_at.lt(before)).limit(ROUND);
    let ids: Vec<RefreshTokenId> = taken!(tx, used.select(refresh_tokens::id));
    Ok(diesel::delete(refresh_tokens::table.filter(refresh_tokens::id.eq_any(&ids))).execute(tx)?)
}

fn ended_sessions(tx: &mut Conn, before: Timestamp) -> Result<usize> {
    let ended = sessions::expires_at.lt(before).or(sessions::revoked_at.lt(before));
    // A session may have thousands of used tokens. `used_tokens` deletes them first, so that a round stays small.
    let used = refresh_tokens::table.filter(refresh_tokens::session_id.eq(sessions::id));
    let bare = not(exists(used.filter(refresh_tokens::used_at.is_not_null())));
    let ids: Vec<SessionId> = taken!(tx, sessions::table.filter(ended).filter(bare).limit(ROUND).select(sessions::id));
    diesel::delete(refresh_tokens::table.filter(refresh_tokens::session_id.eq_any(&ids))).execute(tx)?;
    Ok(diesel::delete(sessions::table.filter(sessions::id.eq_any(&ids))).execute(tx)?)
}

/// Purges once an hour until the service stops.
pub fn start(env: &Env, stopping: tokio::sync::watch::Receiver<bool>) {
    let env = env.clone();
    periodic::start(stopping, async move || {
        let shared = env.clone();
        match env.db.write(move |tx| round(tx, &shared)).await {
            // More rows are left, so the next round follows after a short pause.
            Ok(count) if count >= usize::try_from(ROUND).unwrap_or(usize::MAX) => Duration::from_millis(200),
            Ok(_) => PAUSE,
            Err(error) => {
                tracing::warn!(%error, "could not purge ended sessions");
                PAUSE
            }
        }
    });
}
