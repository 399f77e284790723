//! Setting a password with a link from a mail.

use actix_web::{HttpResponse, post, web};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::accounts::model::Purpose;
use crate::accounts::origin::Origin;
use crate::accounts::sessions::revoking::{RevokedReason, revoke_all};
use crate::accounts::{Keys, one_time, store, throttle};
use crate::context::{Anonymous, Context, access_lock};
use crate::error::Result;
use crate::http::{Body, response};

/// The links that set a password.
const PURPOSES: &[Purpose] = &[Purpose::ResetPassword, Purpose::FirstPassword, Purpose::Invitation];

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"token": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE", "new_password": "violet otter hums at dawn"}))]
pub struct ConfirmPasswordResetRequest {
    /// The token after `#token=` in the link, or a `password_token`.
    #[schema(max_length = 128)]
    token: String,
    /// At least 12 characters, for staff at least 15. Any characters; passwords that are easy to guess are rejected.
    #[schema(min_length = 8, max_length = 128)]
    new_password: String,
}

/// Sets the password of the account of a link, and ends its sessions. The link also verifies the address.
///
/// # Errors
/// A broken rule if the token does not work or the new password is not accepted.
pub async fn confirm(
    context: &Context<Anonymous>,
    keys: &Keys,
    origin: Origin,
    request: ConfirmPasswordResetRequest,
) -> Result<()> {
    let ConfirmPasswordResetRequest { token, new_password } = request;
    let looked_up = token.clone();
    let found = context.read(move |tx| one_time::look_up(tx.conn, &looked_up, PURPOSES, tx.now)).await?;
    let hash = keys.passwords.hash_new(&new_password, &found.user, found.id.0.as_bytes()).await?;
    context
        .change(move |tx| {
            access_lock::wait(tx.conn, found.user.id)?;
            let user = one_time::consume(tx.conn, &token, PURPOSES, tx.now)?.user;
            tx.audit.note_actor(user.id, Some(user.role));
            tx.audit.note_object(user.id.0);
            throttle::forget_own(tx.conn, tx.env, &user, &origin)?;
            store::set_password(tx.conn, user.id, &hash, tx.now)?;
            store::mark_verified(tx.conn, user.id, tx.now)?;
            revoke_all(tx.conn, user.id, RevokedReason::PasswordReset, tx.now)
        })
        .await
}

/// Set a password with a link
///
/// For the links of password resets and invitations, and for the `password_token` of a verified address. Every session, every other link in
/// a mail and every `device_token` of the account ends. The address counts as verified, because the token was mailed to it. Failed sign-ins from the caller's address no
/// longer count. A second factor stays.
#[utoipa::path(
    tag = "registration",
    operation_id = "confirm_password_reset",
    request_body = ConfirmPasswordResetRequest,
    responses((status = 204, description = "The new password is set")),
)]
#[post("/v1/password-resets/confirm")]
pub(super) async fn confirm_password_reset(
    context: Context<Anonymous>,
    keys: web::Data<Keys>,
    origin: Origin,
    body: Body<ConfirmPasswordResetRequest>,
) -> Result<HttpResponse> {
    confirm(&context, &keys, origin, body.value).await?;
    Ok(response::no_content())
}
