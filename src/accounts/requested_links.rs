//! Requests for a link by mail: to verify an address, or to set a password. The response is the same for every address, so that it
//! does not show who has an account.

use actix_web::{HttpResponse, post};
use serde::Deserialize;
use utoipa::ToSchema;

use super::model::{EmailAddress, Purpose, User};
use super::origin::Origin;
use super::verification::{self, Requester};
use super::{address_requests, notices, one_time, store, uniform_delay};
use crate::context::{Anonymous, Context, Once, Tx};
use crate::error::{Check, Error, Result};
use crate::http::{Body, IdempotencyKey, response};
use crate::messages::model::{Mail, MessageKind};
use crate::messages::outbox;

/// An e-mail address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "ann@example.org"}))]
pub struct EmailAddressRequest {
    /// The account's address.
    #[schema(max_length = 254)]
    email: String,
}

impl EmailAddressRequest {
    fn checked(&self) -> Result<EmailAddress> {
        let mut check = Check::new();
        let email = check.field("/email", EmailAddress::parse(&self.email));
        check.done()?;
        email.ok_or_else(|| Error::fault("an address that kept the rules is missing"))
    }
}

/// The kind of a link.
enum Link {
    Verify,
    Reset,
    Invitation,
}

/// Mails the verification link again, if the address has an account that is not verified.
///
/// # Errors
/// A broken rule if it is not an address; those of [`Turns::run`](crate::turns::Turns::run).
pub async fn resend_verification_link(
    context: &Context<Anonymous>,
    once: Once<Anonymous>,
    origin: &Origin,
    request: EmailAddressRequest,
) -> Result<()> {
    let email = request.checked()?;
    let key = email.key();
    let requester = Requester::new(&context.env, &key, origin);
    let sent = Box::pin(context.change_once(once, move |tx| mail_link(tx, &email, &requester, verification_of)));
    uniform_delay(context.env.turns.run(&context.env.entropy, &key, sent)).await
}

/// Mails a link that sets a password, if the address has an account.
///
/// # Errors
/// A broken rule if it is not an address; those of [`Turns::run`](crate::turns::Turns::run).
pub async fn request_password_link(
    context: &Context<Anonymous>,
    origin: &Origin,
    request: EmailAddressRequest,
) -> Result<()> {
    let email = request.checked()?;
    let key = email.key();
    let requester = Requester::new(&context.env, &key, origin);
    let sent = Box::pin(context.change(move |tx| {
        mail_link(tx, &email, &requester, |user| {
            // A member of staff who lost the invitation gets another one, which lasts longer than a reset. An address that is not
            // verified may have several registrations, so the link must say which one it verifies.
            let is_invited = user.role.is_staff() && user.password_hash.is_none();
            verification_of(user).or(Some(if is_invited { Link::Invitation } else { Link::Reset }))
        })
    }));
    uniform_delay(context.env.turns.run(&context.env.entropy, &key, sent)).await
}

/// The verification link of an account that was registered online. Staff get invitations instead.
fn verification_of(user: &User) -> Option<Link> {
    (user.email_verified_at.is_none() && !user.role.is_staff()).then_some(Link::Verify)
}

/// Mails the account of an address the link that it should get. Does nothing if there is no such account or link.
fn mail_link(
    tx: &mut Tx<Anonymous>,
    email: &EmailAddress,
    requester: &Requester,
    link_of: impl Fn(&User) -> Option<Link>,
) -> Result<()> {
    address_requests::note(tx)?;
    let Some(user) = store::find_by_email(tx.conn, &email.key())? else { return tx.unchanged() };
    // Locked, so that concurrent requests count the account's links one after the other.
    let user = store::lock(tx.conn, user.id)?;
    let Some(link) = link_of(&user).filter(|_| user.disabled_at.is_none()) else { return tx.unchanged() };
    // Checked before a new link voids the last one, which keeps working if the mailbox gets no other.
    let has_room = match link {
        Link::Verify => verification::has_room(tx.conn, tx.env, &user, requester)?,
        // A person who knows the password can void the links by changing it. Then the owner gets another one beyond the limit.
        Link::Reset => {
            outbox::has_room(tx.conn, tx.env, &user.email, MessageKind::ResetPassword)?
                || !one_time::has_valid(tx.conn, user.id, Purpose::ResetPassword, tx.now)?
        }
        Link::Invitation => outbox::has_room(tx.conn, tx.env, &user.email, MessageKind::Invitation)?,
    };
    if !has_room {
        return tx.unchanged();
    }
    let (conn, env) = (&mut *tx.conn, tx.env);
    let mail = match link {
        Link::Verify => verification::renew(conn, env, &user, requester)?,
        Link::Reset => Mail::ResetPassword { token: one_time::issue(conn, env, user.id, Purpose::ResetPassword)? },
        Link::Invitation => Mail::Invitation { token: one_time::issue(conn, env, user.id, Purpose::Invitation)? },
    };
    notices::send(conn, env, user.recipient(), mail)
}

/// Send the verification mail again
///
/// The response is the same whether or not the address has an account to verify. If several registrations of the address wait, the link
/// is for the caller's own, or otherwise for the newest. The older link of that registration stops working.
#[utoipa::path(
    tag = "registration",
    operation_id = "resend_email_verification",
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = EmailAddressRequest,
    responses((status = 202, description = "Sent, if there is anything to verify")),
)]
#[post("/v1/email-verifications/resend")]
pub(super) async fn resend_verification(
    context: Context<Anonymous>,
    key: IdempotencyKey,
    origin: Origin,
    body: Body<EmailAddressRequest>,
) -> Result<HttpResponse> {
    resend_verification_link(&context, key.once(&body.raw), &origin, body.value).await?;
    Ok(response::accepted())
}

/// Request a link to set a password
///
/// For an owner who forgot the password, or who has not set one yet. The response is the same whether or not the address has an account.
/// The link works once, within an hour; older ones stop working. An address gets at most a few such mails an hour. After that no mail is
/// sent, and the last link keeps working. Other kinds of mail do not count. An address that is not verified yet gets the verification mail
/// instead.
#[utoipa::path(
    tag = "registration",
    operation_id = "request_password_reset",
    request_body = EmailAddressRequest,
    responses((status = 202, description = "Sent, if the address has an account")),
)]
#[post("/v1/password-resets")]
pub(super) async fn request_password_reset(
    context: Context<Anonymous>,
    origin: Origin,
    body: Body<EmailAddressRequest>,
) -> Result<HttpResponse> {
    request_password_link(&context, &origin, body.value).await?;
    Ok(response::accepted())
}
