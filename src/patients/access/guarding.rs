//! Guarded records. While a record is guarded, all access that staff give to it needs a second member of the staff.
//!
//! The record's address, its telephone number, its birth date and the patient's own account decide who is notified of new access, and
//! whether the patient decides alone. A member of the staff who changes one of them could then give access to their own account unnoticed,
//! and a carer could keep others from learning of it. So such a change by others than the patient guards the record, and the persons whose
//! address or account it was are notified at once. A stopped access guards the record as well.

use diesel::prelude::*;
use jiff::SignedDuration;

use super::Access;
use crate::accounts::model::User;
use crate::context::{Principal, Tx};
use crate::db::schema::{patients, record_guards};
use crate::error::Result;
use crate::ids::{PatientId, RecordGuardId, UserId};
use crate::messages::model::{Envelope, Mail, Recipient, RecordChange, RecordMail};
use crate::messages::outbox;
use crate::messages::second_person;
use crate::patients::model::{Patient, Relation, email_key};
use crate::patients::recipients::{self, PatientRecipient};

/// How long a record is guarded: long enough to read the mail and call the clinic, even after a holiday.
pub(super) const GUARDED_FOR: SignedDuration = SignedDuration::from_hours(24 * 30);

/// Returns whether the record is guarded now.
pub fn is_guarded(tx: &mut Tx<impl Principal>, patient: PatientId) -> Result<bool> {
    let guards =
        record_guards::table.filter(record_guards::patient_id.eq(patient)).filter(record_guards::until.gt(tx.now));
    Ok(guards.select(record_guards::id).first::<RecordGuardId>(tx.conn).optional()?.is_some())
}

/// Guards the record from now on. The version of the record stays.
pub fn begin(tx: &mut Tx<impl Principal>, patient: PatientId) -> Result<()> {
    diesel::insert_into(record_guards::table)
        .values((
            record_guards::id.eq(tx.env.new_id::<RecordGuardId>()),
            record_guards::patient_id.eq(patient),
            record_guards::user_id.eq(tx.actor.account()),
            record_guards::until.eq(tx.now.plus(GUARDED_FOR)),
        ))
        .execute(tx.conn)?;
    Ok(())
}

/// Returns whether this member of the staff caused a guard that lasted when the access was given, or began later. They may not be the second
/// person for it: their change may be what makes it look right.
pub fn is_caused_by(tx: &mut Tx, staff: UserId, access: &Access) -> Result<bool> {
    let causes: Vec<UserId> = record_guards::table
        .filter(record_guards::patient_id.eq(access.patient_id))
        .filter(record_guards::until.gt(access.created_at))
        .filter(record_guards::user_id.is_not_null())
        .select(record_guards::user_id.assume_not_null())
        .distinct()
        .load(tx.conn)?;
    for cause in causes {
        if second_person::is_same(tx.conn, cause, staff)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Guards the record if staff or a carer changed its address, its telephone number or its birth date. Sends a notice of another address or
/// birth date to the old address, and to all accounts that act for the patient.
pub fn record_changed(tx: &mut Tx<impl Principal>, was: &Patient, patient: &Patient) -> Result<()> {
    // A confirmation is a change as well, because an unconfirmed address gets no mails.
    let other_address = (&was.email_key, was.email_confirmed) != (&patient.email_key, patient.email_confirmed);
    // The notice of an access may be a call. A first number beside a confirmed address changes nothing about it.
    let had_contact = was.phone.is_some() || !(was.email.is_some() && was.email_confirmed);
    let other_number = was.phone != patient.phone && had_contact;
    if other_address || other_number || was.date_of_birth != patient.date_of_birth {
        begin(tx, patient.id)?;
    }
    let change = if was.email_key != patient.email_key {
        RecordChange::AddressChanged
    } else if was.date_of_birth != patient.date_of_birth {
        RecordChange::BirthDateChanged
    } else {
        return Ok(());
    };
    let mut told: Vec<PatientRecipient> = own_address(was).into_iter().collect();
    for account in recipients::reached(tx.conn, tx.now, patient)? {
        let is_told = told
            .iter()
            .any(|told| told.recipient.email.as_deref().map(email_key).as_ref() == Some(&account.1.email_key));
        if !is_told {
            told.push(recipients::of_account(patient, &account));
        }
    }
    told.into_iter().try_for_each(|told| notify(tx, patient, told, change))
}

/// Notifies the owner of the address in a record that the record was merged: messages about the patient's visits no longer reach it, unless
/// it is also the address of the record that remains, or of an account that acts for that one. The message belongs to the record that
/// remains, because that one has all of them.
pub fn record_merged(tx: &mut Tx<impl Principal>, survivor: &Patient, duplicate: &Patient) -> Result<()> {
    let Some(told) = own_address(duplicate) else { return Ok(()) };
    let accounts = recipients::reached(tx.conn, tx.now, survivor)?;
    let mut keys = accounts.iter().map(|(_, user)| Some(&user.email_key));
    let is_of_survivor = survivor.email_confirmed && survivor.email_key == duplicate.email_key;
    if is_of_survivor || keys.any(|key| key == duplicate.email_key.as_ref()) {
        return Ok(());
    }
    notify(tx, survivor, told, RecordChange::RecordMerged)
}

/// The owner of the confirmed address in a record.
fn own_address(patient: &Patient) -> Option<PatientRecipient> {
    let email = patient.email.clone().filter(|_| patient.email_confirmed)?;
    let (name, language) = (Some(patient.display_name()), patient.preferred_language.clone());
    let recipient = Recipient { name, email: Some(email), phone: patient.phone.clone(), language };
    Some(PatientRecipient { recipient, account: None, is_patient: true, has_account: false })
}

/// Notifies the owner of an account that staff took its access away, and all persons who were informed when staff gave it. Guards the record
/// if it was the owner's own.
pub fn access_revoked(tx: &mut Tx<impl Principal>, was: &Access, holder: &User) -> Result<()> {
    if !was.is_active(tx.now) && !was.is_pending(tx.now) {
        return Ok(());
    }
    let patient: Patient = patients::table.find(was.patient_id).select(Patient::as_select()).first(tx.conn)?;
    if was.granted_by.is_some() {
        for told in recipients::of_access(tx.conn, tx.env, &patient, holder, was.relation)? {
            notify(tx, &patient, told, RecordChange::OtherAccessEnded)?;
        }
    }
    if was.pending {
        return Ok(());
    }
    if was.relation == Relation::Oneself {
        begin(tx, was.patient_id)?;
    }
    notify_of_end(tx, &patient, was, holder)
}

/// Notifies the owner of an account that its access has ended.
pub fn notify_of_end(tx: &mut Tx<impl Principal>, patient: &Patient, was: &Access, holder: &User) -> Result<()> {
    if !recipients::has_mailbox(holder) {
        return Ok(());
    }
    let told = recipients::of_account(patient, &(was.clone(), holder.clone()));
    notify(tx, patient, told, RecordChange::AccessEnded)
}

fn notify(tx: &mut Tx<impl Principal>, patient: &Patient, told: PatientRecipient, change: RecordChange) -> Result<()> {
    let patient_name = (!told.is_patient).then(|| patient.first_name().to_owned());
    let mail = Mail::RecordNotice(RecordMail { patient: patient_name, change });
    let envelope = Envelope { recipient: told.recipient, patient_id: Some(patient.id), appointment_id: None, mail };
    outbox::enqueue(tx.conn, tx.env, &envelope)?;
    Ok(())
}
