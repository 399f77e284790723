//! The link that verifies an e-mail address: of a registration, or a new one of an account.

use actix_web::{HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Registration;
use crate::accounts::authenticate::{self, Credentials};
use crate::accounts::model::{EmailAddress, Purpose, User};
use crate::accounts::one_time::ValidToken;
use crate::accounts::throttle::ConfirmedBy;
use crate::accounts::{Keys, notices, one_time, store};
use crate::context::{Anonymous, Context, Tx};
use crate::error::{Error, Result};
use crate::http::{Body, response};
use crate::messages::model::SecurityEvent;
use crate::patients::profile::ProfileContext;

/// A token from a mail.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"token": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE"}))]
pub struct VerifyEmailRequest {
    /// The token after `#token=` in the link.
    #[schema(max_length = 128)]
    token: String,
    /// The account's password. Required if the link proves a new address of an account.
    #[schema(max_length = 128)]
    current_password: Option<String>,
    /// Six digits of the authenticator app, or a recovery code. Required with the password if the account has a second factor.
    #[schema(max_length = 64)]
    totp_code: Option<String>,
}

/// The next step after the verification of an address.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"password_token": "Yq1m3zJ0kU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE8"}))]
pub struct VerifiedEmail {
    /// Sets the account's password at `POST /v1/password-resets/confirm`, once and within an hour.
    password_token: String,
}

/// Verifies the address of a link. Returns a token to set the account's password with, if the account has none.
///
/// # Errors
/// A broken rule at `/token`; those of the authentication, if the link proves a new address; the conflict `email_taken`.
pub async fn verify(
    context: &Context<Anonymous>,
    keys: &Keys,
    request: VerifyEmailRequest,
) -> Result<Option<VerifiedEmail>> {
    const PURPOSES: &[Purpose] = &[Purpose::VerifyEmail, Purpose::ChangeEmail];
    let VerifyEmailRequest { token, current_password, totp_code } = request;
    let looked_up = token.clone();
    let good = context.read(move |tx| one_time::look_up(tx.conn, &looked_up, PURPOSES, tx.now)).await?;
    if good.purpose == Purpose::ChangeEmail {
        // The mailbox alone is not enough: the owner of another account may have had the link sent to it.
        let Some(password) = current_password else {
            return Err(Error::invalid("/current_password", "required", "must be the password of the account"));
        };
        let credentials = Credentials { password, code: totp_code };
        Box::pin(change_email(context, keys, good, credentials, token)).await?;
        return Ok(None);
    }
    let waiting = match good.registration(&context.env)? {
        // It kept the rules when it was typed; a newer version of the service may have others.
        Some(body_json) => {
            let profile_context = ProfileContext::load(context).await?;
            Some(Registration::parse_waiting(&body_json, profile_context).ok_or_else(one_time::not_good)?)
        }
        None => None,
    };
    let password_token = context.change(move |tx| {
        // The lock comes first, so that only one of several links of the address is followed.
        store::lock(tx.conn, good.user.id)?;
        let user = one_time::consume(tx.conn, &token, &[Purpose::VerifyEmail], tx.now)?.user;
        tx.audit.note_actor(user.id, Some(user.role));
        tx.audit.note_object(user.id.0);
        verify_account(tx, user, waiting.as_ref())
    });
    Ok(password_token.await?.map(|password_token| VerifiedEmail { password_token }))
}

/// Verifies the account's address. A registration that waited in the link replaces the stored one. Returns a token to set the account's
/// password with, if the account has none.
fn verify_account(tx: &mut Tx<Anonymous>, user: User, waiting: Option<&Registration>) -> Result<Option<String>> {
    let user = match waiting {
        Some(registration) => registration.replace(tx, &user)?.0,
        None => user,
    };
    let user = if user.email_verified_at.is_none() { store::verify(tx.conn, &user, tx.now)? } else { user };
    // The links of other registrations of the address stop working.
    one_time::void(tx.conn, user.id, Purpose::VerifyEmail, tx.now)?;
    if user.password_hash.is_some() {
        return Ok(None);
    }
    one_time::issue(tx.conn, tx.env, user.id, Purpose::FirstPassword).map(Some)
}

/// Changes the account's address to the one that a link proved.
async fn change_email(
    context: &Context<Anonymous>,
    keys: &Keys,
    link: ValidToken,
    credentials: Credentials,
    token: String,
) -> Result<()> {
    let by = ConfirmedBy::Link(link.id);
    authenticate::again(context, keys, link.user.id, by, credentials, move |tx, user| {
        let good = one_time::consume(tx.conn, &token, &[Purpose::ChangeEmail], tx.now)?;
        let new_email = good.new_email.ok_or_else(|| Error::fault("a link that proves no address"))?;
        let new_email = EmailAddress::parse(&new_email).map_err(|_| Error::fault("an invalid stored address"))?;
        tx.audit.note_actor(user.id, Some(user.role));
        tx.audit.note_object(user.id.0);
        set_email(tx, user, &new_email)
    })
    .await
}

fn set_email(tx: &mut Tx<Anonymous>, user: &User, new_email: &EmailAddress) -> Result<()> {
    let user = store::lock(tx.conn, user.id)?;
    store::take_from_registration(tx.conn, new_email, tx.now)?;
    store::set_email(tx.conn, &user, new_email, tx.now)?;
    notices::tell(tx.conn, tx.env, &user, SecurityEvent::EmailChanged)
}

/// Verify an e-mail address
///
/// Takes the token from the link in the mail. It works once, for 24 hours. The account then has the record of the registration of this link;
/// links of other registrations of the address stop working. The response after a registration has a token to set the password with. A
/// password that was set before does not work any more, because it may be a stranger's. An owner who does not use the token asks for another
/// link (`POST /v1/password-resets`). If the link proves a new address (`POST /v1/me/email`), send the account's password with it, because
/// only the owner of both the account and the mailbox may change the address. Without the password the response is 422 with `required` at
/// `/current_password`, and the link still works. The account then signs in with the new address only. Links in earlier mails stop working,
/// and the old address gets a notice.
#[utoipa::path(
    tag = "registration",
    operation_id = "verify_email",
    request_body = VerifyEmailRequest,
    responses(
        (status = 200, description = "Verified; the account has no password yet", body = VerifiedEmail),
        (status = 204, description = "Verified; the account has a password"),
        (status = 409, description = "`email_taken`: another account has the new address by now"),
        (status = 429, description = "`too_many_attempts`: too many wrong passwords; retry after the number of seconds in `Retry-After`"),
    ),
)]
#[post("/v1/email-verifications")]
pub(in crate::patients) async fn verify_email(
    context: Context<Anonymous>,
    keys: web::Data<Keys>,
    body: Body<VerifyEmailRequest>,
) -> Result<HttpResponse> {
    let verified = verify(&context, &keys, body.value).await?;
    Ok(verified.map_or_else(response::no_content, |verified| response::ok(&verified)))
}
