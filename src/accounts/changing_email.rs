//! Changing the address of the caller's account: a link to the new address. `POST /v1/email-verifications` completes the change.

use actix_web::{HttpResponse, post, web};
use serde::Deserialize;
use utoipa::ToSchema;

use super::authenticate::{self, Credentials};
use super::changes_per_hour::{self, Change};
use super::model::{EmailAddress, User};
use super::throttle::ConfirmedBy;
use super::{Keys, notices, one_time, store, uniform_delay};
use crate::context::{Context, Tx};
use crate::error::{Check, Error, FieldCode, Result};
use crate::http::{Body, response};
use crate::messages::model::{Mail, MessageKind, Recipient, SecurityEvent};
use crate::messages::outbox;

/// A new address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"current_password": "violet otter hums at dawn", "new_email": "ann.ames@example.org"}))]
pub struct ChangeEmailRequest {
    /// The account's password.
    #[schema(max_length = 128)]
    current_password: String,
    /// The address to sign in with.
    #[schema(max_length = 254)]
    new_email: String,
    /// Six digits of the authenticator app, or a recovery code. Required if the account has a second factor.
    #[schema(max_length = 64)]
    totp_code: Option<String>,
}

/// Mails a link to the new address. The account's address changes when the link is used.
///
/// # Errors
/// A broken rule if it is not an address, or the account's own; those of [`changes_per_hour::count`] and [`authenticate::again`].
pub async fn request_change(context: &Context, keys: &Keys, request: ChangeEmailRequest) -> Result<()> {
    let ChangeEmailRequest { current_password, new_email, totp_code } = request;
    let mut check = Check::new();
    let new_email = check.field("/new_email", EmailAddress::parse(&new_email));
    check.done()?;
    let new_email = new_email.ok_or_else(|| Error::fault("an address that kept the rules is missing"))?;
    let credentials = Credentials { password: current_password, code: totp_code };
    let id = context.actor.user_id;
    let sent = authenticate::again(context, keys, id, ConfirmedBy::Session, credentials, move |tx, user| {
        mail_link(tx, user, &new_email)
    });
    Box::pin(uniform_delay(sent)).await
}

/// Mails the new address the link, and notifies the current address. If another account has the new address, its owner is notified
/// instead.
fn mail_link(tx: &mut Tx, user: &User, new_email: &EmailAddress) -> Result<()> {
    if new_email.as_str() == user.email {
        return Err(Error::invalid("/new_email", FieldCode::Unchanged, "is the account's address already"));
    }
    changes_per_hour::count(tx.conn, tx.env, user.id, Change::AddressAsked)?;
    // Before the new address is looked up: the notice to the caller must not depend on whether somebody has that address.
    notices::tell(tx.conn, tx.env, user, SecurityEvent::EmailChangeAsked)?;
    // The account's own address in another case is not taken, and neither is one of an unverified registration.
    let other = store::find_by_email(tx.conn, &new_email.key())?;
    let other = other.filter(|other| other.id != user.id && !other.is_registration());
    let (address, kind) = match &other {
        Some(other) => (other.email.as_str(), MessageKind::AlreadyRegistered),
        None => (new_email.as_str(), MessageKind::VerifyNewEmail),
    };
    // The first link of each account has a higher limit, so that other accounts cannot use up the owner's.
    let hour_ago = tx.now.minus(outbox::WINDOW);
    let is_first = other.is_none() && !one_time::was_sent_to(tx.conn, user.id, new_email, hour_ago)?;
    let has_room = if is_first { outbox::has_room_for_first } else { outbox::has_room };
    if !has_room(tx.conn, tx.env, address, kind)? {
        return Ok(());
    }
    match other {
        Some(other) if other.disabled_at.is_some() => Ok(()),
        Some(other) => notices::send(tx.conn, tx.env, other.recipient(), Mail::AlreadyRegistered { reservation: None }),
        None => {
            let token = one_time::issue_for_address(tx.conn, tx.env, user.id, new_email)?;
            let recipient = Recipient { email: Some(new_email.as_str().to_owned()), ..user.recipient() };
            notices::send(tx.conn, tx.env, recipient, Mail::VerifyNewEmail { token })
        }
    }
}

/// Change my e-mail address
///
/// Mails a link to the new address. The link works once, within a day, until the account's password or second factor changes. When it is
/// used (`POST /v1/email-verifications`), the account gets the address. Earlier links work until one is used. The current address is
/// notified now, and again after the change. An account can ask five times; then it has to wait until an hour has passed.
/// The response is the same if another account has the address; then the owner of that account is notified. A patient's mail goes to the address in the patient's record, which stays as it is.
#[utoipa::path(
    tag = "users",
    operation_id = "change_email",
    security(("bearer" = [])),
    request_body = ChangeEmailRequest,
    responses(
        (status = 202, description = "The mail is queued"),
        (status = 429, description = "`too_many_attempts`: too many attempts failed. `too_many_changes`: the account asked for a new address five times. Retry after the number of seconds in `Retry-After`"),
    ),
)]
#[post("/v1/me/email")]
pub(super) async fn change_email(
    context: Context,
    keys: web::Data<Keys>,
    body: Body<ChangeEmailRequest>,
) -> Result<HttpResponse> {
    request_change(&context, &keys, body.value).await?;
    Ok(response::accepted())
}
