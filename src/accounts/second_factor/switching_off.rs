//! Switching the second factor off: by its owner, or by an administrator for a user who lost theirs.

use actix_web::{HttpResponse, delete, post, web};

use super::codes;
use super::recovery_codes::ReauthenticationRequest;
use crate::accounts::changes_per_hour::{self, Change};
use crate::accounts::sessions::revoking::{RevokedReason, revoke_all};
use crate::accounts::throttle::ConfirmedBy;
use crate::accounts::{Keys, authenticate, notices, store};
use crate::actor::Action;
use crate::context::{Context, access_lock};
use crate::db::Conn;
use crate::env::Env;
use crate::error::{Error, ProblemCode, Result};
use crate::http::{Body, PathId, response};
use crate::ids::UserId;
use crate::messages::model::SecurityEvent;

/// Switches the caller's second factor off.
///
/// # Errors
/// The conflict `second_factor_off`; those of [`changes_per_hour::count`] and [`authenticate::again`].
pub async fn disable(context: &Context, keys: &Keys, request: ReauthenticationRequest) -> Result<()> {
    let id = context.actor.user_id;
    authenticate::again(context, keys, id, ConfirmedBy::Session, request.into(), |tx, user| {
        codes::require_on(user)?;
        changes_per_hour::count(tx.conn, tx.env, user.id, Change::Credentials)?;
        codes::remove(tx.conn, user.id)?;
        store::set_second_factor(tx.conn, user, None, tx.now)?;
        notices::tell(tx.conn, tx.env, user, SecurityEvent::SecondFactorOff)
    })
    .await
}

/// Removes an account's second factor, at the request of an administrator.
///
/// # Errors
/// [`Error::NotFound`]; the conflict `own_account`, because a stolen session must not be enough to remove the second factor.
pub async fn reset_of_user(context: &Context, user: UserId) -> Result<()> {
    context.require(Action::UserManage)?;
    if user == context.actor.user_id {
        let detail =
            "This is your own account. Switch its second factor off with a code: POST /v1/me/second-factor/disable.";
        return Err(Error::conflict(ProblemCode::OwnAccount, detail));
    }
    context.change(move |tx| reset(tx.conn, tx.env, user)).await
}

/// Removes an account's second factor, ends its sessions and what earlier credentials gave, and notifies its owner.
///
/// # Errors
/// [`Error::NotFound`].
pub fn reset(tx: &mut Conn, env: &Env, user: UserId) -> Result<()> {
    access_lock::wait(tx, user)?;
    let user = store::lock_person(tx, user)?;
    let now = env.now();
    codes::remove(tx, user.id)?;
    store::set_second_factor(tx, &user, None, now)?;
    revoke_all(tx, user.id, RevokedReason::Admin, now)?;
    if user.second_factor_at.is_some() {
        notices::tell(tx, env, &user, SecurityEvent::SecondFactorReset)?;
    }
    Ok(())
}

/// Switch my second factor off
///
/// For example before a change of phone. If the clinic requires a second factor, the session can then only set up another one. Links in
/// earlier mails stop working, and every `device_token` of the account ends. Counts towards the limit of `POST /v1/me/password`.
#[utoipa::path(
    tag = "second factor",
    operation_id = "disable_second_factor",
    security(("bearer" = [])),
    request_body = ReauthenticationRequest,
    responses(
        (status = 204, description = "The second factor is off"),
        (status = 409, description = "`second_factor_off`: there is no second factor"),
        (status = 429, description = "`too_many_attempts`: too many attempts failed. `too_many_changes`: sessions changed the password or switched \
            the second factor off five times. Retry after the number of seconds in `Retry-After`"),
    ),
)]
#[post("/v1/me/second-factor/disable")]
pub(super) async fn disable_second_factor(
    context: Context,
    keys: web::Data<Keys>,
    body: Body<ReauthenticationRequest>,
) -> Result<HttpResponse> {
    disable(&context, &keys, body.value).await?;
    Ok(response::no_content())
}

/// Remove a user's second factor
///
/// For a user who lost both phone and recovery codes. Check the user's identity first. All sessions, links in earlier mails and device tokens
/// of the account end, and its owner is notified by mail. Administrators switch their own second factor off with a code.
#[utoipa::path(
    tag = "second factor",
    operation_id = "delete_user_second_factor",
    security(("bearer" = [])),
    params(("id" = UserId, Path, description = "The account")),
    responses(
        (status = 204, description = "The account has no second factor"),
        (status = 409, description = "`own_account`: it is the caller's own account"),
    ),
)]
#[delete("/v1/users/{id}/second-factor")]
pub(super) async fn delete_user_second_factor(context: Context, PathId(id): PathId<UserId>) -> Result<HttpResponse> {
    reset_of_user(&context, id).await?;
    Ok(response::no_content())
}
