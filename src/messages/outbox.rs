//! Creating a message in the transaction that causes it.

use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use jiff::SignedDuration;
use unicode_normalization::UnicodeNormalization;

use super::model::{Envelope, Mail, Message, MessageKind, MessageStatus, SecurityEvent};
use crate::clock::Timestamp;
use crate::db::raw_sql::RawSql;
use crate::db::schema::messages;
use crate::db::update::update;
use crate::db::{Conn, advisory_lock, per_backend};
use crate::env::Env;
use crate::error::{Error, ProblemCode, Result};
use crate::ids::{AppointmentId, MessageId, PatientId};
use crate::sealed::{Place, Sealed};

/// The period over which mails to one mailbox are counted.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(1);
/// How many times the hourly limit a mailbox gets if each further mail is the first one of its site.
const SITES: i64 = 4;
/// How many security notices a mailbox gets in [`WINDOW`] before repeated ones are dropped.
const MAX_SECURITY_NOTICES: usize = 10;

/// For how many milliseconds a mail that strangers can cause waits at most, at random. Otherwise a stranger could ask for links to an address
/// and to their own at once, and see by the time of their own mail whether it had to wait for others: whether the address has an account.
pub const SPREAD: u32 = 3_000;

/// Creates a message that is due now, or within [`SPREAD`]. It is sent, or listed as a call, only if the transaction is committed.
pub fn enqueue(tx: &mut Conn, env: &Env, envelope: &Envelope) -> Result<MessageId> {
    let id: MessageId = env.new_id();
    let now = env.now();
    let wait = if envelope.mail.kind().proves_the_mailbox() { env.entropy.below(env.mail_spread + 1) } else { 0 };
    let due = now.plus(SignedDuration::from_millis(wait.into()));
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
            messages::rejected_attempts.eq(0),
            messages::resends.eq(0),
            messages::due_at.eq(due),
            messages::created_at.eq(now),
            messages::updated_at.eq(now),
        ))
        .execute(tx))?;
    // This wakes the worker before the commit. A worker that is too early looks again within a second.
    env.mail_written.notify_one();
    Ok(id)
}

/// Replaces the content of a message.
pub(super) fn rewrite(tx: &mut Conn, env: &Env, message: Message, mail: &Mail, now: Timestamp) -> Result<Message> {
    let rewritten = Message { kind: mail.kind(), payload: env.sealer.seal(place(message.id), mail)?, ..message };
    diesel::update(messages::table.find(rewritten.id))
        .set((
            messages::kind.eq(rewritten.kind),
            messages::payload.eq(&rewritten.payload),
            messages::updated_at.eq(now),
        ))
        .execute(tx)?;
    Ok(rewritten)
}

/// Returns whether the address may get another mail of a kind that strangers can request. Each kind has its own limit, so that
/// requests of one kind cannot block a password reset. Call it before creating a new link, which would revoke the last one. Give the
/// caller the same response in both cases.
///
/// Requests for one address wait for each other until their transactions end.
pub fn has_room(conn: &mut Conn, env: &Env, address: &str, kind: MessageKind) -> Result<bool> {
    has_room_for(conn, env, address, kind, most(env))
}

/// Like [`has_room`], for a caller whose site or account has caused no such mail to the address within [`WINDOW`]. It has a higher limit,
/// so that other callers cannot use it up. A mailbox has any number of addresses with a tag; these have the usual limit.
pub fn has_room_for_first(conn: &mut Conn, env: &Env, address: &str, kind: MessageKind) -> Result<bool> {
    let has_tag = address.nfkc().any(|c| c == '+');
    let sites = if has_tag { 1 } else { SITES };
    has_room_for(conn, env, address, kind, most(env) * sites)
}

fn has_room_for(conn: &mut Conn, env: &Env, address: &str, kind: MessageKind, most: i64) -> Result<bool> {
    let has_room = room_from(conn, env, address, kind, most)?.is_none();
    if !has_room {
        tracing::warn!(%kind, "the hourly limit of mails of this kind to one address is reached; no mail was created");
    }
    Ok(has_room)
}

fn most(env: &Env) -> i64 {
    i64::from(env.config.settings.max_mails_per_hour)
}

/// Like [`has_room`], for callers who get an error. Staff have twice the limit, so that patients cannot use theirs up.
///
/// # Errors
/// [`Error::TooMany`] with the code `mailbox_full`.
pub fn require_room(conn: &mut Conn, env: &Env, address: &str, kind: MessageKind, by_staff: bool) -> Result<()> {
    let most = if by_staff { 2 * most(env) } else { most(env) };
    let Some(from) = room_from(conn, env, address, kind, most)? else { return Ok(()) };
    Err(Error::TooMany {
        code: ProblemCode::MailboxFull,
        retry_after: u32::try_from(from.since(env.now()).as_secs()).unwrap_or(0).max(1),
        detail: "The hourly limit of mails of this kind to this address is reached. Links in earlier mails keep working. Retry after \
                 the number of seconds in Retry-After."
            .into(),
    })
}

