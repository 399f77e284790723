//! Signing in, renewing, signing out.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, delete, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::users::UserDto;
use crate::accounts::model::{EmailAddress, User};
use crate::accounts::sessions::{self, Opened, Refreshed, RevokedReason};
use crate::accounts::tokens::ACCESS_SECONDS;
use crate::accounts::{Keys, store};
use crate::actor::Actor;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::Body;

pub(super) fn routes(cfg: &mut ServiceConfig) {
    cfg.service(create_session).service(refresh_session).service(delete_current_session);
}

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "patient@demo.legwork.example", "password": "restful-nights-demo"}))]
struct NewSession {
    /// The account's address; upper and lower case are the same.
    #[schema(max_length = 254)]
    email: String,
    /// The password.
    #[schema(max_length = 128)]
    password: String,
}

/// A session's tokens.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6ImsxIn0.e30.c2ln", "token_type": "Bearer", "expires_in": 600,
    "refresh_token": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE",
    "user": {"id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "email": "patient@demo.legwork.example", "name": null, "role": "patient",
        "practitioner_id": null, "email_verified": true, "invited": false, "disabled": false,
        "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z"}
}))]
struct SessionDto {
    /// Send it as `Authorization: Bearer …`.
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Seconds until the access token expires.
    expires_in: i64,
    /// Good once, for the next pair of tokens.
    refresh_token: String,
    /// The account.
    user: UserDto,
}

fn answer(keys: &Keys, env: &Env, user: &User, opened: Opened) -> Result<HttpResponse> {
    Ok(HttpResponse::build(StatusCode::CREATED).json(SessionDto {
        access_token: keys.tokens.sign(user.id, opened.session_id, env.now())?,
        token_type: "Bearer",
        expires_in: ACCESS_SECONDS,
        refresh_token: opened.refresh_token,
        user: UserDto::from(user),
    }))
}

/// Sign in
///
/// An address that was not verified yet fails exactly like a wrong password, so that nobody learns who has an account.
#[utoipa::path(
    tag = "sessions",
    operation_id = "create_session",
    request_body = NewSession,
    responses(
        (status = 201, description = "Signed in", body = SessionDto),
        (status = 401, description = "`invalid_credentials`: the address or the password is wrong, or the address is not verified yet"),
    ),
)]
#[post("/v1/sessions")]
async fn create_session(env: web::Data<Env>, keys: web::Data<Keys>, body: Body<NewSession>) -> Result<HttpResponse> {
    let key = EmailAddress::parse(&body.email).ok().map(|email| email.key());
    let user = match key {
        Some(key) => env.db.read(move |conn| store::find_by_email(conn, &key)).await?,
        None => None,
    };
    let hash = user.as_ref().and_then(|user| user.password_hash.as_deref());
    let right = keys.passwords.verify(&body.password, hash).await?;
    let user = user.filter(|user| right && user.email_verified_at.is_some() && user.disabled_at.is_none()).ok_or_else(|| {
        Error::unauthenticated(
            "invalid_credentials",
            "The e-mail address or the password is wrong, or the address has not been verified yet: see the mail that we sent.",
        )
    })?;
    let (shared, id) = (env.clone(), user.id);
    let opened = env.db.write(move |tx| sessions::open(tx, &shared, id)).await?;
    answer(&keys, &env, &user, opened)
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"refresh_token": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE"}))]
struct Refresh {
    /// The newest one of the session.
    #[schema(max_length = 128)]
    refresh_token: String,
}

/// Renew a session's tokens
///
/// A refresh token is good once. One that comes back ends the session, as somebody else may have it, unless it comes within ten
/// seconds of its use: then another tab was quicker.
#[utoipa::path(
    tag = "sessions",
    operation_id = "refresh_session",
    request_body = Refresh,
    responses(
        (status = 201, description = "The next pair of tokens", body = SessionDto),
        (status = 401, description = "`session_ended`: the token is unknown or used, or the session is over"),
        (status = 409, description = "`refresh_raced`: another request has just renewed the session"),
    ),
)]
#[post("/v1/sessions/refresh")]
async fn refresh_session(env: web::Data<Env>, keys: web::Data<Keys>, body: Body<Refresh>) -> Result<HttpResponse> {
    let (shared, token) = (env.clone(), body.value.refresh_token);
    match env.db.write(move |tx| sessions::refresh(tx, &shared, &token)).await? {
        Refreshed::Renewed(user, opened) => answer(&keys, &env, &user, opened),
        Refreshed::Reused => {
            tracing::warn!("a used refresh token came back; its session was ended");
            Err(Error::unauthenticated("session_ended", "The session has ended. Sign in again."))
        }
    }
}

/// Sign out
///
/// Ends the session of the access token; its refresh token is worth nothing from then on.
#[utoipa::path(
    tag = "sessions",
    operation_id = "delete_current_session",
    security(("bearer" = [])),
    responses((status = 204, description = "Signed out")),
)]
#[delete("/v1/sessions/current")]
async fn delete_current_session(env: web::Data<Env>, actor: Actor) -> Result<HttpResponse> {
    let clock = env.clock.clone();
    env.db.write(move |tx| sessions::revoke(tx, actor.session_id, RevokedReason::Logout, clock.now())).await?;
    Ok(HttpResponse::NoContent().finish())
}
