//! Whether the address of a message about a patient may still read it.
//!
//! The tables belong to patients and accounts. Access expires, and addresses change, in many places: a mark on each message would have to be
//! kept by all of them.

use diesel::dsl::exists;
use diesel::prelude::*;

use super::model::Message;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{messages, patient_access, patients, users};
use crate::error::Result;
use crate::ids::PatientId;

/// Returns whether messages about the patient go to this address now: it is the confirmed one of the record, or that of an account that acts
/// for the patient.
pub(super) fn may_read(conn: &mut Conn, now: Timestamp, message: &Message, patient: PatientId) -> Result<bool> {
    let by_record = patients::table
        .filter(patients::id.eq(patient))
        .filter(patients::email_confirmed.eq(true))
        .filter(patients::email.eq(&message.recipient.email));
    let by_account = patient_access::table
        .inner_join(users::table.on(users::id.eq(patient_access::user_id)))
        .filter(patient_access::patient_id.eq(patient))
        .filter(patient_access::pending.eq(false))
        .filter(patient_access::stopped_at.is_null())
        .filter(patient_access::ends_at.is_null().or(patient_access::ends_at.gt(now)))
        .filter(users::email_verified_at.is_not_null())
        .filter(users::disabled_at.is_null())
        .filter(users::email.nullable().eq(&message.recipient.email));
    Ok(diesel::select(exists(by_record).or(exists(by_account))).get_result(conn)?)
}

/// Returns whether a message of the same kind about the visit, created at the same time, has a recipient who may read it.
pub(super) fn another_is_told(conn: &mut Conn, now: Timestamp, message: &Message, patient: PatientId) -> Result<bool> {
    let same: Vec<Message> = messages::table
        .filter(messages::appointment_id.eq(message.appointment_id))
        .filter(messages::kind.eq(message.kind))
        .filter(messages::created_at.eq(message.created_at))
        .filter(messages::id.ne(message.id))
        .select(Message::as_select())
        .load(conn)?;
    for other in same {
        if may_read(conn, now, &other, patient)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Prepares a message for a call to the current number in the record. Removes the name of a recipient other than the patient, who may no
/// longer know of the visit.
pub(super) fn call_the_patient(
    conn: &mut Conn,
    message: &Message,
    patient: PatientId,
    to_patient: bool,
    now: Timestamp,
) -> Result<()> {
    let phone: Option<String> = patients::table.find(patient).select(patients::phone).first(conn)?;
    let name = message.recipient.name.clone().filter(|_| to_patient);
    diesel::update(messages::table.find(message.id))
        .set((messages::phone.eq(phone), messages::recipient_name.eq(name), messages::updated_at.eq(now)))
        .execute(conn)?;
    Ok(())
}
