//! How somebody comes to act for a patient whom the clinic knows already: linked by the staff, or invited by a mail.
//!
//! An invitation belongs to an address, not to an account: nothing is there before it is accepted, so a mistyped address
//! leaves nothing behind. Whoever follows the link has shown that they read the mailbox. That is enough to set the password
//! of a new account; and enough to link an existing one without signing in, since it opens nothing of that account to
//! anybody: it only gives its owner one patient more, whom the staff have meant for this very address.

use diesel::prelude::*;

use super::access::{self, Access};
use super::model::{Patient, Relation};
use super::{giving, guarding, unverified};
use crate::accounts::model::{EmailAddress, User};
use crate::accounts::store::NewUser;
use crate::accounts::{self, tokens};
use crate::actor::{Actor, Role};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{patient_access, patient_invitations, patients};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::{InvitationId, PatientId, UserId};
use crate::messages::model::{Envelope, INVITATION_LASTS, Mail, MessageKind, Recipient};
use crate::messages::outbox;

/// An invitation as it is stored.
#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = patient_invitations, treat_none_as_default_value = false)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// Of whose record.
    pub patient_id: PatientId,
    /// Where it was sent.
    pub email: String,
    email_key: String,
    relation: Relation,
    token_hash: Vec<u8>,
    invited_by: UserId,
    created_at: Timestamp,
    /// Until when it is good.
    pub expires_at: Timestamp,
    used_at: Option<Timestamp>,
}

/// Links a verified account to the patient, as a member of the staff says, or verifies and changes what it is to them.
///
/// # Errors
/// [`Error::NotFound`]; forbidden, where a practitioner has to give a reason; a broken rule at `/email` where there is no such
/// account; the conflicts of [`fits`].
pub fn link(
    tx: &mut Conn,
    env: &Env,
    actor: &Actor,
    id: PatientId,
    email: &EmailAddress,
    relation: Relation,
) -> Result<(Access, User)> {
    let patient = giving::admitted(tx, env, actor, id)?;
    let user = accounts::store::find_by_email(tx, &email.key())?
        .filter(|user| user.email_verified_at.is_some() && user.disabled_at.is_none())
        .ok_or_else(|| {
            let detail = "no account has shown that this address is its own; send an invitation there";
            Error::invalid("/email", "unknown_reference", detail)
        })?;
    fits(tx, &user, patient.id, relation)?;
    let access = giving::give(tx, env, &user, &patient, relation, actor.user_id)?;
    Ok((access, user))
}

/// Takes an account's access back on the part of the staff, with the invitations that its address has not accepted. The owner of
/// the account is told.
///
/// # Errors
/// [`Error::NotFound`].
pub fn unlink(tx: &mut Conn, env: &Env, patient: PatientId, user: UserId) -> Result<()> {
    let was = access::revoke(tx, user, patient)?;
    let user = accounts::store::find(tx, user)?;
    void(tx, patient, &user.email_key, env.now())?;
    guarding::access_taken(tx, env, &was, &user)
}

/// Whether the account can be this to the patient.
///
/// # Errors
/// The conflicts `account_is_staff`, `other_relation`, `own_account_exists`, `own_record_exists`.
fn fits(tx: &mut Conn, user: &User, patient: PatientId, relation: Relation) -> Result<()> {
    if user.role != Role::Patient {
        let detail = "This is the address of a member of the staff. Patients and their families need another one.";
        return Err(Error::conflict("account_is_staff", detail));
    }
    if relation != Relation::Oneself {
        return Ok(());
    }
    let was: Option<Relation> =
        patient_access::table.find((user.id, patient)).select(patient_access::relation).first(tx).optional()?;
    if was.is_some_and(|was| was != Relation::Oneself) {
        // A mother's account does not become her grown son's, even where both were noted with one address.
        let detail =
            "The account acts for this patient as somebody else, or did. Take that back first, or use another address.";
        return Err(Error::conflict("other_relation", detail));
    }
    if access::own_record(tx, user.id)?.is_some_and(|own| own.id != patient) {
        let detail = "The account's holder has another record of their own. If this is theirs, take the account's `self` access \
            off the other record first, then give it on this one.";
        return Err(Error::conflict("own_record_exists", detail));
    }
    require_no_other_account(tx, Some(user), patient, relation)
}

/// Sees to it that the patient has no account of their own but this.
fn require_no_other_account(tx: &mut Conn, user: Option<&User>, patient: PatientId, relation: Relation) -> Result<()> {
    let own_account: Option<UserId> = patient_access::table
        .filter(patient_access::patient_id.eq(patient))
        .filter(patient_access::relation.eq(Relation::Oneself))
        .filter(patient_access::stopped_at.is_null())
        .select(patient_access::user_id)
        .first(tx)
        .optional()?;
    let another = own_account.is_some_and(|own| user.is_none_or(|user| user.id != own));
    if relation == Relation::Oneself && another {
        return Err(Error::conflict("own_account_exists", "The patient has an account of their own."));
    }
    Ok(())
}

