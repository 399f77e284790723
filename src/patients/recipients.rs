//! Who is told what concerns a patient, and where. No message goes to an address of which nobody knows whose it is: that
//! of an account counts once it is verified, that of a record once the staff have entered or confirmed it.

use super::access::{self, Access};
use super::adulthood::Calendar;
use super::model::{Patient, Relation, email_key};
use crate::accounts::model::User;
use crate::db::Conn;
use crate::env::Env;
use crate::error::Result;
use crate::ids::UserId;
use crate::messages::model::Recipient;

/// Somebody who is told, and in which capacity.
pub struct Told {
    /// Where.
    pub recipient: Recipient,
    /// Whose account it is that is told; none where the address or number of the record is.
    pub account: Option<UserId>,
    /// Whether this is the patient.
    pub is_patient: bool,
}

/// Who is told of a patient's appointments. For a minor each of those who act for them, and the minor only where nobody does;
/// for an adult the adult, or those who act for one who has no address. Where there is no address at all, the patient's
/// number is called. There is always somebody.
///
/// # Errors
/// The database's.
pub fn of(tx: &mut Conn, env: &Env, patient: &Patient) -> Result<Vec<Told>> {
    let accounts = reached(tx, env, patient)?;
    let own = own(patient, &accounts);
    let others: Vec<Told> = accounts
        .iter()
        .filter(|(access, _)| access.relation != Relation::Oneself)
        .map(|account| of_account(patient, account))
        .collect();
    let is_minor = !others.is_empty() && Calendar::of_clinic(tx, env)?.is_minor(patient, env.now());
    if others.is_empty() || (own.recipient.email.is_some() && !is_minor) {
        return Ok(vec![own]);
    }
    Ok(others)
}

/// Who is told that an account was given access: every other account that acts for the patient, and the patient at the address
/// in the record. A patient without an address of their own is called, unless they are a minor with other accounts. An account
/// that becomes the patient's own, with the address in the record, is the patient: it is not told of itself.
///
/// # Errors
/// The database's.
pub fn of_access(tx: &mut Conn, env: &Env, patient: &Patient, holder: &User, relation: Relation) -> Result<Vec<Told>> {
    let accounts: Vec<_> =
        reached(tx, env, patient)?.into_iter().filter(|(access, _)| access.user_id != holder.id).collect();
    let mut told: Vec<Told> = accounts.iter().map(|account| of_account(patient, account)).collect();
    let mut own = own(patient, &accounts);
    let key = own.recipient.email.as_deref().map(email_key);
    if key.as_deref() == Some(&holder.email_key) {
        if relation == Relation::Oneself {
            return Ok(told);
        }
        // The address in the record is the holder's: the patient would not learn of it there.
        own.recipient.email = None;
    }
    let is_told = if own.recipient.email.is_some() {
        told.iter().any(|told| told.recipient.email.as_deref().map(email_key) == key)
    } else {
        !told.is_empty() && Calendar::of_clinic(tx, env)?.is_minor(patient, env.now())
    };
    if !is_told {
        told.push(own);
    }
    Ok(told)
}

/// The accounts that act for the patient and are known to read their mailbox.
pub(super) fn reached(tx: &mut Conn, env: &Env, patient: &Patient) -> Result<Vec<(Access, User)>> {
    let now = env.now();
    let all = access::of_patient(tx, patient.id)?.into_iter();
    Ok(all.filter(|(access, user)| access.stands(now) && has_mailbox(user)).collect())
}

pub(super) fn of_account(patient: &Patient, (access, user): &(Access, User)) -> Told {
    Told {
        recipient: Recipient { phone: patient.phone.clone(), ..user.recipient() },
        account: Some(user.id),
        is_patient: access.relation == Relation::Oneself,
    }
}

/// The patient, at the address that the staff know or that of their own account.
pub fn own(patient: &Patient, accounts: &[(Access, User)]) -> Told {
    let account = accounts.iter().find(|(access, user)| access.relation == Relation::Oneself && has_mailbox(user));
    let confirmed = patient.email.clone().filter(|_| patient.email_confirmed);
    let account = account.filter(|_| confirmed.is_none()).map(|(_, user)| user);
    let recipient = Recipient {
        name: Some(patient.display_name()),
        email: confirmed.or_else(|| account.map(|user| user.email.clone())),
        phone: patient.phone.clone(),
        language: patient.preferred_language.clone(),
    };
    Told { recipient, account: account.map(|user| user.id), is_patient: true }
}

/// Whether the account's holder is known to read its mailbox.
pub(super) fn has_mailbox(user: &User) -> bool {
    user.email_verified_at.is_some() && user.disabled_at.is_none()
}
