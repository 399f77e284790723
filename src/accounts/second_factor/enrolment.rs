//! Setting up the second factor. All of it is open to a session that must set one up before it may do anything else.

use actix_web::{HttpResponse, get, post, web};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::codes;
use super::totp::{self, SecondFactorProvision, Typed};
use crate::accounts::authenticate::{self, AuthFailure, Credentials};
use crate::accounts::caller::SignedIn;
use crate::accounts::sessions::revoking::revoke_others;
use crate::accounts::throttle::{ConfirmedBy, Throttle};
use crate::accounts::{Keys, device, notices, store};
use crate::clock::Timestamp;
use crate::context::{Attempt, Context, Tx};
use crate::error::{Error, ProblemCode, Result};
use crate::http::{Body, response};
use crate::messages::model::SecurityEvent;

/// How long a new secret waits for its first code.
const ENROLMENT: SignedDuration = SignedDuration::from_mins(30);

/// The state of an account's second factor.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"enabled": true, "since": "2026-03-02T14:00:00Z", "required": true, "recovery_codes_left": 10}))]
pub struct SecondFactor {
    /// Whether signing in takes a code besides the password.
    pub enabled: bool,
    /// When it was switched on. Null if it is off.
    pub since: Option<Timestamp>,
    /// Whether the clinic requires it of this account.
    pub required: bool,
    /// The number of recovery codes that are not used yet.
    #[schema(minimum = 0, maximum = 10)]
    pub recovery_codes_left: i64,
}

/// The caller's password, before an authenticator app is set up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"current_password": "violet otter hums at dawn"}))]
pub struct BeginSecondFactorRequest {
    /// The account's password.
    #[schema(max_length = 128)]
    current_password: String,
}

/// A code of the app.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"totp_code": "287082"}))]
pub struct ConfirmSecondFactorRequest {
    /// Six digits.
    #[schema(max_length = 64)]
    totp_code: String,
}

/// A second factor that is on.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "recovery_codes": ["7K2M-9QXD-4HTB-0WNE-6RGA-3YPC"],
    "device_token": "AZnQwnseeXw6mlE_b2odnFUAAAABMDEyMzQ1Njc4OWFiY2RlZgAGTAySzSAAQYUzjKEJ4tmuPV5nDUSyoJ_Ri2H-ETvuFMwjjtrYxs0"
}))]
pub struct ConfirmedSecondFactor {
    /// Recovery codes, shown only once. Each works once in place of a code of the app.
    pub recovery_codes: Vec<String>,
    /// Store it on the device in place of an earlier one, and send it with the next sign-in (`POST /v1/sessions`). Earlier device tokens of
    /// the account are not valid any more.
    pub device_token: String,
}

/// Returns the state of the caller's second factor.
pub async fn status(context: &Context<SignedIn>) -> Result<SecondFactor> {
    context
        .read(|tx| {
            let user = store::find(tx.conn, tx.actor.0.user_id)?;
            Ok(SecondFactor {
                enabled: user.second_factor_at.is_some(),
                since: user.second_factor_at,
                required: super::is_due(&tx.env.config.settings, user.role, None),
                recovery_codes_left: codes::recovery_codes_left(tx.conn, user.id)?,
            })
        })
        .await
}

/// Creates a secret, which counts once [`confirm`] has seen a code of it. An earlier one that was not confirmed stops working.
///
/// # Errors
/// The conflict `second_factor_on`; those of [`authenticate::again`].
pub async fn begin(
    context: &Context<SignedIn>,
    keys: &Keys,
    request: BeginSecondFactorRequest,
) -> Result<SecondFactorProvision> {
    let credentials = Credentials { password: request.current_password, code: None };
    let id = context.actor.0.user_id;
    // Otherwise a user who has a second factor would be asked for a code of it.
    context.read(move |tx| codes::require_off(&store::find(tx.conn, id)?)).await?;
    authenticate::again(context, keys, id, ConfirmedBy::Session, credentials, |tx, user| {
        codes::require_off(user)?;
        let secret = codes::replace_secret(tx, user.id)?;
        totp::provision(&secret, &tx.env.config.settings.clinic_name, &user.email)
    })
    .await
}

/// Switches the second factor on, given a code of the new secret. Ends every other session of the account, the links in earlier mails and
/// the device tokens, and returns a new device token for this device.
///
/// # Errors
/// The conflicts `second_factor_on` and `no_enrolment`; a broken rule if the code is wrong; [`Error::TooMany`].
pub async fn confirm(
    context: &Context<SignedIn>,
    request: ConfirmSecondFactorRequest,
) -> Result<ConfirmedSecondFactor> {
    authenticate::check_code(&request.totp_code)?;
    context.attempt(move |tx| switch_on(tx, &request.totp_code)).await
}