/// Returns the time from which the mailbox may get this kind of mail again, or none if it may now.
fn room_from(conn: &mut Conn, env: &Env, address: &str, kind: MessageKind, most: i64) -> Result<Option<Timestamp>> {
    let mailbox = mailbox(address);
    if let Conn::Postgres(conn) = conn {
        advisory_lock::wait(conn, &format!("mailbox:{mailbox}"), 0)?;
    }
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

/// Returns whether a security notice of this event is to be dropped: the address got one within the hour, and at least [`MAX_SECURITY_NOTICES`] notices in
/// all. The first notice of each event is always sent.
pub fn is_repeated_security_notice(conn: &mut Conn, env: &Env, address: &str, event: SecurityEvent) -> Result<bool> {
    let recent: Vec<(MessageId, Sealed<Mail>)> = messages::table
        .filter(messages::email_key.eq(mailbox(address)))
        .filter(messages::created_at.gt(env.now().minus(WINDOW)))
        .filter(messages::kind.eq(MessageKind::SecurityNotice))
        .select((messages::id, messages::payload))
        .load(conn)?;
    if recent.len() < MAX_SECURITY_NOTICES {
        return Ok(false);
    }
    // A notice that cannot be decrypted counts as another event, because a second notice is better than none.
    Ok(recent
        .iter()
        .any(|(id, payload)| open(env, *id, payload).is_ok_and(|mail| mail.security_event() == Some(event))))
}

/// Reads a message.
///
/// # Errors
/// [`Error::NotFound`].
pub(super) fn find(conn: &mut Conn, id: MessageId) -> Result<Message> {
    Ok(messages::table.find(id).select(Message::as_select()).first(conn)?)
}

/// The change that completes a message without staff.
#[diesel::dsl::auto_type(no_type_alias)]
fn done(now: Timestamp) -> _ {
    let status: MessageStatus = MessageStatus::Done;
    let at: Option<Timestamp> = Some(now);
    (messages::status.eq(status), messages::done_at.eq(at), messages::updated_at.eq(now))
}

/// Completes the open calls and the failed mails about an appointment, because a newer message replaces them.
pub fn supersede(tx: &mut Conn, appointment: AppointmentId, now: Timestamp) -> Result<()> {
    per_backend!(tx, tx => {
        let open = RawSql::<Bool>::new("messages.status IN ('to_phone', 'failed')");
        update(messages::table, open.and(messages::appointment_id.eq(appointment)), done(now)).execute(tx)
    })?;
    Ok(())
}

/// Completes the open calls about an appointment, because the patient came, or was expected and did not come.
pub fn end_calls(tx: &mut Conn, appointment: AppointmentId, now: Timestamp) -> Result<()> {
    let open = messages::table
        .filter(messages::appointment_id.eq(appointment))
        .filter(messages::status.eq(MessageStatus::ToPhone));
    diesel::update(open).set(done(now)).execute(tx)?;
    Ok(())
}

/// Opens the calls again that [`end_calls`] completed at one of these instants, by mistake.
pub fn resume_calls(tx: &mut Conn, appointment: AppointmentId, ended_at: &[Timestamp], now: Timestamp) -> Result<()> {
    let ended = messages::table
        .filter(messages::appointment_id.eq(appointment))
        .filter(messages::status.eq(MessageStatus::Done))
        .filter(messages::done_at.eq_any(ended_at.iter().copied().map(Some)))
        .filter(messages::done_by.is_null());
    let open = (
        messages::status.eq(MessageStatus::ToPhone),
        messages::done_at.eq(None::<Timestamp>),
        messages::updated_at.eq(now),
    );
    diesel::update(ended).set(open).execute(tx)?;
    Ok(())
}

/// Completes the open calls and the failed mails to a mailbox about an appointment, because the desk says only the newest state.
pub fn supersede_to(tx: &mut Conn, appointment: AppointmentId, mailbox: &str, now: Timestamp) -> Result<()> {
    let open = messages::table
        .filter(messages::appointment_id.eq(appointment))
        .filter(messages::email_key.eq(mailbox))
        .filter(messages::status.eq_any([MessageStatus::ToPhone, MessageStatus::Failed]));
    diesel::update(open).set(done(now)).execute(tx)?;
    Ok(())
}

/// Completes the open calls and the failed mails of a kind about an appointment, because they are not needed any more.
pub fn settle_about(tx: &mut Conn, appointment: AppointmentId, kind: MessageKind, now: Timestamp) -> Result<()> {
    let open = messages::table
        .filter(messages::appointment_id.eq(appointment))
        .filter(messages::kind.eq(kind))
        .filter(messages::status.eq_any([MessageStatus::ToPhone, MessageStatus::Failed]));
    diesel::update(open).set(done(now)).execute(tx)?;
    Ok(())
}

/// Returns whether the desk still has to call about an appointment.
pub fn has_open_call(conn: &mut Conn, appointment: AppointmentId) -> Result<bool> {
    let open = messages::table
        .filter(messages::appointment_id.eq(appointment))
        .filter(messages::status.eq(MessageStatus::ToPhone));
    Ok(diesel::select(exists(open)).get_result(conn)?)
}

/// Returns whether a message of a kind about a patient, created since then, was mailed, or told by staff.
pub fn was_told(conn: &mut Conn, patient: PatientId, kind: MessageKind, since: Timestamp) -> Result<bool> {
    let told = messages::table
        .filter(messages::patient_id.eq(patient))
        .filter(messages::kind.eq(kind))
        .filter(messages::created_at.ge(since))
        .filter(messages::sent_at.is_not_null().or(messages::done_by.is_not_null()));
    Ok(diesel::select(exists(told)).get_result(conn)?)
}

/// Returns when the newest message about an appointment was created.
pub fn newest_about(conn: &mut Conn, appointment: AppointmentId) -> Result<Option<Timestamp>> {
    let about = messages::table.filter(messages::appointment_id.eq(appointment));
    Ok(about.order(messages::created_at.desc()).select(messages::created_at).first(conn).optional()?)
}

/// Completes the open calls, and the mails that are not sent yet, of a kind about a patient, because they are not needed any more.
pub fn settle(tx: &mut Conn, patient: PatientId, kind: MessageKind, now: Timestamp) -> Result<()> {
    let open = messages::table
        .filter(messages::patient_id.eq(patient))
        .filter(messages::kind.eq(kind))
        .filter(messages::status.eq_any([MessageStatus::Pending, MessageStatus::ToPhone, MessageStatus::Failed]));
    diesel::update(open).set(done(now)).execute(tx)?;
    Ok(())
}

/// How long the mails of several moves wait for each other, so that a patient gets one about all of them.
const TOGETHER: SignedDuration = SignedDuration::from_secs(3);

/// Lets the mails about an appointment that this transaction created wait for those of the same request.
pub fn await_others(tx: &mut Conn, appointment: AppointmentId, now: Timestamp) -> Result<()> {
    let new = messages::table
        .filter(messages::appointment_id.eq(appointment))
        .filter(messages::status.eq(MessageStatus::Pending))
        .filter(messages::created_at.ge(now));
    diesel::update(new).set((messages::due_at.eq(now.plus(TOGETHER)), messages::updated_at.eq(now))).execute(tx)?;
    Ok(())
}

/// Returns whether a mail of a kind about a patient, created since then, may have reached an address.
pub fn may_have_arrived(
    conn: &mut Conn,
    patient: PatientId,
    kind: MessageKind,
    email: &str,
    since: Timestamp,
) -> Result<bool> {
    let mails = messages::table
        .filter(messages::patient_id.eq(patient))
        .filter(messages::created_at.ge(since))
        .filter(messages::kind.eq(kind))
        .filter(messages::email.eq(email));
    let mails: Vec<Message> = mails.select(Message::as_select()).load(conn)?;
    Ok(mails.iter().any(|mail| !mail.is_unsent()))
}

/// The domains of Gmail, which ignores dots before the `@`. Both have the same mailboxes.
const GMAIL: [&str; 2] = ["gmail.com", "googlemail.com"];

/// The key by which mails to an address are counted. Most providers deliver `ann+tag@…` to `ann@…`, and letters in other Unicode forms
/// to the same mailbox.
pub fn mailbox(address: &str) -> String {
    let address: String = address.nfkc().collect::<String>().to_lowercase();
    match address.rsplit_once('@') {
        Some((local, domain)) => {
            let base = local.split_once('+').map_or(local, |(base, _)| base);
            if GMAIL.contains(&domain) {
                format!("{}@{}", base.replace('.', ""), GMAIL[0])
            } else {
                format!("{base}@{domain}")
            }
        }
        None => address,
    }
}

/// Decrypts a stored payload.
///
/// # Errors
/// A fault if the key is missing or the value was changed.
pub(super) fn open(env: &Env, id: MessageId, payload: &Sealed<Mail>) -> Result<Mail> {
    env.sealer.open(place(id), payload)
}

fn place(id: MessageId) -> Place {
    Place::new("messages", "payload", id.0)
}

#[cfg(test)]
mod tests {
    use super::mailbox;

    #[test]
    fn row_03_spellings_of_one_mailbox_share_its_limits() {
        for spelling in ["ann@example.org", "Ann+a@example.org", "ann+a+b@example.org", "a\u{ff4e}n@example.org"] {
            assert_eq!(mailbox(spelling), "ann@example.org", "{spelling}");
        }
        assert_eq!(mailbox("zoe\u{308}@example.org"), mailbox("ZO\u{cb}@example.org"));
        for spelling in ["a.n.n@gmail.com", "An.N+tag@GoogleMail.com", "ann.@gmail.com"] {
            assert_eq!(mailbox(spelling), "ann@gmail.com", "{spelling}");
        }
        // Other providers keep dots apart.
        assert_ne!(mailbox("ann.b@example.org"), mailbox("annb@example.org"));
        assert_eq!(mailbox("+a@example.org"), "@example.org");
    }
}
