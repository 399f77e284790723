//! Access that waits for a second member of the staff, and its confirmation.

use jiff::SignedDuration;

use super::adulthood::Calendar;
use super::store::{lock, replace};
use super::{Access, givers, guarding};
use crate::clock::Timestamp;
use crate::context::{Principal, Tx};
use crate::error::{Error, ProblemCode, Result};
use crate::ids::{PatientId, UserId};
use crate::messages::second_person::is_same;
use crate::patients::care;
use crate::patients::model::{Patient, Relation};

/// How long after its creation a record is new: there was nothing in it to read, and the patient stands at the desk.
const NEW_FOR: SignedDuration = SignedDuration::from_hours(24);

/// The person who gives access, and the address of the account that gets it.
#[derive(Clone, Copy)]
pub struct Giver<'a> {
    /// The account of the member of the staff, or of the patient.
    pub account: UserId,
    /// Whether this is the adult patient.
    pub is_patient: bool,
    /// The normalised address of the account.
    pub email_key: &'a str,
    /// When they decided it: now, or when they sent the invitation.
    pub decided_at: Timestamp,
}

/// Returns whether access that a member of the staff gives waits for a second one. Access of another person to the record of an adult
/// does. So does `self`, except at the record's address while the record is new: staff typed that address, and a link that its reader has
/// used proves only that the mailbox is read. All access to a guarded record waits, because the giver may have changed what tells the
/// patient of it. So does access that a practitioner gives who does not treat the patient, because the account then reads for good what
/// they may read for hours. An adult patient decides alone who acts for them.
pub(super) fn is_needed(
    tx: &mut Tx<impl Principal>,
    calendar: &Calendar,
    patient: &Patient,
    relation: Relation,
    giver: Giver,
) -> Result<bool> {
    let is_expected = match relation {
        _ if giver.is_patient => true,
        Relation::Oneself => {
            let is_records_address = patient.email_confirmed && patient.email_key.as_deref() == Some(giver.email_key);
            is_records_address && giver.decided_at < patient.created_at.plus(NEW_FOR)
        }
        _ => calendar.is_minor(patient, tx.now),
    };
    if !is_expected || guarding::is_guarded(tx, patient.id)? {
        return Ok(true);
    }
    match givers::practitioner_of(tx.conn, giver.account)? {
        Some(practitioner) => Ok(!care::was_chosen(tx.conn, tx.env, practitioner, patient.id)?),
        None => Ok(false),
    }
}

/// Confirms access that waits for a second member of the staff.
///
/// # Errors
/// [`Error::NotFound`]; forbidden, `second_person_required`; the conflict `not_pending`.
pub fn confirm(tx: &mut Tx, user: UserId, patient: PatientId) -> Result<Access> {
    let was = lock(tx.conn, (user, patient))?.ok_or(Error::NotFound)?;
    if !was.is_pending(tx.now) {
        return Err(Error::conflict(ProblemCode::NotPending, "This access does not wait for a confirmation."));
    }
    require_other_person(tx, &was)?;
    let access = Access {
        pending: false,
        confirmed_at: Some(tx.now),
        confirmed_by: Some(tx.actor.user_id),
        // Two members of the staff have given it for an adult.
        for_minor: was.ends_on.is_some(),
        ..was
    };
    replace(tx.conn, &access)?;
    givers::note(tx.conn, user, patient, tx.actor.user_id)?;
    Ok(access)
}

/// Requires that the actor is another person than the one who gave the access, and than those whose changes guard the record.
fn require_other_person(tx: &mut Tx, access: &Access) -> Result<()> {
    let refusal = |detail| Err(Error::forbidden(ProblemCode::SecondPersonRequired, detail));
    if is_same(tx.conn, access.user_id, tx.actor.user_id)? {
        return refusal(
            "This account and yours are of one person. Another member of the staff must confirm the access.",
        );
    }
    if let Some(giver) = access.granted_by
        && is_same(tx.conn, giver, tx.actor.user_id)?
    {
        return refusal("You gave this access. Another member of the staff must confirm it.");
    }
    if guarding::is_caused_by(tx, tx.actor.user_id, access)? {
        return refusal(
            "You changed the record's address, telephone number, birth date or own account. Another member of the staff must \
            confirm this access.",
        );
    }
    Ok(())
}
