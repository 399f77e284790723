//! Accepting an invitation to act for a patient.
//!
//! The person who follows the link has shown that they read the mailbox. That is enough to set the password of a new account. It is also
//! enough to link an existing account without a sign-in: the link opens nothing of the account, it only gives its owner one more patient,
//! whom staff meant for this address.

use actix_web::{HttpResponse, post, web};
use diesel::prelude::*;
use serde::Deserialize;
use utoipa::ToSchema;

use super::giving;
use super::invitations::{Invitation, void};
use super::second_person::Giver;
use super::suitable::require_suitable;
use super::{HOLDER_NAME, acts_as};
use crate::accounts::model::{EmailAddress, User};
use crate::accounts::origin::Origin;
use crate::accounts::store::NewAccount;
use crate::accounts::{self, Keys, new_accounts, tokens};
use crate::actor::Role;
use crate::clock::Timestamp;
use crate::context::{Anonymous, Context, Tx, access_lock};
use crate::db::Conn;
use crate::db::schema::{patient_invitations, patients, users};
use crate::error::{Check, Error, FieldCode, Result};
use crate::http::{Body, response};
use crate::patients::model::{Patient, Relation};
use crate::patients::store::lock_visits;
use crate::patients::unverified;

/// The acceptance of an invitation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"token": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE", "new_password": "violet otter hums at dawn", "name": "Rosa Example"}))]
pub struct AcceptInvitationRequest {
    /// The token after `#token=` in the link.
    #[schema(max_length = 128)]
    token: String,
    /// The password, at least 12 characters. Only if the address has no account with a password yet.
    #[schema(min_length = 8, max_length = 128)]
    new_password: Option<String>,
    /// The holder's name, for a new account of a person who is not the patient.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
}

/// What the accepting person sets for an account that is new or has no password of its owner.
struct NewHolder {
    /// The PHC string.
    password_hash: String,
    name: Option<String>,
}

/// Finds the invitation of a token that works, and the account of its address, if there is one. The invitations of an account that is
/// disabled do not work, because they may be why it was disabled.
///
/// # Errors
/// A broken rule at `/token`.
fn look_up(conn: &mut Conn, token: &str, now: Timestamp) -> Result<(Invitation, Option<User>)> {
    let invitation = patient_invitations::table
        .inner_join(users::table.on(users::id.eq(patient_invitations::invited_by)))
        .filter(users::disabled_at.is_null())
        .filter(patient_invitations::token_hash.eq(tokens::hash(token)))
        .filter(patient_invitations::used_at.is_null())
        .filter(patient_invitations::expires_at.gt(now))
        .select(Invitation::as_select())
        .first(conn)
        .optional()?
        .ok_or_else(accounts::one_time::not_good)?;
    let user = accounts::store::find_by_email(conn, &invitation.email_key)?;
    if user.as_ref().is_some_and(|user| user.disabled_at.is_some()) {
        return Err(accounts::one_time::not_good());
    }
    Ok((invitation, user))
}

/// Accepts an invitation: creates the account of its address, or links the existing one.
///
/// # Errors
/// Broken rules at `/token` and, if a password is needed and missing, at `/new_password`; the conflicts of the endpoint.
pub async fn accept(
    context: &Context<Anonymous>,
    keys: &Keys,
    origin: Origin,
    acceptance: AcceptInvitationRequest,
) -> Result<()> {
    let AcceptInvitationRequest { token, new_password, name } = acceptance;
    let looked_up = token.clone();
    let (invitation, user) = context.read(move |tx| look_up(tx.conn, &looked_up, tx.now)).await?;
    let holder = if user.is_some_and(|user| user.has_own_password()) {
        let mut check = Check::new();
        let detail = "must not be sent: the address has an account, which keeps its password";
        check.require(new_password.is_none(), "/new_password", FieldCode::NotAnOption, detail);
        check.done()?;
        None
    } else {
        let password = new_password.ok_or_else(password_required)?;
        let mut check = Check::new();
        let name = name.and_then(|name| check.field("/name", text::one_line(&name, HOLDER_NAME)));
        let about = [invitation.email.as_str(), name.as_deref().unwrap_or_default()];
        check.field("/new_password", keys.passwords.check(&password, Role::Patient, &about));
        check.done()?;
        Some(NewHolder { password_hash: keys.passwords.hash(&password).await?, name })
    };
    context
        .change(move |tx| {
            tx.audit.note_patient(invitation.patient_id);
            tx.audit.note_object(invitation.id.0);
            use_invitation(tx, &token, holder.as_ref(), &origin)
        })
        .await
}

