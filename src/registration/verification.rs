//! The link that verifies an e-mail address: of a registration, or a new one of an account.

use std::sync::Arc;

use actix_web::{HttpResponse, post, web};
use serde::Deserialize;
use utoipa::ToSchema;

use super::booking::{self, NotBooked, VerifiedEmail};
use super::{Registration, Rules, followed_link};
use crate::accounts::authenticate::{self, Credentials};
use crate::accounts::linked_visit::{LinkedVisit, ReservedVisit};
use crate::accounts::model::{EmailAddress, Purpose, User};
use crate::accounts::one_time::ValidToken;
use crate::accounts::origin::Origin;
use crate::accounts::throttle::ConfirmedBy;
use crate::accounts::{Keys, new_accounts, notices, one_time, store};
use crate::appointments::view::AppointmentView;
use crate::context::{Anonymous, Context, Tx};
use crate::error::{Error, FieldCode, Result};
use crate::http::{Body, response};
use crate::ids::{OneTimeTokenId, PatientId, SlotId, UserId};
use crate::messages::model::SecurityEvent;

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
    /// Another time for the visit of the registration, if its own could not be booked: a slot of `not_booked.next_free`. Only for a link
    /// that was followed before.
    slot_id: Option<SlotId>,
}

/// Verifies the address of a link, and books the visit of its registration. Returns a token to set the account's password with, if the
/// account has none.
///
/// # Errors
/// A broken rule at `/token` or `/slot_id`; those of the authentication, if the link proves a new address; the conflict `email_taken`.
pub async fn verify(
    context: &Context<Anonymous>,
    keys: &Keys,
    origin: Origin,
    request: VerifyEmailRequest,
) -> Result<Option<VerifiedEmail>> {
    const PURPOSES: &[Purpose] = &[Purpose::VerifyEmail, Purpose::ChangeEmail];
    let VerifyEmailRequest { token, current_password, totp_code, slot_id } = request;
    let looked_up = token.clone();
    let good = match context.read(move |tx| one_time::look_up(tx.conn, &looked_up, PURPOSES, tx.now)).await {
        Ok(good) => good,
        Err(error) => return followed_link::follow_again(context, token, slot_id, error).await.map(Some),
    };
    if slot_id.is_some() {
        let detail = "must not be set before the link was followed, because it books its own time";
        return Err(Error::invalid("/slot_id", FieldCode::ForbiddenField, detail));
    }
    if good.purpose == Purpose::ChangeEmail {
        // The mailbox alone is not enough: the owner of another account may have had the link sent to it.
        let Some(password) = current_password else {
            return Err(Error::invalid(
                "/current_password",
                FieldCode::Required,
                "must be the password of the account",
            ));
        };
        let credentials = Credentials { password, code: totp_code };
        Box::pin(change_email(context, keys, good, credentials, token)).await?;
        return Ok(None);
    }
    let waiting = match good.registration(&context.env)? {
        // It kept the rules when it was typed; a newer version of the service may have others.
        Some(body_json) => {
            let rules = Rules::load(context).await?;
            Some(Registration::parse_waiting(&body_json, &rules).ok_or_else(one_time::not_good)?)
        }
        None => None,
    };
    let visit = match good.visit(&context.env)? {
        Some(LinkedVisit::Reserved(visit)) => Some(*visit),
        _ => None,
    };
    follow(
        context,
        Link {
            token,
            origin,
            id: good.id,
            user: good.user.id,
            waiting: waiting.map(Arc::new),
            visit,
            is_missed: false,
        },
    )
    .await
}

/// The link of a registration that is being followed.
#[derive(Clone)]
struct Link {
    token: String,
    /// From where it is followed.
    origin: Origin,
    id: OneTimeTokenId,
    user: UserId,
    /// The registration that waited in the link.
    waiting: Option<Arc<Registration>>,
    visit: Option<ReservedVisit>,
    /// The visit cannot be booked at its time any more.
    is_missed: bool,
}

