//! How somebody comes to act for a patient whom the clinic knows already: linked by the staff.

use diesel::prelude::*;

use super::access::{self, Access};
use super::model::Relation;
use super::store;
use crate::accounts;
use crate::accounts::model::{EmailAddress, User};
use crate::actor::{Actor, Role};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{patient_access, patient_invitations};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::{PatientId, UserId};

/// Links a verified account to the patient, as a member of the staff says, or verifies and changes what it is to them.
///
/// # Errors
/// A broken rule at `/email` where there is no such account; the conflicts of [`fits`].
pub fn link(
    tx: &mut Conn,
    env: &Env,
    actor: &Actor,
    id: PatientId,
    email: &EmailAddress,
    relation: Relation,
) -> Result<(Access, User)> {
    let patient = store::visible(tx, env, actor, id)?;
    let user = accounts::store::find_by_email(tx, &email.key())?
        .filter(|user| user.email_verified_at.is_some() && user.disabled_at.is_none())
        .ok_or_else(|| {
            let detail = "no account has shown that this address is its own; send an invitation there";
            Error::invalid("/email", "unknown_reference", detail)
        })?;
    fits(tx, &user, patient.id, relation)?;
    let access = access::grant(tx, env, user.id, &patient, relation, Some(actor.user_id))?;
    Ok((access, user))
}

/// Takes an account's access back, and the invitations that its address has not accepted.
///
/// # Errors
/// [`Error::NotFound`].
pub fn unlink(tx: &mut Conn, env: &Env, patient: PatientId, user: UserId) -> Result<()> {
    access::revoke(tx, user, patient)?;
    let user = accounts::store::find(tx, user)?;
    void(tx, patient, &user.email_key, env.now())
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
        return Err(Error::conflict("own_record_exists", "The account's holder has a record of their own."));
    }
    require_no_other_account(tx, Some(user), patient, relation)
}

/// Sees to it that the patient has no account of their own but this.
fn require_no_other_account(tx: &mut Conn, user: Option<&User>, patient: PatientId, relation: Relation) -> Result<()> {
    let own_account: Option<UserId> = patient_access::table
        .filter(patient_access::patient_id.eq(patient))
        .filter(patient_access::relation.eq(Relation::Oneself))
        .select(patient_access::user_id)
        .first(tx)
        .optional()?;
    let another = own_account.is_some_and(|own| user.is_none_or(|user| user.id != own));
    if relation == Relation::Oneself && another {
        return Err(Error::conflict("own_account_exists", "The patient has an account of their own."));
    }
    Ok(())
}

fn void(tx: &mut Conn, patient: PatientId, email_key: &str, now: Timestamp) -> Result<()> {
    let open = patient_invitations::table
        .filter(patient_invitations::patient_id.eq(patient))
        .filter(patient_invitations::email_key.eq(email_key))
        .filter(patient_invitations::used_at.is_null());
    diesel::update(open).set(patient_invitations::used_at.eq(now)).execute(tx)?;
    Ok(())
}
