//! The links in mails: verifying an address, setting a password.

use actix_web::{HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::accounts::model::{EmailAddress, Purpose, User};
use crate::accounts::proof::{self, Proof};
use crate::accounts::sessions::{self, RevokedReason};
use crate::accounts::{Keys, evenly, notices, one_time, store, throttle};
use crate::audit;
use crate::db::Conn;
use crate::env::Env;
use crate::error::{Check, Error, Result};
use crate::http::idempotency::{self, Answer, Request};
use crate::http::{Body, Endpoints, IdempotencyKey};
use crate::messages::model::{Mail, MessageKind, SecurityEvent};
use crate::messages::outbox;
use crate::trail::Trail;

pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints.service(verify_email).service(resend_verification).service(request_reset).service(confirm_reset);
}

/// A token from a mail.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"token": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE"}))]
struct EmailVerification {
    /// What stands after `#token=` in the link.
    #[schema(max_length = 128)]
    token: String,
    /// The account's password; required where the link proves a new address of an account.
    #[schema(max_length = 128)]
    current_password: Option<String>,
    /// Six digits of the authenticator app, or a recovery code; where the account has a second factor and the password is required.
    #[schema(max_length = 64)]
    totp_code: Option<String>,
}

/// What remains to be done after the address is verified.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"password_token": "Yq1m3zJ0kU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE8"}))]
struct VerifiedEmail {
    /// Sets the account's password at `POST /v1/password-resets/confirm`, once and within an hour.
    password_token: String,
}

/// Verify an e-mail address
///
/// Takes the token from the link in the mail; it works once, for 24 hours. The answer after a registration has a token with which to
/// set the password: a password that was set before is gone, as it may be a stranger's. An owner who does not use the token asks
/// for another link (`POST /v1/password-resets`). Where the link proves a new address (`POST /v1/me/email`), send the account's password with
/// it: only the owner of both the account and the mailbox changes the address. Without it the answer is 422 with `required` at
/// `/current_password`, and nothing is used up. The account then signs in with that address only: links in earlier mails stop
/// working, and the old address is told.
#[utoipa::path(
    tag = "registration",
    operation_id = "verify_email",
    request_body = EmailVerification,
    responses(
        (status = 200, description = "Verified; the account has no password yet", body = VerifiedEmail),
        (status = 204, description = "Verified; the account has a password"),
        (status = 409, description = "`email_taken`: another account has the new address meanwhile"),
        (status = 429, description = "`too_many_attempts`: too many wrong passwords; see Retry-After"),
    ),
)]
#[post("/v1/email-verifications")]
async fn verify_email(
    env: web::Data<Env>,
    keys: web::Data<Keys>,
    trail: Trail,
    body: Body<EmailVerification>,
) -> Result<HttpResponse> {
    const PURPOSES: &[Purpose] = &[Purpose::VerifyEmail, Purpose::ChangeEmail];
    let EmailVerification { token, current_password, totp_code } = body.value;
    let (shared, looked_up) = (env.clone(), token.clone());
    let good = env.db.read(move |conn| one_time::look_up(conn, &looked_up, PURPOSES, shared.now())).await?;
    let shared = env.clone();
    if good.purpose == Purpose::ChangeEmail {
        // The mailbox alone does not do: its owner may have been sent the link by the owner of another account.
        let Some(password) = current_password else {
            return Err(Error::invalid("/current_password", "required", "must be the password of the account"));
        };
        let proof = Proof { password, code: totp_code };
        let changed = proof::of_user(&env, &keys, good.user.id, proof, move |tx, user| {
            let good = one_time::consume(tx, &token, &[Purpose::ChangeEmail], shared.now())?;
            let new_email = good.new_email.ok_or_else(|| Error::fault("a link that proves no address"))?;
            trail.note_actor(user.id, Some(user.role));
            audit::record(tx, &shared, &trail, user.id.0)?;
            change_email(tx, &shared, user, &new_email)
        });
        Box::pin(changed).await?;
        return Ok(HttpResponse::NoContent().finish());
    }
    let password_token = env.db.write(move |tx| {
        let good = one_time::consume(tx, &token, &[Purpose::VerifyEmail], shared.now())?;
        trail.note_actor(good.user.id, Some(good.user.role));
        audit::record(tx, &shared, &trail, good.user.id.0)?;
        verify(tx, &shared, &good.user)
    });
    Ok(match password_token.await? {
        Some(password_token) => HttpResponse::Ok().json(VerifiedEmail { password_token }),
        None => HttpResponse::NoContent().finish(),
    })
}

