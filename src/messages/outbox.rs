//! Writing a message in the transaction that causes it.

use diesel::prelude::*;

use super::model::{Envelope, Mail, MessageKind};
use crate::db::schema::messages;
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::Result;
use crate::ids::MessageId;
use crate::sealed::{Place, Sealed};

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

/// Whether the address may have another of the mails that a stranger can ask for. It is asked before a new link is made, which
/// would void the one that the owner has; who asks is answered alike.
///
/// # Errors
/// The database's.
pub fn has_room(conn: &mut Conn, env: &Env, recipient: &str) -> Result<bool> {
    let recent = messages::table
        .filter(messages::email.eq(recipient))
        .filter(messages::created_at.gt(env.now().minus(jiff::SignedDuration::from_hours(1))))
        .filter(messages::kind.eq_any(MessageKind::ON_REQUEST.map(MessageKind::as_str)));
    let count: i64 = recent.count().get_result(conn)?;
    let has_room = count < i64::from(env.config.settings.max_mails_per_hour);
    if !has_room {
        tracing::warn!("an address has had its mails for this hour; what was asked for is not written");
    }
    Ok(has_room)
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
