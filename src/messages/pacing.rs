//! Decides which leased messages are sent now, dropped or postponed. A worker decides when it leases a message, so that
//! no request waits for it.
//!
//! - **Outdated.** A message about an appointment that could not be sent at once is dropped if a newer one about the
//!   appointment was created for the mailbox. If the patient's side cancels a visit of which the mailbox has not been
//!   told yet, the cancellation is dropped as well. A cancellation by the clinic is always sent, because the patient
//!   may know of the visit from a call.
//! - **Not allowed to read it any more.** A message about a patient's care waited until its address was not the patient's any more, or the account
//!   with the address did not act for the patient any more ([`readers`]). What was for the patient becomes a call of the desk at the number in
//!   the record. So does news of a visit for another person if nobody else is told. The rest is dropped.
//! - **Too late.** A booking or a move is dropped if the visit has begun while the message waited.
//! - **Refused.** A message to an address that the mail server refused becomes a call of the desk ([`refusals`]).
//! - **Unread.** A move of which the booking was not mailed yet is mailed as the booking, with the forms.
//! - **Together.** The mails about several moved visits of a patient that wait for one mailbox become one mail.
//! - **A reminder** is sent only while it makes sense, and not in the quiet hours ([`reminding`]).
//! - **Too many.** A mailbox gets the first third of `MAX_NOTICES_PER_HOUR` at once. Each further mail of the same
//!   limit waits [`BUSY_DELAY`] after it was created, so that a newer one can replace it. When the limit is reached, it
//!   waits until the hour has room again. Nothing is lost: the last state of each appointment is always sent. Links that
//!   reset a password never wait. Alerts to the clinic wait at most [`ALERT_INTERVAL`] after the last one, and those that wait become one
//!   mail: patients cause them, so a limit of the hour could be used up by one of them while another has an emergency.
//!
//! Several instances may together exceed the limit by the messages that each of them holds.

use std::collections::{HashMap, VecDeque};

use diesel::dsl::exists;
use diesel::prelude::*;
use jiff::SignedDuration;

use super::model::{AppointmentMail, Mail, Message, MessageKind, MessageStatus};
use super::outbox::{self, WINDOW};
use super::queue::{self, has_status};
use super::readers;
use super::refusals;
use super::reminding::{self, Standing};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::messages;
use crate::env::Env;
use crate::error::Result;
use crate::ids::{AppointmentId, MessageId};

/// How long a mail to a busy mailbox waits after it was created. Several changes of one visit within this time become one mail.
pub const BUSY_DELAY: SignedDuration = SignedDuration::from_secs(30);
/// How long after an alert the next one is sent, once the mailbox has had the first third of the limit.
const ALERT_INTERVAL: SignedDuration = SignedDuration::from_mins(2);
/// A message that is older than this had to wait, for its mailbox or for the mail server.
const SENT_AT_ONCE: SignedDuration = SignedDuration::from_secs(1);

/// The error of a message that waited until its address was not the patient's any more.
const RECIPIENT_CHANGED: &str = "recipient_changed";

/// The most messages that wait and become one mail with another one.
const MAX_TOGETHER: i64 = 10;

