//! The stored tokens of the links in appointment mails.

use diesel::prelude::*;

use crate::accounts::tokens;
use crate::clock::Timestamp;
use crate::context::{Principal, Tx, access_lock};
use crate::db::Conn;
use crate::db::schema::{appointment_links, appointments, patients, users};
use crate::db::types::text_enum;
use crate::error::{Error, Result};
use crate::ids::{AppointmentId, AppointmentLinkId, PatientId, UserId};
use crate::patients::access;
use crate::patients::records::model::email_key;

text_enum! {
    /// What a link in an appointment mail does.
    LinkPurpose {
        /// It shows, confirms, moves and cancels the visit until that is over.
        Visit = "visit",
        /// It switches the patient's reminders off, also after the visit: people tidy their mailbox late. Its token is in the query of a
        /// URL, because mail programs call it (RFC 8058), so it does nothing else.
        Reminders = "reminders",
    }
}

/// Creates a link for the mail to an account, or to the address in the record, and returns its token. Only hashes of the token are stored.
pub fn issue(
    tx: &mut Tx<impl Principal>,
    purpose: LinkPurpose,
    appointment: AppointmentId,
    account: Option<UserId>,
    email: &str,
) -> Result<String> {
    let token = tokens::opaque(&tx.env.entropy);
    diesel::insert_into(appointment_links::table)
        .values((
            appointment_links::id.eq(tx.env.new_id::<AppointmentLinkId>()),
            appointment_links::appointment_id.eq(appointment),
            appointment_links::user_id.eq(account),
            appointment_links::token_hash.eq(tokens::hash(&token)),
            appointment_links::address_hash.eq(address_hash(&token, email)),
            appointment_links::created_at.eq(tx.now),
            appointment_links::purpose.eq(purpose),
        ))
        .execute(tx.conn)?;
    Ok(token)
}

/// A hash that tells nothing about the address without the token.
fn address_hash(token: &str, email: &str) -> Vec<u8> {
    tokens::hash(format!("{token} {}", email_key(email)))
}

/// Finds the appointment and the patient of a link that works. A link ends with the access of its recipient, and when the recipient has
/// another address: the earlier one may have been another person's.
///
/// # Errors
/// [`Error::NotFound`], whatever the reason.
pub fn look_up(tx: &mut Tx<impl Principal>, purpose: LinkPurpose, token: &str) -> Result<(AppointmentId, PatientId)> {
    type Row = (AppointmentId, PatientId, Option<String>, Option<UserId>, Option<String>, Option<Vec<u8>>);
    // A link to the visit ends with it. The other one has no end of its own.
    let after = if purpose == LinkPurpose::Visit { tx.now } else { Timestamp::from_micros(0).unwrap_or(tx.now) };
    let (id, patient, of_record, account, of_account, mailed_to): Row = appointment_links::table
        .inner_join(appointments::table.on(appointments::id.eq(appointment_links::appointment_id)))
        .inner_join(patients::table.on(patients::id.eq(appointments::patient_id)))
        .left_join(users::table.on(users::id.nullable().eq(appointment_links::user_id)))
        .filter(appointment_links::token_hash.eq(tokens::hash(token)))
        .filter(appointment_links::purpose.eq(purpose))
        .filter(appointment_links::revoked_at.is_null())
        .filter(appointments::ends_at.gt(after))
        .select((
            appointments::id,
            patients::id,
            patients::email,
            appointment_links::user_id,
            users::email.nullable(),
            appointment_links::address_hash,
        ))
        .first(tx.conn)?;
    let address = if account.is_some() { of_account } else { of_record };
    if mailed_to.is_some_and(|hash| address.is_none_or(|address| address_hash(token, &address) != hash)) {
        return Err(Error::NotFound);
    }
    match account {
        Some(account) if !access::account_may_act_for(tx.conn, tx.now, account, patient)? => Err(Error::NotFound),
        _ => Ok((id, patient)),
    }
}

/// Like [`look_up`], for a change: if the link was mailed to an account, the account's access does not end until the change is done.
///
/// # Errors
/// Those of [`look_up`].
pub fn look_up_for_change(
    tx: &mut Tx<impl Principal>,
    purpose: LinkPurpose,
    token: &str,
) -> Result<(AppointmentId, PatientId)> {
    let link = appointment_links::table.filter(appointment_links::token_hash.eq(tokens::hash(token)));
    let account: Option<UserId> = link.select(appointment_links::user_id).first(tx.conn)?;
    access_lock::share_for_link(tx.conn, account)?;
    look_up(tx, purpose, token)
}

/// Returns whether staff revoked links of an appointment.
pub fn were_revoked(conn: &mut Conn, appointment: AppointmentId) -> Result<bool> {
    let revoked = appointment_links::table
        .filter(appointment_links::appointment_id.eq(appointment))
        .filter(appointment_links::revoked_at.is_not_null());
    Ok(diesel::select(diesel::dsl::exists(revoked)).get_result(conn)?)
}

/// Revokes all links of an appointment that work.
pub fn revoke_all(tx: &mut Tx, appointment: AppointmentId) -> Result<()> {
    let open = appointment_links::table
        .filter(appointment_links::appointment_id.eq(appointment))
        .filter(appointment_links::revoked_at.is_null());
    diesel::update(open)
        .set((appointment_links::revoked_at.eq(Some(tx.now)), appointment_links::revoked_by.eq(Some(tx.actor.user_id))))
        .execute(tx.conn)?;
    Ok(())
}