/// Verifies the address and books the visit in one transaction. If the visit cannot be booked any more, verifies the address alone.
async fn follow(context: &Context<Anonymous>, link: Link) -> Result<Option<VerifiedEmail>> {
    let attempt = link.clone();
    let mut followed = context.change(move |tx| attempt.follow(tx)).await;
    let mut not_booked = None;
    if let (Err(Error::Conflict(conflict)), Some(visit)) = (&followed, &link.visit) {
        not_booked = Some(NotBooked::new(context, (**conflict).clone(), visit).await);
        let missed = Link { is_missed: true, ..link.clone() };
        followed = context.change(move |tx| missed.follow(tx)).await;
    }
    let (first_password, appointment) = match followed {
        Ok(followed) => followed,
        // Another click was faster.
        Err(error) => return followed_link::follow_again(context, link.token, None, error).await.map(Some),
    };
    let is_all_done = first_password.is_none() && appointment.is_none() && not_booked.is_none();
    let (password_token, email) = first_password.unzip();
    Ok((!is_all_done).then_some(VerifiedEmail { password_token, email, appointment, not_booked }))
}

/// A token to set an account's first password with, and the account's address.
type FirstPassword = (String, String);

impl Link {
    /// Uses up the link. Returns a token to set the account's password with and the account's address, if the account has no password,
    /// and the booked visit.
    fn follow(&self, tx: &mut Tx<Anonymous>) -> Result<(Option<FirstPassword>, Option<AppointmentView>)> {
        // The lock comes first, so that only one of several links of the address is followed.
        store::lock(tx.conn, self.user)?;
        let user = one_time::consume(tx.conn, &self.token, &[Purpose::VerifyEmail], tx.now)?.user;
        tx.audit.note_actor(user.id, Some(user.role));
        tx.audit.note_object(user.id.0);
        let (user, patient) = self.verify_account(tx, user)?;
        let (mut appointment, mut state) = (None, None);
        if let Some(visit) = &self.visit {
            let patient = patient.or(visit.patient_id).ok_or_else(|| Error::fault("a visit without a patient"))?;
            state = Some(if self.is_missed {
                LinkedVisit::Missed(Box::new(ReservedVisit { patient_id: Some(patient), ..visit.clone() }))
            } else {
                let booked = appointment.insert(booking::book(tx, &user, patient, visit)?);
                LinkedVisit::Booked { appointment_id: booked.id }
            });
        }
        one_time::set_visit(tx.conn, tx.env, self.id, state.as_ref())?;
        let first_password = match user.password_hash {
            Some(_) => None,
            None => Some((one_time::issue(tx.conn, tx.env, user.id, Purpose::FirstPassword)?, user.email)),
        };
        Ok((first_password, appointment))
    }

    /// Verifies the account's address. A registration that waited in the link replaces the stored one; its record is returned.
    fn verify_account(&self, tx: &mut Tx<Anonymous>, user: User) -> Result<(User, Option<PatientId>)> {
        let (user, patient) = match &self.waiting {
            Some(registration) => {
                let (user, patient) = registration.replace(tx, &user)?;
                (user, Some(patient))
            }
            None => (user, None),
        };
        let user = if user.email_verified_at.is_none() {
            new_accounts::remember(tx.conn, tx.env, user.id, &self.origin, tx.now)?;
            store::verify(tx.conn, &user, tx.now)?
        } else {
            user
        };
        // The links of other registrations of the address stop working.
        one_time::void(tx.conn, user.id, Purpose::VerifyEmail, tx.now)?;
        Ok((user, patient))
    }
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
///
/// If the registration carried a time (`appointment`), the same transaction books it, and the patient gets the mail of every booking. If it
/// cannot be booked any more, the address is verified all the same, and `not_booked` has the reason and other times. Send the token again with
/// the `slot_id` of one of them: this books it. Following the link again shows the same appointment, or other times, while the link would
/// still work.
#[utoipa::path(
    tag = "registration",
    operation_id = "verify_email",
    request_body = VerifyEmailRequest,
    responses(
        (status = 200, description = "Verified; the account has no password yet, or the registration carried a time", body = VerifiedEmail),
        (status = 204, description = "Verified; the account has a password"),
        (status = 409, description = "`email_taken`: another account has the new address by now"),
        (status = 429, description = "`too_many_attempts`: too many wrong passwords; retry after the number of seconds in `Retry-After`"),
    ),
)]
#[post("/v1/email-verifications")]
pub(super) async fn verify_email(
    context: Context<Anonymous>,
    keys: web::Data<Keys>,
    origin: Origin,
    body: Body<VerifyEmailRequest>,
) -> Result<HttpResponse> {
    let verified = verify(&context, &keys, origin, body.value).await?;
    Ok(verified.map_or_else(response::no_content, |verified| response::ok(&verified)))
}
