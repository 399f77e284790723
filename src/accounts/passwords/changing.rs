//! Changing the caller's password.

use actix_web::{HttpResponse, post, web};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::accounts::authenticate::{self, Credentials};
use crate::accounts::changes_per_hour::{self, Change};
use crate::accounts::sessions::revoking::revoke_others;
use crate::accounts::throttle::ConfirmedBy;
use crate::accounts::{Keys, notices, store};
use crate::context::Context;
use crate::error::Result;
use crate::http::{Body, response};
use crate::messages::model::SecurityEvent;

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"current_password": "violet otter hums at dawn", "new_password": "amber heron waits by the weir"}))]
pub struct ChangePasswordRequest {
    /// The account's password.
    #[schema(max_length = 128)]
    current_password: String,
    /// At least 12 characters, for staff at least 15. Any characters; passwords that are easy to guess are rejected.
    #[schema(min_length = 8, max_length = 128)]
    new_password: String,
    /// Six digits of the authenticator app, or a recovery code. Required if the account has a second factor.
    #[schema(max_length = 64)]
    totp_code: Option<String>,
}

/// Sets the caller's password, and ends the account's other sessions, the links in earlier mails and the device tokens.
///
/// # Errors
/// A broken rule if the new password is not accepted; those of [`changes_per_hour::count`] and [`authenticate::again`].
pub async fn change(context: &Context, keys: &Keys, request: ChangePasswordRequest) -> Result<()> {
    let ChangePasswordRequest { current_password, new_password, totp_code } = request;
    let id = context.actor.user_id;
    let user = context.read(move |tx| store::find(tx.conn, id)).await?;
    let hash = keys.passwords.hash_new(&new_password, &user, &[]).await?;
    let credentials = Credentials { password: current_password, code: totp_code };
    authenticate::again(context, keys, id, ConfirmedBy::Session, credentials, move |tx, user| {
        changes_per_hour::count(tx.conn, tx.env, user.id, Change::Credentials)?;
        store::set_password(tx.conn, user.id, &hash, tx.now)?;
        revoke_others(tx.conn, tx.actor, tx.now)?;
        notices::tell(tx.conn, tx.env, user, SecurityEvent::PasswordChanged)
    })
    .await
}

/// Change my password
///
/// Every other session of the account ends, links in earlier mails stop working, and the account's owner is notified by mail. Every
/// `device_token` of the account ends as well; the next sign-in on a device returns a new one. The sessions of an account can change the
/// password and switch the second factor off five times; further changes have to wait until an hour has passed. A password that is set
/// with a link does not count.
#[utoipa::path(
    tag = "users",
    operation_id = "change_password",
    security(("bearer" = [])),
    request_body = ChangePasswordRequest,
    responses(
        (status = 204, description = "The new password is set"),
        (status = 429, description = "`too_many_attempts`: too many attempts failed. `too_many_changes`: sessions changed the password or switched \
            the second factor off five times. Retry after the number of seconds in `Retry-After`"),
    ),
)]
#[post("/v1/me/password")]
pub(super) async fn change_password(
    context: Context,
    keys: web::Data<Keys>,
    body: Body<ChangePasswordRequest>,
) -> Result<HttpResponse> {
    change(&context, &keys, body.value).await?;
    Ok(response::no_content())
}
