//! Renewing a session's tokens.

use actix_web::{HttpResponse, post, web};
use diesel::prelude::*;
use jiff::SignedDuration;
use serde::Deserialize;
use utoipa::ToSchema;

use super::revoking::{RevokedReason, revoke};
use super::session::{OpenSession, idle_limit, new_refresh_token};
use super::session_tokens::SessionTokens;
use crate::accounts::model::User;
use crate::accounts::{Keys, tokens};
use crate::audit;
use crate::clock::Timestamp;
use crate::context::{Anonymous, Attempt, Context, Tx};
use crate::db::schema::{refresh_tokens, sessions, users};
use crate::error::{Error, ProblemCode, Result};
use crate::http::Body;
use crate::ids::{RefreshTokenId, SessionId};

/// A used token that comes back within this time lost a race with its own replacement.
const RACE: SignedDuration = SignedDuration::from_secs(10);

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"refresh_token": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE"}))]
pub struct RefreshSessionRequest {
    /// The session's newest refresh token.
    #[schema(max_length = 128)]
    refresh_token: String,
}

/// Exchanges a refresh token for the next one and a new access token.
///
/// # Errors
/// `session_ended` if the token is unknown or used, or the session is over; the conflict `refresh_raced`.
pub async fn refresh(
    context: &Context<Anonymous>,
    keys: &Keys,
    request: RefreshSessionRequest,
) -> Result<SessionTokens> {
    let (user, session) = context.attempt(move |tx| rotate(tx, &request.refresh_token)).await?;
    SessionTokens::new(&context.env, keys, &user, session, None)
}

/// Uses up a refresh token and creates the next one. A token that was used before ends the session; the attempt fails, and the end
/// of the session is kept.
fn rotate(tx: &mut Tx<Anonymous>, token: &str) -> Result<Attempt<(User, OpenSession)>> {
    let (token_id, used_at, id, user) = refresh_tokens::table
        .inner_join(sessions::table.inner_join(users::table))
        .filter(refresh_tokens::token_hash.eq(tokens::hash(token)))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(tx.now))
        .filter(sessions::last_used_at.gt(idle_limit(tx.env, tx.now)))
        .filter(users::disabled_at.is_null())
        .select((refresh_tokens::id, refresh_tokens::used_at, sessions::id, User::as_select()))
        .first::<(RefreshTokenId, Option<Timestamp>, SessionId, User)>(tx.conn)
        .optional()?
        .ok_or_else(session_ended)?;
    tx.audit.note_actor(user.id, Some(user.role));
    if let Some(used_at) = used_at {
        if tx.now.since(used_at) <= RACE {
            return Err(raced());
        }
        revoke(tx.conn, id, RevokedReason::Reuse, tx.now)?;
        audit::record_as(tx.conn, tx.env, tx.audit, "end_reused_session", id.0)?;
        tracing::warn!("a used refresh token was sent again; its session ends");
        return Ok(Attempt::Failed(session_ended()));
    }
    let unused = refresh_tokens::table.find(token_id).filter(refresh_tokens::used_at.is_null());
    if diesel::update(unused).set(refresh_tokens::used_at.eq(tx.now)).execute(tx.conn)? == 0 {
        return Err(raced());
    }
    diesel::update(sessions::table.find(id)).set(sessions::last_used_at.eq(tx.now)).execute(tx.conn)?;
    let secret = new_refresh_token(tx, id)?;
    tx.audit.note_object(id.0);
    Ok(Attempt::Succeeded((user, OpenSession { id, secret })))
}

fn session_ended() -> Error {
    Error::unauthenticated(ProblemCode::SessionEnded, "The session has ended. Sign in again.")
}

fn raced() -> Error {
    Error::conflict(
        ProblemCode::RefreshRaced,
        "Another request has just renewed this session. Use the tokens of its response.",
    )
}

/// Renew a session's tokens
///
/// A refresh token works once. If a used one comes back, the session ends, because the token may be stolen. Within ten seconds of its use
/// the response is `refresh_raced` instead, because another tab may have been faster.
#[utoipa::path(
    tag = "sessions",
    operation_id = "refresh_session",
    request_body = RefreshSessionRequest,
    responses(
        (status = 200, description = "The next pair of tokens", body = SessionTokens),
        (status = 401, description = "`session_ended`: the token is unknown or used, or the session is over"),
        (status = 409, description = "`refresh_raced`: another request has just renewed the session"),
    ),
)]
#[post("/v1/sessions/refresh")]
pub(super) async fn refresh_session(
    context: Context<Anonymous>,
    keys: web::Data<Keys>,
    body: Body<RefreshSessionRequest>,
) -> Result<HttpResponse> {
    let tokens = refresh(&context, &keys, body.value).await?;
    Ok(HttpResponse::Ok().json(tokens))
}
