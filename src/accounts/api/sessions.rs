//! Signing in, renewing, signing out.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, delete, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::users::UserDto;
use crate::accounts::authentication::SignedIn;
use crate::accounts::model::{EmailAddress, User};
use crate::accounts::origin::Origin;
use crate::accounts::proof::{self, Doubt, Proof, SignIn};
use crate::accounts::sessions::{self, Opened, Refreshed, RevokedReason};
use crate::accounts::tokens::ACCESS_SECONDS;
use crate::accounts::{Keys, device, passwords, second_factor, store};
use crate::audit;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::{Body, Endpoints};
use crate::trail::Trail;

pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints.service(create_session).service(refresh_session).service(delete_current_session);
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
    /// Six digits of the authenticator app, or a recovery code; for accounts that have a second factor.
    #[schema(max_length = 64)]
    totp_code: Option<String>,
    /// The `device_token` of the last sign-in to this account on this device, if there is one. Any other value is ignored.
    #[schema(max_length = 128)]
    device_token: Option<String>,
}

/// A session's tokens.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6ImsxIn0.e30.c2ln", "token_type": "Bearer", "expires_in": 600,
    "enrolment_required": false, "refresh_token": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE",
    "device_token": "pO5uJ8Cj0q2Uu9i1kq3Xw7YwBkz0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yEmQ0aR2c",
    "user": {"id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "email": "patient@demo.legwork.example", "name": null, "role": "patient",
        "practitioner_id": null, "email_verified": true, "second_factor": false, "invited": false, "disabled": false,
        "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z"}
}))]
struct SessionDto {
    /// Send it as `Authorization: Bearer …`.
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Seconds until the access token expires.
    expires_in: i64,
    /// Whether this session can do nothing but set up the second factor: see `POST /v1/me/second-factor`.
    enrolment_required: bool,
    /// Good once, for the next pair of tokens.
    refresh_token: String,
    /// Store it on the device, also after sign-out, and send it with the next sign-in to this account: attempts of others then do
    /// not slow this device down. It opens nothing by itself. Null where tokens are renewed.
    device_token: Option<String>,
    /// The account.
    user: UserDto,
}

fn answer(keys: &Keys, env: &Env, user: &User, opened: Opened, device_token: Option<String>) -> Result<HttpResponse> {
    Ok(HttpResponse::build(StatusCode::CREATED).json(SessionDto {
        access_token: keys.tokens.sign(user.id, opened.session_id, env.now())?,
        token_type: "Bearer",
        expires_in: ACCESS_SECONDS,
        enrolment_required: second_factor::is_due(&env.config.settings, user.role, user.second_factor_at),
        refresh_token: opened.refresh_token,
        device_token,
        user: UserDto::from(user),
    }))
}

/// Sign in
///
/// An address that was not verified yet fails exactly like a wrong password, so that nobody learns who has an account. Where the
/// account has a second factor, the right password alone is told so; then send the code with it.
///
/// Failed attempts slow down further ones from the same address. While others guess the password of an account, an address from
/// which nobody has tried yet is told once to wait for some seconds; its next attempt is then checked. Send `device_token` to be
/// exempt from what others do.
#[utoipa::path(
    tag = "sessions",
    operation_id = "create_session",
    request_body = NewSession,
    responses(
        (status = 201, description = "Signed in", body = SessionDto),
        (status = 401, description = "`invalid_credentials`: the address or the password is wrong, or the address is not verified yet; \
            `totp_required`: the password is right, and `totp_code` is missing; `totp_invalid`: the code is wrong, too old or was used already"),
        (status = 429, description = "`too_many_attempts`: too many failed; see Retry-After"),
    ),
)]
#[post("/v1/sessions")]
async fn create_session(
    env: web::Data<Env>,
    keys: web::Data<Keys>,
    origin: Origin,
    trail: Trail,
    body: Body<NewSession>,
) -> Result<HttpResponse> {
    let NewSession { email, password, totp_code, device_token } = body.value;
    // What is no address has no account, and is counted and answered like an address without one.
    let email_key = EmailAddress::parse(&email).map_or_else(|_| email.to_lowercase(), |email| email.key());
    let (shared, from) = (env.clone(), origin.clone());
    let proof = Proof { password: password.clone(), code: totp_code };
    let sign_in = SignIn { email_key, proof, origin, device_token: device_token.clone() };
    let noted = trail.clone();
    let (user, opened) = proof::of_address(&env, &keys, sign_in, &trail, move |tx, user| {
        let opened = sessions::open(tx, &shared, user.id, &from)?;
        noted.note_actor(user.id, Some(user.role));
        audit::record(tx, &shared, &noted, opened.session_id.0)?;
        Ok((user.clone(), opened))
    })
    .await?
    .map_err(doubtful)?;
    strengthen(&env, &keys, &user, &password).await?;
    let device_token = device::renew(&env, user.id, device_token.as_deref());
    answer(&keys, &env, &user, opened, Some(device_token))
}

fn doubtful(doubt: Doubt) -> Error {
    let (code, detail) = match doubt {
        Doubt::Password => (
            "invalid_credentials",
            "The e-mail address or the password is wrong, or the address has not been verified yet: see the mail that we sent.",
        ),
        Doubt::CodeMissing => {
            ("totp_required", "Send a code of your authenticator app, or a recovery code, as totp_code.")
        }
        Doubt::Code => ("totp_invalid", "The code is wrong, too old, or was used already."),
    };
    Error::unauthenticated(code, detail)
}

/// Hashes a password anew that was hashed with less than is asked for today: only now it is known.
async fn strengthen(env: &Env, keys: &Keys, user: &User, password: &str) -> Result<()> {
    let Some(old) = user.password_hash.clone().filter(|hash| passwords::is_weak(hash)) else { return Ok(()) };
    let (id, new) = (user.id, keys.passwords.hash(password).await?);
    env.db.write(move |tx| store::rehash(tx, id, &old, &new)).await
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
async fn refresh_session(
    env: web::Data<Env>,
    keys: web::Data<Keys>,
    trail: Trail,
    body: Body<Refresh>,
) -> Result<HttpResponse> {
    let (shared, token) = (env.clone(), body.value.refresh_token);
    let refreshed = env.db.write(move |tx| {
        let refreshed = sessions::refresh(tx, &shared, &trail, &token)?;
        if let Refreshed::Renewed(_, opened) = &refreshed {
            audit::record(tx, &shared, &trail, opened.session_id.0)?;
        }
        Ok(refreshed)
    });
    match refreshed.await? {
        Refreshed::Renewed(user, opened) => answer(&keys, &env, &user, opened, None),
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
async fn delete_current_session(env: web::Data<Env>, SignedIn(actor): SignedIn) -> Result<HttpResponse> {
    let shared = env.clone();
    env.db
        .write(move |tx| {
            audit::record(tx, &shared, &actor.trail, actor.session_id.0)?;
            sessions::revoke(tx, actor.session_id, RevokedReason::Logout, shared.now())
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
