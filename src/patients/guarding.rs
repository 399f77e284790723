//! Records that are guarded: for a time, every access that the staff give to them needs a second member of the staff.
//!
//! Who is told of a given access, and whether the patient decides alone, follows from the record's address, its birth date and the
//! patient's own account. A member of the staff who changes one of these could then give access to an account of their own,
//! unnoticed. So a change guards the record, and those whom it concerns are told at once.

use diesel::prelude::*;
use jiff::SignedDuration;

use super::access::Access;
use super::model::{Patient, Relation, email_key};
use super::recipients::{self, Told};
use crate::accounts::model::User;
use crate::db::Conn;
use crate::db::schema::patients;
use crate::env::Env;
use crate::error::Result;
use crate::ids::PatientId;
use crate::messages::model::{Envelope, Mail, Recipient, RecordChange, RecordMail};
use crate::messages::outbox;

/// How long a record is guarded. Those who were told of the change have read their mail and called by then, also after a holiday.
const LASTS: SignedDuration = SignedDuration::from_hours(24 * 30);

/// Whether the record is guarded now.
///
/// # Errors
/// The database's.
pub fn is_guarded(tx: &mut Conn, env: &Env, patient: PatientId) -> Result<bool> {
    let guarded = patients::table.find(patient).filter(patients::guarded_until.gt(env.now()));
    Ok(guarded.select(patients::id).first::<PatientId>(tx).optional()?.is_some())
}

/// Guards the record from now on. It is no change of the record: the version stays.
///
/// # Errors
/// The database's.
pub fn begin(tx: &mut Conn, env: &Env, patient: PatientId) -> Result<()> {
    let until = env.now().plus(LASTS);
    diesel::update(patients::table.find(patient)).set(patients::guarded_until.eq(Some(until))).execute(tx)?;
    Ok(())
}

/// Guards the record where the staff changed its address or its birth date, and tells of another address: at the one before, and
/// all accounts that act for the patient.
///
/// # Errors
/// The database's.
pub fn record_changed(tx: &mut Conn, env: &Env, was: &Patient, patient: &Patient) -> Result<()> {
    // An address that an account noted gets mails only once the staff confirm it, so that is a change as well.
    let other_address = (&was.email_key, was.email_confirmed) != (&patient.email_key, patient.email_confirmed);
    if other_address || was.date_of_birth != patient.date_of_birth {
        begin(tx, env, patient.id)?;
    }
    if was.email_key == patient.email_key {
        return Ok(());
    }
    let mut told: Vec<Told> = Vec::new();
    if let Some(email) = was.email.clone().filter(|_| was.email_confirmed) {
        let (name, language) = (Some(was.display_name()), was.preferred_language.clone());
        let recipient = Recipient { name, email: Some(email), phone: was.phone.clone(), language };
        told.push(Told { recipient, account: None, is_patient: true });
    }
    for account in recipients::reached(tx, env, patient)? {
        let is_told = told
            .iter()
            .any(|told| told.recipient.email.as_deref().map(email_key).as_ref() == Some(&account.1.email_key));
        if !is_told {
            told.push(recipients::of_account(patient, &account));
        }
    }
    told.into_iter().try_for_each(|told| tell(tx, env, patient, told, RecordChange::AddressChanged))
}

/// Tells the owner of an account that the staff took its access away, and guards the record that was their own.
///
/// # Errors
/// The database's.
pub fn access_taken(tx: &mut Conn, env: &Env, was: &Access, holder: &User) -> Result<()> {
    if !was.stands(env.now()) {
        return Ok(());
    }
    if was.relation == Relation::Oneself {
        begin(tx, env, was.patient_id)?;
    }
    if !recipients::has_mailbox(holder) {
        return Ok(());
    }
    let patient: Patient = patients::table.find(was.patient_id).select(Patient::as_select()).first(tx)?;
    let told = recipients::of_account(&patient, &(was.clone(), holder.clone()));
    tell(tx, env, &patient, told, RecordChange::AccessEnded)
}

fn tell(tx: &mut Conn, env: &Env, patient: &Patient, told: Told, change: RecordChange) -> Result<()> {
    let patient_name = (!told.is_patient).then(|| patient.first_name().to_owned());
    let mail = Mail::RecordNotice(RecordMail { patient: patient_name, change });
    let envelope = Envelope { recipient: told.recipient, patient_id: Some(patient.id), appointment_id: None, mail };
    outbox::enqueue(tx, env, &envelope)?;
    Ok(())
}
