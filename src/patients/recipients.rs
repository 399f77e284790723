//! Recipients of messages about a patient. A message goes only to an address whose owner is known: the address of an account after its
//! verification, the address in a record after staff entered or confirmed it.

use super::access::adulthood::Calendar;
use super::access::{self, Access};
use super::model::{Patient, Relation, email_key};
use crate::accounts::model::User;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::env::Env;
use crate::error::Result;
use crate::ids::UserId;
use crate::messages::model::Recipient;

/// A recipient of a message about a patient.
pub struct PatientRecipient {
    /// The address.
    pub recipient: Recipient,
    /// The account whose address it is; none for the address or number of the record.
    pub account: Option<UserId>,
    /// Whether the recipient is the patient.
    pub is_patient: bool,
    /// Whether the recipient has an account that acts for the patient.
    pub has_account: bool,
}

/// Returns the recipients of messages about a patient's appointments; there is at least one. For a minor they are all accounts that act
/// for the minor, or the minor if there are none. For an adult it is the adult, or the accounts that act for an adult without an address.
/// Without any address, the clinic calls the patient's number. `accounts` are those with access to the patient, in the order of
/// [`access::of_patient`].
pub fn of(
    conn: &mut Conn,
    env: &Env,
    patient: &Patient,
    accounts: Vec<(Access, User)>,
) -> Result<Vec<PatientRecipient>> {
    let accounts: Vec<_> = can_be_reached(accounts, env.now()).collect();
    let own = own(patient, &accounts);
    let others: Vec<PatientRecipient> = accounts
        .iter()
        .filter(|(access, _)| access.relation != Relation::Oneself)
        .map(|account| of_account(patient, account))
        .collect();
    // Access that was given for an adult does not make the patient a minor, although the age of adulthood is higher now.
    let for_minor = accounts.iter().any(|(access, _)| access.for_minor && access.relation != Relation::Oneself);
    let is_minor = for_minor && Calendar::of_clinic(conn, env)?.is_minor(patient, env.now());
    if others.is_empty() || (own.recipient.email.is_some() && !is_minor) {
        return Ok(vec![own]);
    }
    Ok(others)
}

/// Returns the recipients of the message that an account was given access: all other accounts that act for the patient, and the patient
/// at the address in the record. The clinic calls a patient without an address, unless the patient is a minor with other accounts. If an
/// account becomes the patient's own and has the address in the record, its holder is the patient, who gets no message about it.
pub fn of_access(
    conn: &mut Conn,
    env: &Env,
    patient: &Patient,
    holder: &User,
    relation: Relation,
) -> Result<Vec<PatientRecipient>> {
    let accounts = reached(conn, env.now(), patient)?.into_iter();
    let accounts: Vec<_> = accounts.filter(|(access, _)| access.user_id != holder.id).collect();
    let mut told: Vec<PatientRecipient> = accounts.iter().map(|account| of_account(patient, account)).collect();
    let mut own = own(patient, &accounts);
    let key = own.recipient.email.as_deref().map(email_key);
    if key.as_deref() == Some(&holder.email_key) {
        if relation == Relation::Oneself {
            return Ok(told);
        }
        // The address in the record is the holder's, so a mail to it would not reach the patient.
        own.recipient.email = None;
    }
    let is_told = if own.recipient.email.is_some() {
        told.iter().any(|told| told.recipient.email.as_deref().map(email_key) == key)
    } else {
        !told.is_empty() && Calendar::of_clinic(conn, env)?.is_minor(patient, env.now())
    };
    if !is_told {
        told.push(own);
    }
    Ok(told)
}

/// Loads the accounts that act for the patient and have a verified address.
pub(super) fn reached(conn: &mut Conn, now: Timestamp, patient: &Patient) -> Result<Vec<(Access, User)>> {
    Ok(can_be_reached(access::of_patient(conn, patient.id)?, now).collect())
}

fn can_be_reached(accounts: Vec<(Access, User)>, now: Timestamp) -> impl Iterator<Item = (Access, User)> {
    accounts.into_iter().filter(move |(access, user)| access.is_active(now) && has_mailbox(user))
}

pub(super) fn of_account(patient: &Patient, (access, user): &(Access, User)) -> PatientRecipient {
    PatientRecipient {
        recipient: Recipient { phone: patient.phone.clone(), ..user.recipient() },
        account: Some(user.id),
        is_patient: access.relation == Relation::Oneself,
        has_account: true,
    }
}

/// Returns the patient as a recipient, at the confirmed address of the record or at the address of the patient's own account.
pub fn own(patient: &Patient, accounts: &[(Access, User)]) -> PatientRecipient {
    let own = accounts.iter().find(|(access, user)| access.relation == Relation::Oneself && has_mailbox(user));
    let confirmed = patient.email.clone().filter(|_| patient.email_confirmed);
    let account = own.filter(|_| confirmed.is_none()).map(|(_, user)| user);
    let recipient = Recipient {
        name: Some(patient.display_name()),
        email: confirmed.or_else(|| account.map(|user| user.email.clone())),
        phone: patient.phone.clone(),
        language: patient.preferred_language.clone(),
    };
    PatientRecipient { recipient, account: account.map(|user| user.id), is_patient: true, has_account: own.is_some() }
}

/// Returns whether the account is enabled and its address is verified.
pub(super) fn has_mailbox(user: &User) -> bool {
    user.email_verified_at.is_some() && user.disabled_at.is_none()
}
