//! Ending sessions before their time: signing out, by their owner or by an administrator. Takes effect at once on every instance.

use actix_web::{HttpResponse, delete};
use diesel::prelude::*;

use super::session::active;
use crate::accounts::caller::SignedIn;
use crate::accounts::store;
use crate::actor::{Action, Actor};
use crate::clock::Timestamp;
use crate::context::{Context, Tx, access_lock};
use crate::db::Conn;
use crate::db::schema::sessions;
use crate::db::types::text_enum;
use crate::error::{Error, Result};
use crate::http::{PathId, response};
use crate::ids::{SessionId, UserId};

text_enum! {
    /// Why a session ended before its time.
    RevokedReason {
        /// Its owner signed out.
        Logout = "logout",
        /// A used refresh token came back.
        Reuse = "reuse",
        /// The password was reset with a link.
        PasswordReset = "password_reset",
        /// Its owner changed credentials in another session.
        CredentialsChanged = "credentials_changed",
        /// The account was disabled.
        Disabled = "disabled",
        /// An administrator ended it.
        Admin = "admin",
    }
}

/// Ends a session.
pub fn revoke(tx: &mut Conn, session: SessionId, reason: RevokedReason, now: Timestamp) -> Result<()> {
    diesel::update(sessions::table.find(session).filter(sessions::revoked_at.is_null()))
        .set((sessions::revoked_at.eq(now), sessions::revoked_reason.eq(reason)))
        .execute(tx)?;
    Ok(())
}

/// Ends every session of an account.
pub fn revoke_all(tx: &mut Conn, user: UserId, reason: RevokedReason, now: Timestamp) -> Result<()> {
    diesel::update(sessions::table.filter(sessions::user_id.eq(user)).filter(sessions::revoked_at.is_null()))
        .set((sessions::revoked_at.eq(now), sessions::revoked_reason.eq(reason)))
        .execute(tx)?;
    Ok(())
}

/// Ends every other session of the caller's account, after a change of credentials.
pub fn revoke_others(tx: &mut Conn, actor: &Actor, now: Timestamp) -> Result<()> {
    let others = sessions::table.filter(sessions::user_id.eq(actor.user_id)).filter(sessions::id.ne(actor.session_id));
    diesel::update(others.filter(sessions::revoked_at.is_null()))
        .set((sessions::revoked_at.eq(now), sessions::revoked_reason.eq(RevokedReason::CredentialsChanged)))
        .execute(tx)?;
    Ok(())
}

/// Ends the caller's session.
pub async fn sign_out(context: &Context<SignedIn>) -> Result<()> {
    context
        .change_alone(|tx| {
            let session = tx.actor.0.session_id;
            tx.audit.note_object(session.0);
            revoke(tx.conn, session, RevokedReason::Logout, tx.now)
        })
        .await
}

/// Ends one of the caller's sessions.
///
/// # Errors
/// [`Error::NotFound`] unless it is an active session of the caller's account.
pub async fn revoke_own(context: &Context, id: SessionId) -> Result<()> {
    context
        .change_alone(move |tx| {
            require_own(tx, id)?;
            revoke(tx.conn, id, RevokedReason::Logout, tx.now)
        })
        .await
}

fn require_own(tx: &mut Tx, id: SessionId) -> Result<()> {
    let own: i64 = active(tx.env, tx.now)
        .filter(sessions::user_id.eq(tx.actor.user_id))
        .filter(sessions::id.eq(id))
        .count()
        .get_result(tx.conn)?;
    if own == 0 { Err(Error::NotFound) } else { Ok(()) }
}

/// Ends every session of an account, at the request of an administrator.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn sign_out_user(context: &Context, user: UserId) -> Result<()> {
    context.require(Action::UserManage)?;
    context
        .change(move |tx| {
            access_lock::wait(tx.conn, user)?;
            store::find_person(tx.conn, user)?;
            revoke_all(tx.conn, user, RevokedReason::Admin, tx.now)
        })
        .await
}

/// Sign out
///
/// Ends the session of the access token. Its refresh token stops working.
#[utoipa::path(
    tag = "sessions",
    operation_id = "delete_current_session",
    security(("bearer" = [])),
    responses((status = 204, description = "Signed out")),
)]
#[delete("/v1/sessions/current")]
pub(super) async fn delete_current_session(context: Context<SignedIn>) -> Result<HttpResponse> {
    sign_out(&context).await?;
    Ok(response::no_content())
}

/// Sign out a device
///
/// Ends one of the sessions of the caller's account, at once.
#[utoipa::path(
    tag = "sessions",
    operation_id = "delete_session",
    security(("bearer" = [])),
    params(("id" = SessionId, Path, description = "The session")),
    responses((status = 204, description = "Signed out")),
)]
#[delete("/v1/sessions/{id}")]
pub(super) async fn delete_session(context: Context, PathId(id): PathId<SessionId>) -> Result<HttpResponse> {
    revoke_own(&context, id).await?;
    Ok(response::no_content())
}

/// Sign out a user
///
/// Ends every session of an account, at once.
#[utoipa::path(
    tag = "users",
    operation_id = "delete_user_sessions",
    security(("bearer" = [])),
    params(("id" = UserId, Path, description = "The account")),
    responses((status = 204, description = "Signed out everywhere")),
)]
#[delete("/v1/users/{id}/sessions")]
pub(super) async fn delete_user_sessions(context: Context, PathId(id): PathId<UserId>) -> Result<HttpResponse> {
    sign_out_user(&context, id).await?;
    Ok(response::no_content())
}
