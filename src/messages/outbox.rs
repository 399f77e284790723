//! Writing a message in the transaction that causes it.

use diesel::prelude::*;

use diesel::sql_types::Text;
use jiff::SignedDuration;

use super::model::{Envelope, Mail, MessageKind, SecurityEvent};
use crate::clock::Timestamp;
use crate::db::schema::messages;
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::MessageId;
use crate::sealed::{Place, Sealed};

/// The time over which mails to one mailbox are counted.
pub(super) const WINDOW: SignedDuration = SignedDuration::from_hours(1);
/// How many security notices a mailbox gets in [`WINDOW`] before a repeated one is left out.
const NOTICES: usize = 10;

/// Writes a message that is due now. It goes out, or onto the desk's list of calls, if, and only if, the transaction is
/// kept.
///
/// # Errors
/// The database's.
pub fn enqueue(tx: &mut Conn, env: &Env, envelope: &Envelope) -> Result<MessageId> {
    let id: MessageId = env.new_id();
    let now = env.now();
    let recipient = &envelope.recipient;
    let payload = env.sealer.seal(place(id), &envelope.mail)?;
    per_backend!(tx, tx => diesel::insert_into(messages::table)
        .values((
            messages::id.eq(id),
            messages::kind.eq(envelope.mail.kind()),
            messages::status.eq(recipient.status()),
            (
                messages::recipient_name.eq(&recipient.name),
                messages::email.eq(&recipient.email),
                messages::email_key.eq(recipient.email.as_deref().map(mailbox)),
                messages::phone.eq(&recipient.phone),
                messages::language.eq(&recipient.language),
            ),
            messages::patient_id.eq(envelope.patient_id),
            messages::appointment_id.eq(envelope.appointment_id),
            messages::payload.eq(&payload),
            messages::attempts.eq(0),
            messages::resends.eq(0),
            messages::due_at.eq(now),
            messages::created_at.eq(now),
        ))
        .execute(tx))?;
    // This rings before the commit. A worker that looks too early all the same looks again within a second.
    env.mail_written.notify_one();
    Ok(id)
}

/// Returns whether the address may get another mail of a kind that a stranger can ask for. Each kind has a budget of its
/// own, so that no request uses up another's: a password reset always finds one. Ask before making a new link, which would void
/// the last one; answer the caller alike in both cases.
///
/// Requests for one address wait for each other until their transactions end.
///
/// # Errors
/// The database's.
pub fn has_room(conn: &mut Conn, env: &Env, address: &str, kind: MessageKind) -> Result<bool> {
    let has_room = room_from(conn, env, address, kind)?.is_none();
    if !has_room {
        tracing::warn!(%kind, "a mailbox has had its mails of this kind for this hour; the request writes none");
    }
    Ok(has_room)
}

/// Like [`has_room`], for a caller from the staff, who is told.
///
/// # Errors
/// [`Error::TooMany`] with the code `mailbox_full`.
pub fn require_room(conn: &mut Conn, env: &Env, address: &str, kind: MessageKind) -> Result<()> {
    let Some(from) = room_from(conn, env, address, kind)? else { return Ok(()) };
    Err(Error::TooMany {
        code: "mailbox_full",
        retry_after: u32::try_from(from.since(env.now()).as_secs()).unwrap_or(0).max(1),
        detail: "This address has had its mails of this kind for this hour; links in earlier ones keep working. Retry after the \
                 number of seconds in Retry-After."
            .into(),
    })
}

/// The time from which the mailbox may get this kind of mail again; none if it may now.
fn room_from(conn: &mut Conn, env: &Env, address: &str, kind: MessageKind) -> Result<Option<Timestamp>> {
    let mailbox = mailbox(address);
    if let Conn::Postgres(conn) = conn {
        // On SQLite all writes follow each other anyway.
        let wait = diesel::sql_query("SELECT pg_advisory_xact_lock(hashtextextended('mailbox:' || $1, 0))");
        wait.bind::<Text, _>(&mailbox).execute(conn)?;
    }
    let most = i64::from(env.config.settings.max_mails_per_hour);
    let oldest_that_counts: Option<Timestamp> = messages::table
        .filter(messages::email_key.eq(mailbox))
        .filter(messages::created_at.gt(env.now().minus(WINDOW)))
        .filter(messages::kind.eq(kind))
        .order(messages::created_at.desc())
        .offset(most - 1)
        .select(messages::created_at)
        .first(conn)
        .optional()?;
    Ok(oldest_that_counts.map(|at| at.plus(WINDOW)))
}

/// Returns whether the address was told of this event within the hour, and of so many others that telling it again would only
/// fill the mailbox. The first notice of each event always goes out.
///
/// # Errors
/// The database's.
pub fn is_repeated_notice(conn: &mut Conn, env: &Env, address: &str, event: SecurityEvent) -> Result<bool> {
    let recent: Vec<(MessageId, Sealed<Mail>)> = messages::table
        .filter(messages::email_key.eq(mailbox(address)))
        .filter(messages::created_at.gt(env.now().minus(WINDOW)))
        .filter(messages::kind.eq(MessageKind::SecurityNotice))
        .select((messages::id, messages::payload))
        .load(conn)?;
    if recent.len() < NOTICES {
        return Ok(false);
    }
    // One that cannot be opened counts as another event: rather twice than never.
    Ok(recent
        .iter()
        .any(|(id, payload)| open(env, *id, payload).is_ok_and(|mail| mail.security_event() == Some(event))))
}

/// What mails to an address are counted by.
pub(super) fn mailbox(address: &str) -> String {
    address.to_lowercase()
}

/// Opens a stored payload.
///
/// # Errors
/// A fault, if the key is missing or the value was tampered with.
pub(super) fn open(env: &Env, id: MessageId, payload: &Sealed<Mail>) -> Result<Mail> {
    env.sealer.open(place(id), payload)
}

fn place(id: MessageId) -> Place {
    Place::new("messages", "payload", id.0)
}
