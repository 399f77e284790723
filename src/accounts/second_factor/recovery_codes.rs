//! Renewing the recovery codes.

use actix_web::{HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::codes;
use crate::accounts::authenticate::{self, Credentials};
use crate::accounts::throttle::ConfirmedBy;
use crate::accounts::{Keys, notices};
use crate::context::Context;
use crate::error::Result;
use crate::http::{Body, response};
use crate::messages::model::SecurityEvent;

/// Recovery codes. They are shown only once.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"recovery_codes": ["7K2M-9QXD-4HTB-0WNE-6RGA-3YPC"]}))]
pub struct RecoveryCodes {
    /// Each works once in place of a code of the app.
    pub recovery_codes: Vec<String>,
}

/// The credentials of the caller.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"current_password": "violet otter hums at dawn", "totp_code": "287082"}))]
pub struct ReauthenticationRequest {
    /// The account's password.
    #[schema(max_length = 128)]
    current_password: String,
    /// Six digits of the app, or a recovery code.
    #[schema(max_length = 64)]
    totp_code: String,
}

impl From<ReauthenticationRequest> for Credentials {
    fn from(request: ReauthenticationRequest) -> Self {
        Self { password: request.current_password, code: Some(request.totp_code) }
    }
}

/// Replaces the caller's recovery codes.
///
/// # Errors
/// The conflict `second_factor_off`; those of [`authenticate::again`].
pub async fn renew(context: &Context, keys: &Keys, request: ReauthenticationRequest) -> Result<RecoveryCodes> {
    let id = context.actor.user_id;
    authenticate::again(context, keys, id, ConfirmedBy::Session, request.into(), |tx, user| {
        codes::require_on(user)?;
        notices::tell(tx.conn, tx.env, user, SecurityEvent::RecoveryCodesRenewed)?;
        Ok(RecoveryCodes { recovery_codes: codes::replace_recovery_codes(tx, user.id)? })
    })
    .await
}

/// Renew my recovery codes
///
/// The old ones stop working, and the account's owner is notified by mail.
#[utoipa::path(
    tag = "second factor",
    operation_id = "renew_recovery_codes",
    security(("bearer" = [])),
    request_body = ReauthenticationRequest,
    responses(
        (status = 200, description = "The new codes", body = RecoveryCodes),
        (status = 409, description = "`second_factor_off`: there is no second factor"),
        (status = 429, description = "`too_many_attempts`: too many attempts failed. Retry after the number of seconds in `Retry-After`"),
    ),
)]
#[post("/v1/me/second-factor/recovery-codes")]
pub(super) async fn renew_recovery_codes(
    context: Context,
    keys: web::Data<Keys>,
    body: Body<ReauthenticationRequest>,
) -> Result<HttpResponse> {
    Ok(response::ok(&renew(&context, &keys, body.value).await?))
}