/// Verifies the account's address. Gives a token to set its password with, where it has none now.
fn verify(tx: &mut Conn, env: &Env, user: &User) -> Result<Option<String>> {
    let user = store::lock(tx, user.id)?;
    let user = if user.email_verified_at.is_none() { store::verify(tx, &user, env.now())? } else { user };
    if user.password_hash.is_some() {
        return Ok(None);
    }
    one_time::issue(tx, env, user.id, Purpose::ResetPassword).map(Some)
}

/// Makes the address that a link proved the account's.
fn change_email(tx: &mut Conn, env: &Env, user: &User, new_email: &str) -> Result<()> {
    let now = env.now();
    let new_email = EmailAddress::parse(new_email).map_err(|_| Error::fault("a stored address that is none"))?;
    let user = store::lock(tx, user.id)?;
    store::set_email(tx, &user, &new_email, now)?;
    // A link that was mailed to the old address must not open the account any more.
    one_time::void_all(tx, user.id, now)?;
    notices::tell(tx, env, &user, SecurityEvent::EmailChanged)
}

/// An e-mail address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "ann@example.org"}))]
struct Mailbox {
    /// The account's address.
    #[schema(max_length = 254)]
    email: String,
}

impl Mailbox {
    fn parse(&self) -> Result<EmailAddress> {
        let mut check = Check::new();
        let email = check.field("/email", EmailAddress::parse(&self.email));
        check.done()?;
        email.ok_or(Error::NotFound)
    }
}

/// Writes a mail to an account, if there is one that should get it; the caller never learns whether.
fn mail_to(tx: &mut Conn, env: &Env, email: &EmailAddress, wanted: impl Fn(&User) -> Option<Purpose>) -> Result<()> {
    let Some(user) = store::find_by_email(tx, &email.key())?.filter(|user| user.disabled_at.is_none()) else {
        return Ok(());
    };
    let Some(purpose) = wanted(&user) else { return Ok(()) };
    let kind = match purpose {
        Purpose::VerifyEmail | Purpose::ChangeEmail => MessageKind::VerifyEmail,
        Purpose::ResetPassword => MessageKind::ResetPassword,
        Purpose::Invitation => MessageKind::Invitation,
    };
    // Before a new link is made, which would void the last one: that stays good while the mailbox gets no other.
    if !outbox::has_room(tx, env, &user.email, kind)? {
        return Ok(());
    }
    let token = one_time::issue(tx, env, user.id, purpose)?;
    let mail = match purpose {
        Purpose::VerifyEmail | Purpose::ChangeEmail => Mail::VerifyEmail { token },
        Purpose::ResetPassword => Mail::ResetPassword { token },
        Purpose::Invitation => Mail::Invitation { token },
    };
    notices::send(tx, env, user.recipient(), mail)
}

/// Send the verification mail again
///
/// The answer is the same whether or not the address has an account that waits for it. Older links stop working.
#[utoipa::path(
    tag = "registration",
    operation_id = "resend_email_verification",
    params(("Idempotency-Key" = Option<String>, Header, description = "A random value; a repeat with the same value sends nothing more", max_length = 255)),
    request_body = Mailbox,
    responses((status = 202, description = "Sent, if there is anything to verify")),
)]
#[post("/v1/email-verifications/resend")]
async fn resend_verification(
    env: web::Data<Env>,
    trail: Trail,
    key: IdempotencyKey,
    body: Body<Mailbox>,
) -> Result<HttpResponse> {
    let (shared, email) = (env.clone(), body.parse()?);
    let request = Request::anonymous(&trail, "resend_email_verification".into(), key, &body.raw);
    let send = idempotency::run(&env, request, move |tx| {
        mail_to(tx, &shared, &email, |user| {
            // The staff have invitations instead.
            (user.email_verified_at.is_none() && !user.role.is_staff()).then_some(Purpose::VerifyEmail)
        })?;
        audit::record(tx, &shared, &trail, None)?;
        Ok(Answer::empty(202))
    });
    evenly(send).await
}