fn use_invitation(tx: &mut Tx<Anonymous>, token: &str, holder: Option<&NewHolder>, origin: &Origin) -> Result<()> {
    let inviter = look_up(tx.conn, token, tx.now)?.0.invited_by;
    // The invitation ends with the inviter's account or access, so their end waits for this lock.
    access_lock::share(tx.conn, inviter)?;
    let (invitation, user) = look_up(tx.conn, token, tx.now)?;
    let unused = patient_invitations::table.find(invitation.id).filter(patient_invitations::used_at.is_null());
    if diesel::update(unused).set(patient_invitations::used_at.eq(tx.now)).execute(tx.conn)? == 0 {
        return Err(accounts::one_time::not_good());
    }
    let user = user.map(|user| accounts::store::lock(tx.conn, user.id)).transpose()?;
    if user.as_ref().is_some_and(|user| user.disabled_at.is_some() || user.email_key != invitation.email_key) {
        return Err(Error::Retry);
    }
    lock_visits(tx.conn, invitation.patient_id)?;
    let patient: Patient = patients::table.find(invitation.patient_id).select(Patient::as_select()).first(tx.conn)?;
    let was_verified = user.as_ref().is_some_and(|user| user.email_verified_at.is_some());
    let user = match user {
        Some(user) if user.has_own_password() => user,
        user => with_password(tx, &invitation, &patient, user, holder)?,
    };
    require_suitable(tx.conn, &user, patient.id, invitation.relation)?;
    let is_patient = is_by_patient(tx, &invitation)?;
    if is_patient && !was_verified {
        // Patients invite whom they like, so this account counts like one that registered.
        new_accounts::remember(tx.conn, tx.env, user.id, origin, tx.now)?;
    }
    let giver = Giver {
        account: invitation.invited_by,
        is_patient,
        email_key: &invitation.email_key,
        decided_at: invitation.created_at,
    };
    giving::give_and_notify(tx, &user, &patient, invitation.relation, giver)?;
    void(tx, patient.id, &invitation.email_key)
}

/// Returns whether the patient sent the invitation, and not a member of the staff.
///
/// # Errors
/// A broken rule at `/token` if the account that sent it may not act for the patient any more: somebody else may have used it.
fn is_by_patient(tx: &mut Tx<Anonymous>, invitation: &Invitation) -> Result<bool> {
    if accounts::store::find(tx.conn, invitation.invited_by)?.role != Role::Patient {
        return Ok(false);
    }
    match acts_as(tx.conn, tx.env, invitation.invited_by, invitation.patient_id)? {
        Some((Relation::Oneself, _)) => Ok(true),
        _ => Err(accounts::one_time::not_good()),
    }
}

/// Returns the account of the accepting person, verified and with the chosen password. An account that was never verified is replaced,
/// no matter who created it. An account that was verified and has no password yet keeps its data.
fn with_password(
    tx: &mut Tx<Anonymous>,
    invitation: &Invitation,
    patient: &Patient,
    known: Option<User>,
    holder: Option<&NewHolder>,
) -> Result<User> {
    let holder = holder.ok_or_else(password_required)?;
    let new = NewAccount {
        email: EmailAddress::parse(&invitation.email).map_err(|rule| Error::fault(rule.detail))?,
        name: holder.name.clone(),
        role: Role::Patient,
        practitioner_id: None,
        password_hash: Some(holder.password_hash.clone()),
        preferred_language: patient.preferred_language.clone(),
    };
    let user = match known {
        Some(known) if known.role != Role::Patient => known,
        Some(known) if known.email_verified_at.is_some() => {
            accounts::store::set_password(tx.conn, known.id, &holder.password_hash, tx.now)?;
            known
        }
        Some(known) => {
            unverified::discard(tx.conn, known.id)?;
            accounts::one_time::void_all(tx.conn, known.id, tx.now)?;
            accounts::store::replace_unverified(tx.conn, &known, &new, tx.now)?
        }
        None => accounts::store::insert(tx.conn, tx.env, &new).map_err(unverified::retry_if_email_taken)?,
    };
    accounts::store::mark_verified(tx.conn, user.id, tx.now)?;
    Ok(user)
}

fn password_required() -> Error {
    Error::invalid("/new_password", FieldCode::Required, "must be sent: the address has no account with a password yet")
}

/// Accept an invitation
///
/// For the link in the mail: `/accept-invitation#token=…`. Send the token alone first. If the address has an account with a password, the
/// account is linked and keeps its password: 204. Otherwise the response is 422 with `required` at `/new_password`, and the link still
/// works: ask for a password and send both. The address then counts as verified. A password that was set before the verification does
/// not work any more. If the access needs a confirmation (`POST /v1/patients/{id}/access`), the account may act after a second member of
/// the staff has confirmed it. The invitations of a member of the staff do not work while that account is disabled.
#[utoipa::path(
    tag = "registration",
    operation_id = "accept_invitation",
    request_body = AcceptInvitationRequest,
    responses(
        (status = 204, description = "The account may act for the patient, now or once the access is confirmed; sign in"),
        (status = 409, description = "`account_is_staff`, `other_relation`, `own_account_exists`, `own_record_exists`: the address \
            or the patient has changed since the invitation was sent; ask the clinic"),
    ),
)]
#[post("/v1/invitations/accept")]
pub(in crate::patients) async fn accept_invitation(
    context: Context<Anonymous>,
    keys: web::Data<Keys>,
    origin: Origin,
    body: Body<AcceptInvitationRequest>,
) -> Result<HttpResponse> {
    accept(&context, &keys, origin, body.value).await?;
    Ok(response::no_content())
}
