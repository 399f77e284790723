//! Addresses that the mail server refused for good. Mails to them are calls of the desk instead.
//!
//! An address is stored as a keyed digest. It is accepted again when the mail server accepts a mail to it, when staff enter or confirm it in
//! a patient's record, when staff send a message again that went to it, and when the refused message is deleted after
//! `RETAIN_MESSAGES_DAYS`. If the mail server refuses one address after the other, it refuses the clinic, and
//! these refusals do not count. After a change of the data keys, one more mail is tried.

use diesel::prelude::*;
use serde::Serialize;
use unicode_normalization::UnicodeNormalization;
use utoipa::ToSchema;

use super::model::{Message, MessageKind, MessageStatus};
use super::{outbox, templates};
use crate::clock::Timestamp;
use crate::db::schema::{messages, refused_mailboxes};
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::Result;

/// The error of a message that was not tried because the mail server had refused its address.
pub(super) const REFUSED: &str = "address_refused";

/// So many refusals without a mail that was accepted meanwhile are not the fault of the addresses: the mail server refuses the clinic.
const IN_A_ROW: i64 = 5;

/// A refusal of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({"code": 550, "at": "2026-03-02T14:00:00Z"}))]
pub struct MailRefusal {
    /// The mail server's code.
    #[schema(minimum = 500, maximum = 599)]
    pub code: u16,
    /// The time.
    pub at: Timestamp,
}

/// Returns the digest of an address. A tag is a part of it, because providers refuse tags alone.
fn digest(env: &Env, address: &str) -> Vec<u8> {
    let address = address.nfkc().collect::<String>().to_lowercase();
    env.sealer.fingerprint(&[b"refused mailbox", address.as_bytes()])
}

/// Stores that the mail server refused the address of a message.
pub(super) fn note(tx: &mut Conn, env: &Env, message: &Message, code: u16, now: Timestamp) -> Result<()> {
    let Some(address) = &message.recipient.email else { return Ok(()) };
    let refusal = (
        refused_mailboxes::message_id.eq(message.id),
        refused_mailboxes::code.eq(i32::from(code)),
        refused_mailboxes::refused_at.eq(now),
    );
    per_backend!(tx, tx => diesel::insert_into(refused_mailboxes::table)
        .values((refused_mailboxes::digest.eq(digest(env, address)), refusal))
        .on_conflict(refused_mailboxes::digest)
        .do_update()
        .set(refusal)
        .execute(tx))?;
    forgive_all(tx)
}

/// Deletes the refusals since the last mail that was accepted if they are too many to be the addresses' fault.
fn forgive_all(tx: &mut Conn) -> Result<()> {
    let sent = messages::table
        .filter(messages::status.eq(MessageStatus::Sent))
        .order((messages::updated_at.desc(), messages::id.desc()));
    let accepted: Option<Option<Timestamp>> = sent.select(messages::sent_at).first(tx).optional()?;
    let accepted = accepted.flatten().or_else(|| Timestamp::from_micros(0));
    let since = refused_mailboxes::table.filter(refused_mailboxes::refused_at.nullable().gt(accepted));
    if since.count().get_result::<i64>(tx)? >= IN_A_ROW {
        tracing::warn!("the mail server refuses one address after the other; mails to them are tried again");
        diesel::delete(since).execute(tx)?;
    }
    Ok(())
}

/// Lets mails go to an address again.
pub fn forget(tx: &mut Conn, env: &Env, address: &str) -> Result<()> {
    diesel::delete(refused_mailboxes::table.find(digest(env, address))).execute(tx)?;
    Ok(())
}

/// Returns the refusal of an address, if mails to it are calls.
pub fn find(conn: &mut Conn, env: &Env, address: &str) -> Result<Option<MailRefusal>> {
    let found: Option<(i32, Timestamp)> = refused_mailboxes::table
        .find(digest(env, address))
        .select((refused_mailboxes::code, refused_mailboxes::refused_at))
        .first(conn)
        .optional()?;
    Ok(found.map(|(code, at)| MailRefusal { code: u16::try_from(code).unwrap_or_default(), at }))
}

/// Returns whether a mail goes to any of these addresses.
pub fn accept_any<'a>(conn: &mut Conn, env: &Env, addresses: impl IntoIterator<Item = &'a str>) -> Result<bool> {
    for address in addresses {
        if find(conn, env, address)?.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns whether a message is not mailed because of an earlier refusal of its address.
///
/// Links that prove the mailbox are always tried: only their arrival shows that the owner corrected it, and a stranger who asks for one must
/// not learn of the refusal. So are alerts to the clinic, which nobody calls about.
pub(super) fn stops(conn: &mut Conn, env: &Env, message: &Message) -> Result<bool> {
    let is_always_tried = message.kind.proves_the_mailbox() || message.kind == MessageKind::StaffAlert;
    match &message.recipient.email {
        Some(address) if !is_always_tried => Ok(find(conn, env, address)?.is_some()),
        _ => Ok(false),
    }
}

/// Returns whether a message waits for a call although it has an address.
pub(super) fn is_call_instead(message: &Message) -> bool {
    message.status == MessageStatus::ToPhone && message.recipient.email.is_some()
}

/// Leaves a leased message to the desk, with `why` as its error: as a call if it is about a patient and has a text to say, otherwise as a
/// failed mail. The attempt does not count.
pub(super) fn leave_to_desk(tx: &mut Conn, env: &Env, message: &Message, why: &str, now: Timestamp) -> Result<()> {
    let mail = outbox::open(env, message.id, &message.payload).ok();
    let to_say = mail.and_then(|mail| templates::telephone_text(&env.config, &mail, &message.recipient).ok().flatten());
    let is_call = message.patient_id.is_some() && to_say.is_some();
    let status = if is_call { MessageStatus::ToPhone } else { MessageStatus::Failed };
    diesel::update(messages::table.find(message.id))
        .set((
            messages::status.eq(status),
            messages::attempts.eq(message.attempts - 1),
            messages::last_error.eq(why),
            messages::updated_at.eq(now),
        ))
        .execute(tx)?;
    Ok(())
}