fn switch_on(tx: &mut Tx<SignedIn>, code: &str) -> Result<Attempt<ConfirmedSecondFactor>> {
    let actor = &tx.actor.0;
    let user = store::lock(tx.conn, actor.user_id)?;
    let throttle = Throttle::for_confirmation(tx.env, user.id, ConfirmedBy::Session).for_code(tx.env, user.id);
    if let Some(wait) = throttle.admit(tx.conn, tx.now)? {
        return Err(wait.into());
    }
    codes::require_off(&user)?;
    let now = tx.now;
    let secret =
        codes::secret(tx, user.id)?.filter(|secret| now.since(secret.created_at) < ENROLMENT).ok_or_else(|| {
            Error::conflict(ProblemCode::NoEnrolment, "Request a new secret first, and confirm it within half an hour.")
        })?;
    let step = match totp::read(code) {
        Typed::Code(code) => totp::step(&secret.base32, &code, now)?,
        Typed::Recovery(_) => None,
    };
    let Some(step) = step else {
        throttle.record_failure(tx.conn, now)?;
        return Ok(Attempt::Failed(AuthFailure::Code.in_form()));
    };
    throttle.record_success(tx.conn, now)?;
    codes::spend_step(tx.conn, user.id, step)?;
    let user = store::set_second_factor(tx.conn, &user, Some(now), now)?;
    revoke_others(tx.conn, actor, now)?;
    notices::tell(tx.conn, tx.env, &user, SecurityEvent::SecondFactorOn)?;
    tx.audit.note_object(user.id.0);
    let recovery_codes = codes::replace_recovery_codes(tx, user.id)?;
    Ok(Attempt::Succeeded(ConfirmedSecondFactor { recovery_codes, device_token: device::renew(tx.env, &user, None) }))
}

/// Read the state of my second factor
///
/// Also available to a session that still has to set up its second factor.
#[utoipa::path(
    tag = "second factor",
    operation_id = "get_second_factor",
    security(("bearer" = [])),
    responses((status = 200, description = "The state", body = SecondFactor)),
)]
#[get("/v1/me/second-factor")]
pub(super) async fn get_second_factor(context: Context<SignedIn>) -> Result<HttpResponse> {
    Ok(response::ok(&status(&context).await?))
}

/// Begin to set up an authenticator app
///
/// Returns the app's secret, once. Confirm a code of it within half an hour. A repeated request replaces an earlier secret that was not
/// confirmed. Also available to a session that still has to set up its second factor.
#[utoipa::path(
    tag = "second factor",
    operation_id = "begin_second_factor",
    security(("bearer" = [])),
    request_body = BeginSecondFactorRequest,
    responses(
        (status = 200, description = "The secret", body = SecondFactorProvision),
        (status = 409, description = "`second_factor_on`: it is set up already"),
        (status = 429, description = "`too_many_attempts`: too many attempts failed. Retry after the number of seconds in `Retry-After`"),
    ),
)]
#[post("/v1/me/second-factor")]
pub(super) async fn begin_second_factor(
    context: Context<SignedIn>,
    keys: web::Data<Keys>,
    body: Body<BeginSecondFactorRequest>,
) -> Result<HttpResponse> {
    Ok(response::ok(&begin(&context, &keys, body.value).await?))
}

/// Confirm the authenticator app
///
/// Takes a code of the new secret. From then on signing in takes a code. Every other session of the account, every link in an earlier mail
/// and every earlier `device_token` ends, and its owner is notified by mail. The response has ten recovery codes; the user keeps them apart
/// from the app. It also has a new `device_token` for this device. Also available to a session that still has to set up its second factor.
#[utoipa::path(
    tag = "second factor",
    operation_id = "confirm_second_factor",
    security(("bearer" = [])),
    request_body = ConfirmSecondFactorRequest,
    responses(
        (status = 200, description = "The second factor is on", body = ConfirmedSecondFactor),
        (status = 409, description = "`no_enrolment`: no secret was requested within the last half hour. `second_factor_on`: it is on already"),
        (status = 429, description = "`too_many_attempts`: too many attempts failed. Retry after the number of seconds in `Retry-After`"),
    ),
)]
#[post("/v1/me/second-factor/confirm")]
pub(super) async fn confirm_second_factor(
    context: Context<SignedIn>,
    body: Body<ConfirmSecondFactorRequest>,
) -> Result<HttpResponse> {
    Ok(response::ok(&confirm(&context, body.value).await?))
}