/// What happens to a leased message.
enum Decision {
    Send,
    Drop,
    Wait(Timestamp),
    /// The desk calls. The text says why, as the message's error.
    LeaveToDesk(&'static str),
}

/// Drops leased messages that are outdated, postpones those that must wait, and returns the others, each with those that become one mail
/// with it.
pub fn select(tx: &mut Conn, env: &Env, leased: Vec<Message>) -> Result<Vec<Vec<Message>>> {
    let now = env.now();
    let mut selected: HashMap<String, Vec<MessageKind>> = HashMap::new();
    let mut to_send = Vec::with_capacity(leased.len());
    let mut leased: VecDeque<Message> = leased.into();
    while let Some(message) = leased.pop_front() {
        let Some(mailbox) = message.recipient.email.as_deref().map(outbox::mailbox) else {
            to_send.push(vec![message]);
            continue;
        };
        let selected_for_mailbox = selected.entry(mailbox.clone()).or_default();
        let shared = selected_for_mailbox.iter().filter(|kind| kind.shares_budget_with(message.kind)).count();
        match decide(tx, env, &message, &mailbox, shared, now)? {
            Decision::Send => {
                selected_for_mailbox.push(message.kind);
                let message = as_booking(tx, env, message, &mailbox, now)?;
                let others = companions(tx, env, (&message, &mailbox), &mut leased, now)?;
                to_send.push([vec![message], others].concat());
            }
            Decision::Drop => drop_message(tx, &message, now)?,
            Decision::Wait(until) => postpone(tx, &message, until, now)?,
            Decision::LeaveToDesk(why) => refusals::leave_to_desk(tx, env, &message, why, now)?,
        }
    }
    Ok(to_send)
}

fn decide(
    tx: &mut Conn,
    env: &Env,
    message: &Message,
    mailbox: &str,
    sent_together: usize,
    now: Timestamp,
) -> Result<Decision> {
    if message.kind == MessageKind::AppointmentReminder {
        match reminding::standing(tx, env, message, mailbox, now)? {
            Standing::Sendable => {}
            Standing::Useless => return Ok(Decision::Drop),
            Standing::WaitsUntil(until) => return Ok(Decision::Wait(until)),
        }
    }
    if let Some(appointment) = message.appointment_id {
        let has_waited = now >= message.created_at.plus(SENT_AT_ONCE);
        if has_begun(env, message, now) || has_waited && has_newer_message(tx, message, Some(mailbox), appointment)? {
            return Ok(Decision::Drop);
        }
        if is_unannounced(tx, env, message, mailbox, appointment)? {
            outbox::supersede_to(tx, appointment, mailbox, now)?;
            return Ok(Decision::Drop);
        }
    }
    if let Some(decision) = without_reader(tx, env, message, now)? {
        return Ok(decision);
    }
    if refusals::stops(tx, env, message)? {
        // A call takes longer than a mail, so the desk has the newest one only.
        if let Some(appointment) = message.appointment_id {
            if has_newer_message(tx, message, Some(mailbox), appointment)? {
                return Ok(Decision::Drop);
            }
            outbox::supersede_to(tx, appointment, mailbox, now)?;
        }
        return Ok(Decision::LeaveToDesk(refusals::REFUSED));
    }
    let Some(until) = busy_until(tx, env, message, mailbox, sent_together, now)? else { return Ok(Decision::Send) };
    // Every alert says the same: look at the worklist. The last one that waits is enough.
    if message.kind == MessageKind::StaffAlert && has_newer_alert(tx, message, mailbox)? {
        return Ok(Decision::Drop);
    }
    Ok(if until <= now { Decision::Send } else { Decision::Wait(until) })
}

/// Returns what becomes of a message about a patient's care whose address may not read it any more; none for every other message.
fn without_reader(tx: &mut Conn, env: &Env, message: &Message, now: Timestamp) -> Result<Option<Decision>> {
    // A message that cannot be decrypted fails when it is sent, which staff see.
    let mail = outbox::open(env, message.id, &message.payload).ok();
    let to_patient = mail.as_ref().and_then(Mail::goes_to_patient);
    let (Some(patient), Some(to_patient)) = (message.patient_id, to_patient) else { return Ok(None) };
    if readers::may_read(tx, now, message, patient)? {
        return Ok(None);
    }
    let needs_call = match message.appointment_id {
        // The desk says the newest state only. Another person may have a new address, or nobody else may be left who was told.
        Some(appointment) => {
            !has_newer_message(tx, message, None, appointment)?
                && (to_patient || !readers::another_is_told(tx, now, message, patient)?)
        }
        None => to_patient,
    };
    if !needs_call {
        return Ok(Some(Decision::Drop));
    }
    readers::call_the_patient(tx, message, patient, to_patient, now)?;
    Ok(Some(Decision::LeaveToDesk(RECIPIENT_CHANGED)))
}

/// Returns whether a message can be one mail with others of its kind.
fn can_join(env: &Env, message: &Message) -> bool {
    // Read only if it may be true. A message that staff sent again is a mail of its own.
    let mail = (message.kind == MessageKind::AppointmentMoved && message.resends == 0 && message.patient_id.is_some())
        .then(|| outbox::open(env, message.id, &message.payload).ok());
    mail.flatten().as_ref().and_then(Mail::appointment).is_some_and(|content| !content.zone_changed)
}

/// Returns the messages that become one mail with this one: of the other `leased` ones, which they leave, and of those that wait.
fn companions(
    tx: &mut Conn,
    env: &Env,
    (message, mailbox): (&Message, &str),
    leased: &mut VecDeque<Message>,
    now: Timestamp,
) -> Result<Vec<Message>> {
    if !can_join(env, message) {
        return Ok(Vec::new());
    }
    let joins = |other: &Message| {
        (other.patient_id, &other.recipient) == (message.patient_id, &message.recipient) && can_join(env, other)
    };
    let (mut found, others): (Vec<_>, Vec<_>) = leased.drain(..).partition(joins);
    leased.extend(others);
    // A message without an attempt is not leased.
    let waiting = messages::table
        .filter(has_status(MessageStatus::Pending))
        .filter(messages::patient_id.eq(message.patient_id))
        .filter(messages::email_key.eq(mailbox))
        .filter(messages::kind.eq(message.kind))
        .filter(messages::attempts.eq(0).or(messages::due_at.le(now)))
        .order(messages::id)
        .limit(MAX_TOGETHER)
        .select(messages::id);
    let waiting: Vec<MessageId> = match tx {
        Conn::Sqlite(tx) => waiting.load(tx)?,
        Conn::Postgres(tx) => waiting.for_update().skip_locked().load(tx)?,
    };
    let waiting = messages::table.filter(messages::id.eq_any(waiting));
    let waiting: Vec<Message> = waiting.select(Message::as_select()).load(tx)?;
    let waiting: Vec<MessageId> = waiting.iter().filter(|other| joins(other)).map(|other| other.id).collect();
    found.extend(queue::take(tx, &waiting, now)?);
    let mut joined = Vec::with_capacity(found.len());
    for other in found {
        let appointment =
            other.appointment_id.map(|id| has_newer_message(tx, &other, Some(mailbox), id)).transpose()?;
        if appointment == Some(true) || has_begun(env, &other, now) {
            drop_message(tx, &other, now)?;
        } else if unread_booking(tx, &other, mailbox)?.is_some() {
            leased.push_back(other);
        } else {
            joined.push(other);
        }
    }
    Ok(joined)
}

/// Returns whether the message tells the time of a visit that has begun since. Staff who send it again want it to be sent.
fn has_begun(env: &Env, message: &Message, now: Timestamp) -> bool {
    let tells_time = matches!(message.kind, MessageKind::AppointmentBooked | MessageKind::AppointmentMoved);
    // A message that cannot be decrypted fails when it is sent, which staff see.
    let mail = (tells_time && message.resends == 0).then(|| outbox::open(env, message.id, &message.payload).ok());
    mail.flatten()
        .as_ref()
        .and_then(Mail::appointment)
        .is_some_and(|visit| message.created_at < visit.starts_at && visit.starts_at <= now)
}

/// Returns whether a newer message about the appointment was created: for the mailbox, or for anybody.
fn has_newer_message(
    tx: &mut Conn,
    message: &Message,
    mailbox: Option<&str>,
    appointment: AppointmentId,
) -> Result<bool> {
    let newer = messages::table
        .filter(messages::appointment_id.eq(appointment))
        // A reminder replaces earlier ones only: it does not say what has changed.
        .filter(messages::kind.ne(MessageKind::AppointmentReminder).or(messages::kind.eq(message.kind)))
        .filter(is_newer_than(message.created_at, message.id));
    Ok(match mailbox {
        Some(mailbox) => {
            let of_mailbox = messages::email_key.eq(mailbox).and(messages::email.eq(&message.recipient.email));
            diesel::select(exists(newer.filter(of_mailbox))).get_result(tx)?
        }
        None => diesel::select(exists(newer)).get_result(tx)?,
    })
}

fn has_newer_alert(tx: &mut Conn, message: &Message, mailbox: &str) -> Result<bool> {
    let newer = messages::table
        .filter(messages::kind.eq(MessageKind::StaffAlert))
        .filter(messages::email_key.eq(mailbox))
        .filter(is_newer_than(message.created_at, message.id));
    Ok(diesel::select(exists(newer)).get_result(tx)?)
}

/// The condition that a message was created after another one. Ids increase, so they decide between equal times.
#[diesel::dsl::auto_type(no_type_alias)]
fn is_newer_than(at: Timestamp, id: MessageId) -> _ {
    messages::created_at.gt(at).or(messages::created_at.eq(at).and(messages::id.gt(id)))
}

/// Returns whether the message is the patient's own cancellation of a visit, and no mail about the visit went to this
/// mailbox.
fn is_unannounced(
    tx: &mut Conn,
    env: &Env,
    message: &Message,
    mailbox: &str,
    appointment: AppointmentId,
) -> Result<bool> {
    if message.kind != MessageKind::AppointmentCancelled {
        return Ok(false);
    }
    // A message that cannot be decrypted fails when it is sent, which staff see.
    let mail = outbox::open(env, message.id, &message.payload).ok();
    if !mail.as_ref().and_then(Mail::appointment).is_some_and(|mail| mail.cancelled_by_patient) {
        return Ok(false);
    }
    Ok(!unread(tx, message, mailbox, appointment)?.is_empty())
}

/// Returns the other messages about the appointment to this mailbox if none of them was sent; else nothing.
fn unread(tx: &mut Conn, message: &Message, mailbox: &str, appointment: AppointmentId) -> Result<Vec<Message>> {
    let others: Vec<Message> = messages::table
        .filter(messages::appointment_id.eq(appointment))
        .filter(messages::email_key.eq(mailbox))
        .filter(messages::email.eq(&message.recipient.email))
        .filter(messages::id.ne(message.id))
        .select(Message::as_select())
        .load(tx)?;
    // Staff who completed a message told the patient. If no earlier mails are left, they were sent long ago and purged.
    let is_unread = others.iter().all(|other| other.is_unsent() && other.done_by.is_none());
    Ok(if is_unread { others } else { Vec::new() })
}

/// Returns the booking of which this message is a move, if the mailbox has not been told of the visit.
fn unread_booking(tx: &mut Conn, message: &Message, mailbox: &str) -> Result<Option<Message>> {
    let is_move = message.kind == MessageKind::AppointmentMoved && message.resends == 0;
    let Some(appointment) = message.appointment_id.filter(|_| is_move) else { return Ok(None) };
    let others = unread(tx, message, mailbox, appointment)?;
    Ok(others.into_iter().find(|other| other.kind == MessageKind::AppointmentBooked))
}

/// Turns a move into the booking, if the mailbox has not been told of the visit.
fn as_booking(tx: &mut Conn, env: &Env, message: Message, mailbox: &str, now: Timestamp) -> Result<Message> {
    let Some(booking) = unread_booking(tx, &message, mailbox)? else { return Ok(message) };
    let mails = (outbox::open(env, booking.id, &booking.payload), outbox::open(env, message.id, &message.payload));
    // A message that cannot be decrypted fails when it is sent, which staff see.
    let (Ok(Mail::AppointmentBooked(booked)), Ok(Mail::AppointmentMoved(moved))) = mails else { return Ok(message) };
    let mail = AppointmentMail { forms_due: booked.forms_due, zone_changed: false, ..moved };
    outbox::rewrite(tx, env, message, &Mail::AppointmentBooked(mail), now)
}

/// Returns until when the mailbox gets no further mail of this limit, if so; for an alert, which may be over already. `sent_together` other mails are sent together
/// with this one.
fn busy_until(
    tx: &mut Conn,
    env: &Env,
    message: &Message,
    mailbox: &str,
    sent_together: usize,
    now: Timestamp,
) -> Result<Option<Timestamp>> {
    // Limited when they are created: by `outbox::has_room`, and by the changes that void a link. They are useless an hour later.
    if message.kind == MessageKind::ResetPassword {
        return Ok(None);
    }
    let most = usize::from(env.config.settings.max_notices_per_hour);
    let kinds = MessageKind::ALL.iter().filter(|kind| kind.shares_budget_with(message.kind)).map(|kind| kind.as_str());
    let sent: Vec<Option<Timestamp>> = messages::table
        .filter(has_status(MessageStatus::Sent))
        .filter(messages::email_key.eq(mailbox))
        .filter(messages::sent_at.gt(now.minus(WINDOW)))
        .filter(messages::kind.eq_any(kinds))
        .order(messages::sent_at.desc())
        .limit(i64::try_from(most).unwrap_or(i64::MAX))
        .select(messages::sent_at)
        .load(tx)?;
    let sent: Vec<Timestamp> = sent.into_iter().flatten().collect();
    if message.kind == MessageKind::StaffAlert {
        let next = sent.first().map_or(now, |last| last.plus(ALERT_INTERVAL));
        return Ok((sent.len() + sent_together >= most.div_ceil(3)).then_some(next));
    }
    if sent.len() + sent_together >= most {
        // When this older message leaves the hour, the new one fits.
        let oldest_counted =
            most.checked_sub(sent_together + 1).and_then(|index| sent.get(index)).copied().unwrap_or(now);
        return Ok(Some(oldest_counted.plus(WINDOW)));
    }
    let delayed_until = message.created_at.plus(BUSY_DELAY);
    Ok((sent.len() + sent_together >= most.div_ceil(3) && now < delayed_until).then_some(delayed_until))
}

fn drop_message(tx: &mut Conn, message: &Message, now: Timestamp) -> Result<()> {
    diesel::update(messages::table.find(message.id))
        .set((
            messages::status.eq(MessageStatus::Done),
            messages::done_at.eq(Some(now)),
            messages::attempts.eq(message.attempts - 1),
            messages::updated_at.eq(now),
        ))
        .execute(tx)?;
    Ok(())
}

/// Gives up the lease. The attempt does not count.
fn postpone(tx: &mut Conn, message: &Message, until: Timestamp, now: Timestamp) -> Result<()> {
    diesel::update(messages::table.find(message.id))
        .set((messages::due_at.eq(until), messages::attempts.eq(message.attempts - 1), messages::updated_at.eq(now)))
        .execute(tx)?;
    Ok(())
}
