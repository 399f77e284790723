//! Who is told what concerns a patient, and where. No message goes to an address of which nobody knows whose it is: that
//! of an account counts once it is verified, that of a record once the staff have entered or confirmed it.

use super::access::{self, Access};
use super::adulthood::Calendar;
use super::model::{Patient, Relation};
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
}

/// Who is told of a patient's appointments. For a minor each of those who act for them, and the minor only where nobody does;
/// for an adult the adult, or those who act for one who has no address. Where there is no address at all, the patient's
/// number is called. There is always somebody.
///
/// # Errors
/// The database's.
pub fn of(tx: &mut Conn, env: &Env, patient: &Patient) -> Result<Vec<Told>> {
    let now = env.now();
    let accounts: Vec<(Access, User)> = access::of_patient(tx, patient.id)?
        .into_iter()
        .filter(|(access, user)| access.stands(now) && has_mailbox(user))
        .collect();
    let own = own(patient, &accounts);
    let others: Vec<Told> = accounts
        .iter()
        .filter(|(access, _)| access.relation != Relation::Oneself)
        .map(|(_, user)| Told {
            recipient: Recipient { phone: patient.phone.clone(), ..user.recipient() },
            account: Some(user.id),
        })
        .collect();
    let is_minor = !others.is_empty() && Calendar::of_clinic(tx, env)?.is_minor(patient, now);
    if others.is_empty() || (own.recipient.email.is_some() && !is_minor) {
        return Ok(vec![own]);
    }
    Ok(others)
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
    Told { recipient, account: account.map(|user| user.id) }
}

/// Whether the account's holder is known to read its mailbox.
fn has_mailbox(user: &User) -> bool {
    user.email_verified_at.is_some() && user.disabled_at.is_none()
}
