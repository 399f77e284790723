//! What is to be said no more, and what is to be said later: decided when a worker takes a message, so that no request waits
//! for it, and whatever happened to the message before.
//!
//! - **Outdated.** A message about an appointment that could not go out at once is struck if a newer one about the appointment was
//!   written to the mailbox: only the newest goes out. Where the patient's side cancels a visit of which the mailbox has not been told yet, nothing is left to say, and the
//!   cancellation is struck as well. A cancellation by the clinic always goes out: the patient may know of the visit from a call.
//! - **Too many.** A mailbox gets the first third of `MAX_NOTICES_PER_HOUR` at once. Each further mail of the same budget waits
//!   [`CALM`] after it was written, so that a newer one can take its place; past the whole number it waits until the hour has room
//!   again. Nothing is lost: of each appointment the last state is told.
//!
//! Several instances may together pass the number by what each has in its hands.

use std::collections::HashMap;

use diesel::dsl::exists;
use diesel::prelude::*;
use jiff::SignedDuration;

use super::model::{Mail, Message, MessageKind, MessageStatus};
use super::outbox::{self, WINDOW};
use super::store::is;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::messages;
use crate::env::Env;
use crate::error::Result;
use crate::ids::{AppointmentId, MessageId};

/// How long a mail to a busy mailbox waits after it was written.
pub const CALM: SignedDuration = SignedDuration::from_secs(30);
/// A message that is older had to wait: for its mailbox, or for the mail server.
const AT_ONCE: SignedDuration = SignedDuration::from_secs(1);

/// What is to become of a message that a worker has leased.
enum Verdict {
    Send,
    Strike,
    Wait(Timestamp),
}

/// Strikes leased messages that are outdated, puts those back that have to wait, and returns the others.
///
/// # Errors
/// The database's.
pub fn sort_out(tx: &mut Conn, env: &Env, leased: Vec<Message>) -> Result<Vec<Message>> {
    let now = env.now();
    let mut let_through: HashMap<String, Vec<MessageKind>> = HashMap::new();
    let mut to_send = Vec::with_capacity(leased.len());
    for message in leased {
        let Some(mailbox) = message.recipient.email.as_deref().map(outbox::mailbox) else {
            to_send.push(message);
            continue;
        };
        let with_it = let_through.entry(mailbox.clone()).or_default();
        let shared = with_it.iter().filter(|kind| kind.shares_budget_with(message.kind)).count();
        match judge(tx, env, &message, &mailbox, shared, now)? {
            Verdict::Send => {
                with_it.push(message.kind);
                to_send.push(message);
            }
            Verdict::Strike => strike(tx, &message, now)?,
            Verdict::Wait(until) => put_back(tx, &message, until)?,
        }
    }
    Ok(to_send)
}

fn judge(
    tx: &mut Conn,
    env: &Env,
    message: &Message,
    mailbox: &str,
    with_it: usize,
    now: Timestamp,
) -> Result<Verdict> {
    if let Some(appointment) = message.appointment_id
        && now >= message.created_at.plus(AT_ONCE)
        && (is_followed(tx, message, mailbox, appointment)? || is_unheard_of(tx, env, message, mailbox, appointment)?)
    {
        return Ok(Verdict::Strike);
    }
    let Some(until) = busy_until(tx, env, message, mailbox, with_it, now)? else { return Ok(Verdict::Send) };
    // Every alert says to look at the worklist: the last of those that wait says it for all.
    if message.kind == MessageKind::StaffAlert && is_followed_by_alert(tx, message, mailbox)? {
        return Ok(Verdict::Strike);
    }
    Ok(Verdict::Wait(until))
}

/// Whether a newer message about the appointment was written to the mailbox.
fn is_followed(tx: &mut Conn, message: &Message, mailbox: &str, appointment: AppointmentId) -> Result<bool> {
    let newer = messages::table
        .filter(messages::appointment_id.eq(appointment))
        .filter(messages::email_key.eq(mailbox))
        .filter(is_after(message.created_at, message.id));
    Ok(diesel::select(exists(newer)).get_result(tx)?)
}