/// Ask for a link to set a password
///
/// For an owner who forgot the password, and for one who has not set any yet. The answer is the same whether or not the address has an
/// account. The link works once, for an hour; older ones stop working. An address gets a few such mails an hour, which no other kind of
/// mail uses up; beyond them none is sent and the last link stays good.
#[utoipa::path(
    tag = "registration",
    operation_id = "request_password_reset",
    request_body = Mailbox,
    responses((status = 202, description = "Sent, if the address has an account")),
)]
#[post("/v1/password-resets")]
async fn request_reset(env: web::Data<Env>, trail: Trail, body: Body<Mailbox>) -> Result<HttpResponse> {
    let (shared, email) = (env.clone(), body.parse()?);
    let send = env.db.write(move |tx| {
        mail_to(tx, &shared, &email, |user| {
            // A member of the staff who lost the invitation gets another one, which lasts longer.
            let is_invited = user.role.is_staff() && user.password_hash.is_none();
            Some(if is_invited { Purpose::Invitation } else { Purpose::ResetPassword })
        })?;
        audit::record(tx, &shared, &trail, None)
    });
    evenly(send).await?;
    Ok(HttpResponse::Accepted().finish())
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"token": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE", "new_password": "violet otter hums at dawn"}))]
struct PasswordResetConfirmation {
    /// What stands after `#token=` in the link, or a `password_token`.
    #[schema(max_length = 128)]
    token: String,
    /// 12 characters or more, for staff 15; any characters, but none of the passwords that are tried first.
    #[schema(min_length = 8, max_length = 128)]
    new_password: String,
}

/// Set a password with a link
///
/// For the links of password resets and of invitations, and for the `password_token` of a verified address. Every session of the account
/// ends, and the address counts as verified: whoever has the token reads the mailbox. Attempts to sign in that failed are forgotten. A
/// second factor stays.
#[utoipa::path(
    tag = "registration",
    operation_id = "confirm_password_reset",
    request_body = PasswordResetConfirmation,
    responses((status = 204, description = "The new password is set")),
)]
#[post("/v1/password-resets/confirm")]
async fn confirm_reset(
    env: web::Data<Env>,
    keys: web::Data<Keys>,
    trail: Trail,
    body: Body<PasswordResetConfirmation>,
) -> Result<HttpResponse> {
    const PURPOSES: &[Purpose] = &[Purpose::ResetPassword, Purpose::Invitation];
    let PasswordResetConfirmation { token, new_password } = body.value;
    let (clock, looked_up) = (env.clock.clone(), token.clone());
    let user = env.db.read(move |conn| one_time::look_up(conn, &looked_up, PURPOSES, clock.now())).await?.user;
    let mut check = Check::new();
    let about = [user.email.as_str(), user.name.as_deref().unwrap_or_default()];
    check.field("/new_password", keys.passwords.check(&new_password, user.role, &about));
    check.done()?;
    let hash = keys.passwords.hash(&new_password).await?;
    let shared = env.clone();
    env.db
        .write(move |tx| {
            let now = shared.now();
            let user = one_time::consume(tx, &token, PURPOSES, now)?.user;
            trail.note_actor(user.id, Some(user.role));
            audit::record(tx, &shared, &trail, user.id.0)?;
            throttle::forget(tx, &shared, user.id, &user.email_key)?;
            store::set_password(tx, user.id, &hash, now)?;
            store::mark_verified(tx, user.id, now)?;
            sessions::revoke_all(tx, user.id, RevokedReason::PasswordReset, now)?;
            one_time::void_all(tx, user.id, now)
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
