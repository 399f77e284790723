//! Changing what one signs in with.

use actix_web::{HttpResponse, post, web};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::accounts::model::{EmailAddress, User};
use crate::accounts::proof::{self, Proof};
use crate::accounts::sessions::{self, RevokedReason};
use crate::accounts::{Keys, evenly, notices, one_time, store};
use crate::actor::Actor;
use crate::audit;
use crate::db::Conn;
use crate::env::Env;
use crate::error::{Check, Error, Result};
use crate::http::{Body, Endpoints};
use crate::messages::model::{Mail, MessageKind, Recipient, SecurityEvent};
use crate::messages::outbox;

pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints.service(change_password).service(change_email);
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"current_password": "violet otter hums at dawn", "new_password": "amber heron waits by the weir"}))]
struct PasswordChange {
    /// The present password.
    #[schema(max_length = 128)]
    current_password: String,
    /// 12 characters or more, for staff 15; any characters, but none of the passwords that are tried first.
    #[schema(min_length = 8, max_length = 128)]
    new_password: String,
    /// Six digits of the authenticator app, or a recovery code; for accounts that have a second factor.
    #[schema(max_length = 64)]
    totp_code: Option<String>,
}

/// Change my password
///
/// Every other session of the account ends, links in earlier mails stop working, and its owner is told by mail.
#[utoipa::path(
    tag = "users",
    operation_id = "change_password",
    security(("bearer" = [])),
    request_body = PasswordChange,
    responses(
        (status = 204, description = "The new password is set"),
        (status = 429, description = "`too_many_attempts`: too many failed; see Retry-After"),
    ),
)]
#[post("/v1/me/password")]
async fn change_password(
    env: web::Data<Env>,
    keys: web::Data<Keys>,
    actor: Actor,
    body: Body<PasswordChange>,
) -> Result<HttpResponse> {
    let PasswordChange { current_password, new_password, totp_code } = body.value;
    let user_id = actor.user_id;
    let user = env.db.read(move |conn| store::find(conn, user_id)).await?;
    let mut check = Check::new();
    let about = [user.email.as_str(), user.name.as_deref().unwrap_or_default()];
    check.field("/new_password", keys.passwords.check(&new_password, user.role, &about));
    check.done()?;
    let hash = keys.passwords.hash(&new_password).await?;
    let (shared, proof) = (env.clone(), Proof { password: current_password, code: totp_code });
    proof::of_user(&env, &keys, user_id, proof, move |tx, user| {
        let now = shared.now();
        audit::record(tx, &shared, &actor.trail, user.id.0)?;
        store::set_password(tx, user.id, &hash, now)?;
        sessions::revoke_others(tx, &actor, RevokedReason::CredentialsChanged, now)?;
        one_time::void_all(tx, user.id, now)?;
        notices::tell(tx, &shared, user, SecurityEvent::PasswordChanged)
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A new address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"current_password": "violet otter hums at dawn", "new_email": "ann.ames@example.org"}))]
struct EmailChange {
    /// The password.
    #[schema(max_length = 128)]
    current_password: String,
    /// The address to sign in with.
    #[schema(max_length = 254)]
    new_email: String,
    /// Six digits of the authenticator app, or a recovery code; for accounts that have a second factor.
    #[schema(max_length = 64)]
    totp_code: Option<String>,
}

/// Change my e-mail address
///
/// A link goes to the new address, good once and for a day; when it is opened (`POST /v1/email-verifications`), the address is the
/// account's. The present address is told now and then. The answer is the same where another account has the address: then its owner
/// is told. Where a patient's mail goes is in their record.
#[utoipa::path(
    tag = "users",
    operation_id = "change_email",
    security(("bearer" = [])),
    request_body = EmailChange,
    responses(
        (status = 202, description = "A mail is on its way"),
        (status = 429, description = "`too_many_attempts`: too many failed; see Retry-After"),
    ),
)]
#[post("/v1/me/email")]
async fn change_email(
    env: web::Data<Env>,
    keys: web::Data<Keys>,
    actor: Actor,
    body: Body<EmailChange>,
) -> Result<HttpResponse> {
    let EmailChange { current_password, new_email, totp_code } = body.value;
    let mut check = Check::new();
    let new_email = check.field("/new_email", EmailAddress::parse(&new_email));
    check.done()?;
    let Some(new_email) = new_email else { return Err(Error::NotFound) };
    let (shared, proof) = (env.clone(), Proof { password: current_password, code: totp_code });
    let asked = proof::of_user(&env, &keys, actor.user_id, proof, move |tx, user| {
        audit::record(tx, &shared, &actor.trail, user.id.0)?;
        ask(tx, &shared, user, &new_email)
    });
    Box::pin(evenly(asked)).await?;
    Ok(HttpResponse::Accepted().finish())
}

/// Mails both addresses; nothing changes yet.
fn ask(tx: &mut Conn, env: &Env, user: &User, new_email: &EmailAddress) -> Result<()> {
    if new_email.as_str() == user.email {
        return Err(Error::invalid("/new_email", "unchanged", "is the account's address already"));
    }
    // One's own address in other letters is nobody else's.
    let other = store::find_by_email(tx, &new_email.key())?.filter(|other| other.id != user.id);
    let (address, kind) = match &other {
        Some(other) => (other.email.as_str(), MessageKind::AlreadyRegistered),
        None => (new_email.as_str(), MessageKind::VerifyNewEmail),
    };
    if !outbox::has_room(tx, env, address, kind)? {
        return Ok(());
    }
    notices::tell(tx, env, user, SecurityEvent::EmailChangeAsked)?;
    match other {
        Some(other) if other.disabled_at.is_some() => Ok(()),
        Some(other) => notices::send(tx, env, other.recipient(), Mail::AlreadyRegistered),
        None => {
            let token = one_time::issue_for_address(tx, env, user.id, new_email)?;
            let recipient = Recipient { email: Some(new_email.as_str().to_owned()), ..user.recipient() };
            notices::send(tx, env, recipient, Mail::VerifyNewEmail { token })
        }
    }
}