fn is_followed_by_alert(tx: &mut Conn, message: &Message, mailbox: &str) -> Result<bool> {
    let newer = messages::table
        .filter(messages::kind.eq(MessageKind::StaffAlert))
        .filter(messages::email_key.eq(mailbox))
        .filter(is_after(message.created_at, message.id));
    Ok(diesel::select(exists(newer)).get_result(tx)?)
}

/// The condition that a message was written after another one. Of one instant the ids decide, which grow.
#[diesel::dsl::auto_type(no_type_alias)]
fn is_after(at: Timestamp, id: MessageId) -> _ {
    messages::created_at.gt(at).or(messages::created_at.eq(at).and(messages::id.gt(id)))
}

/// Whether the message is the patient's own cancellation of a visit of which no mail to this mailbox has gone out.
fn is_unheard_of(
    tx: &mut Conn,
    env: &Env,
    message: &Message,
    mailbox: &str,
    appointment: AppointmentId,
) -> Result<bool> {
    if message.kind != MessageKind::AppointmentCancelled {
        return Ok(false);
    }
    // One that cannot be opened fails when it is sent, and is laid aside for the staff.
    let mail = outbox::open(env, message.id, &message.payload).ok();
    if !mail.as_ref().and_then(Mail::appointment).is_some_and(|mail| mail.cancelled_by_patient) {
        return Ok(false);
    }
    let others: Vec<(MessageStatus, i32, i32)> = messages::table
        .filter(messages::appointment_id.eq(appointment))
        .filter(messages::email_key.eq(mailbox))
        .filter(messages::id.ne(message.id))
        .select((messages::status, messages::attempts, messages::resends))
        .load(tx)?;
    // What was tried may have arrived. Where nothing is left of the earlier mails, they were told long ago.
    let is_silent = |&(status, attempts, resends): &(MessageStatus, i32, i32)| {
        matches!(status, MessageStatus::Pending | MessageStatus::Done) && attempts == 0 && resends == 0
    };
    Ok(!others.is_empty() && others.iter().all(is_silent))
}

/// Until when the mailbox gets no further mail of this budget, if that is so; `with_it` others go out with this one.
fn busy_until(
    tx: &mut Conn,
    env: &Env,
    message: &Message,
    mailbox: &str,
    with_it: usize,
    now: Timestamp,
) -> Result<Option<Timestamp>> {
    let most = usize::from(env.config.settings.max_notices_per_hour);
    let kinds = MessageKind::ALL.iter().filter(|kind| kind.shares_budget_with(message.kind)).map(|kind| kind.as_str());
    let sent: Vec<Option<Timestamp>> = messages::table
        .filter(is(MessageStatus::Sent))
        .filter(messages::email_key.eq(mailbox))
        .filter(messages::sent_at.gt(now.minus(WINDOW)))
        .filter(messages::kind.eq_any(kinds))
        .order(messages::sent_at.desc())
        .limit(i64::try_from(most).unwrap_or(i64::MAX))
        .select(messages::sent_at)
        .load(tx)?;
    let sent: Vec<Timestamp> = sent.into_iter().flatten().collect();
    if sent.len() + with_it >= most {
        // Once this older message leaves the hour, the new one fits.
        let makes_room = most.checked_sub(with_it + 1).and_then(|index| sent.get(index)).copied().unwrap_or(now);
        return Ok(Some(makes_room.plus(WINDOW)));
    }
    let calm = message.created_at.plus(CALM);
    Ok((sent.len() + with_it >= most.div_ceil(3) && now < calm).then_some(calm))
}

fn strike(tx: &mut Conn, message: &Message, now: Timestamp) -> Result<()> {
    diesel::update(messages::table.find(message.id))
        .set((
            messages::status.eq(MessageStatus::Done),
            messages::done_at.eq(Some(now)),
            messages::attempts.eq(message.attempts - 1),
        ))
        .execute(tx)?;
    Ok(())
}

/// Gives the lease up; the try does not count.
fn put_back(tx: &mut Conn, message: &Message, until: Timestamp) -> Result<()> {
    diesel::update(messages::table.find(message.id))
        .set((messages::due_at.eq(until), messages::attempts.eq(message.attempts - 1)))
        .execute(tx)?;
    Ok(())
}