/// Mails somebody a link with which they come to act for the patient. An older one to the same address is void.
///
/// # Errors
/// [`Error::NotFound`]; forbidden, where a practitioner has to give a reason; the conflicts of [`fits`]; [`Error::TooMany`] if
/// the address has had too many invitations.
pub fn invite(
    tx: &mut Conn,
    env: &Env,
    actor: &Actor,
    id: PatientId,
    email: &EmailAddress,
    relation: Relation,
) -> Result<Invitation> {
    let patient = giving::admitted(tx, env, actor, id)?;
    let user = accounts::store::find_by_email(tx, &email.key())?;
    match &user {
        Some(user) if user.email_verified_at.is_some() || user.role != Role::Patient => {
            fits(tx, user, patient.id, relation)?;
        }
        // One that was never verified is replaced by whoever accepts.
        _ => require_no_other_account(tx, user.as_ref(), patient.id, relation)?,
    }
    outbox::require_room(tx, env, email.as_str(), MessageKind::PatientInvitation)?;
    let now = env.now();
    void(tx, patient.id, &email.key(), now)?;
    let token = tokens::opaque(&env.entropy);
    let invitation = Invitation {
        id: env.new_id(),
        patient_id: patient.id,
        email: email.as_str().to_owned(),
        email_key: email.key(),
        relation,
        token_hash: tokens::hash(&token),
        invited_by: actor.user_id,
        created_at: now,
        expires_at: now.plus(INVITATION_LASTS),
        used_at: None,
    };
    diesel::insert_into(patient_invitations::table).values(&invitation).execute(tx)?;
    // The owner of an account has said which language is theirs; of others the patient's is the best guess.
    let language = match user {
        Some(user) if user.email_verified_at.is_some() => user.preferred_language,
        _ => patient.preferred_language,
    };
    let envelope = Envelope {
        recipient: Recipient { name: None, email: Some(email.as_str().to_owned()), phone: None, language },
        patient_id: Some(patient.id),
        appointment_id: None,
        mail: Mail::PatientInvitation { token },
    };
    outbox::enqueue(tx, env, &envelope)?;
    Ok(invitation)
}

/// Ends the patient's invitations to an address that nobody has accepted.
///
/// # Errors
/// The database's.
pub(super) fn void(tx: &mut Conn, patient: PatientId, email_key: &str, now: Timestamp) -> Result<()> {
    let open = patient_invitations::table
        .filter(patient_invitations::patient_id.eq(patient))
        .filter(patient_invitations::email_key.eq(email_key))
        .filter(patient_invitations::used_at.is_null());
    diesel::update(open).set(patient_invitations::used_at.eq(now)).execute(tx)?;
    Ok(())
}

/// The invitation behind a token that is still good, and the account that its address has, if any.
///
/// # Errors
/// A broken rule at `/token`.
pub fn look_up(conn: &mut Conn, token: &str, now: Timestamp) -> Result<(Invitation, Option<User>)> {
    let invitation = patient_invitations::table
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

/// What somebody who accepts brings for an account that is not there yet, or has no password of its owner.
#[derive(Clone)]
pub struct NewHolder {
    /// The PHC string.
    pub password_hash: String,
    /// The holder's name.
    pub name: Option<String>,
}

/// Uses an invitation up: makes the account, or links the one that is there.
///
/// # Errors
/// Broken rules at `/token` and, where a password is needed and missing, at `/new_password`; the conflicts of [`fits`].
pub fn accept(tx: &mut Conn, env: &Env, token: &str, holder: Option<&NewHolder>) -> Result<()> {
    let now = env.now();
    let (invitation, user) = look_up(tx, token, now)?;
    let mine = patient_invitations::table.find(invitation.id).filter(patient_invitations::used_at.is_null());
    if diesel::update(mine).set(patient_invitations::used_at.eq(now)).execute(tx)? == 0 {
        return Err(accounts::one_time::not_good());
    }
    let patient: Patient = patients::table.find(invitation.patient_id).select(Patient::as_select()).first(tx)?;
    let user = match user {
        Some(user) => Some(accounts::store::lock(tx, user.id)?),
        None => None,
    };
    let user = match user {
        Some(user) if user.has_own_password() => user,
        user => with_password(tx, env, &invitation, &patient, user, holder)?,
    };
    fits(tx, &user, patient.id, invitation.relation)?;
    giving::give(tx, env, &user, &patient, invitation.relation, invitation.invited_by)?;
    void(tx, patient.id, &invitation.email_key, now)
}

/// The account of who accepts, verified and with the password that they chose. One of the address that was never verified is
/// replaced, whoever made it; one that was verified and has no password yet keeps what it holds.
fn with_password(
    tx: &mut Conn,
    env: &Env,
    invitation: &Invitation,
    patient: &Patient,
    known: Option<User>,
    holder: Option<&NewHolder>,
) -> Result<User> {
    let holder = holder.ok_or_else(password_required)?;
    let new = NewUser {
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
            accounts::store::set_password(tx, known.id, &holder.password_hash, env.now())?;
            accounts::one_time::void_all(tx, known.id, env.now())?;
            known
        }
        Some(known) => {
            unverified::forget(tx, known.id)?;
            accounts::store::replace_unverified(tx, &known, &new, env.now())?
        }
        None => accounts::store::insert(tx, env, &new).map_err(|error| match error {
            // Somebody registered the address in this moment: the transaction runs again and finds it.
            Error::Conflict(conflict) if conflict.code == "email_taken" => Error::Retry,
            other => other,
        })?,
    };
    accounts::store::mark_verified(tx, user.id, env.now())?;
    Ok(user)
}

/// What is told to who accepts without a password where one is needed.
pub fn password_required() -> Error {
    Error::invalid("/new_password", "required", "must be there: the address has no account with a password yet")
}
