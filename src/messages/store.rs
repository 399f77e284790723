//! The outbox's queries.
//!
//! Statuses in conditions are literals, not parameters: only so can either engine use its partial indexes.

use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use jiff::SignedDuration;

use super::model::{Message, MessageStatus};
use super::retry::Failure;
use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::db::{Conn, schema::messages};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::{Cursor, Limit};
use crate::ids::{AppointmentId, MessageId};
use crate::sealed::Place;

/// How long a worker has a message to itself. Longer than any delivery may take, so it runs out only if the worker died.
pub const LEASE: SignedDuration = SignedDuration::from_secs(90);

fn is(status: MessageStatus) -> SqlLiteral<Bool> {
    sql(match status {
        MessageStatus::Pending => "messages.status = 'pending'",
        MessageStatus::Sent => "messages.status = 'sent'",
        MessageStatus::Failed => "messages.status = 'failed'",
        MessageStatus::ToPhone => "messages.status = 'to_phone'",
        MessageStatus::Done => "messages.status = 'done'",
    })
}

/// Whether any message is due. It saves the round in which nothing is from taking the writer's turn.
///
/// # Errors
/// The database's.
pub fn any_due(conn: &mut Conn, now: Timestamp) -> Result<bool> {
    let due = messages::table.filter(is(MessageStatus::Pending)).filter(messages::due_at.le(now));
    Ok(due.select(messages::id).first::<MessageId>(conn).optional()?.is_some())
}

/// Takes up to `count` due messages until the lease ends. No two workers get the same one, on several instances either.
///
/// # Errors
/// The database's.
pub fn lease(tx: &mut Conn, now: Timestamp, count: i64) -> Result<Vec<Message>> {
    let due = messages::table
        .filter(is(MessageStatus::Pending))
        .filter(messages::due_at.le(now))
        .order((messages::due_at, messages::id))
        .limit(count)
        .select(messages::id);
    let ids: Vec<MessageId> = match tx {
        // SQLite's writer is alone.
        Conn::Sqlite(tx) => due.load(tx)?,
        Conn::Postgres(tx) => due.for_update().skip_locked().load(tx)?,
    };
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    diesel::update(messages::table.filter(messages::id.eq_any(&ids)))
        .set((messages::due_at.eq(now.plus(LEASE)), messages::attempts.eq(messages::attempts + 1)))
        .execute(tx)?;
    let taken = messages::table.filter(messages::id.eq_any(&ids)).order(messages::id);
    Ok(taken.select(Message::as_select()).load(tx)?)
}

/// What became of a leased message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Sent,
    /// It is tried again at that time.
    Later(Failure, Timestamp),
    /// It is laid aside.
    Failed(Failure),
}

/// Writes down what became of a leased message.
///
/// A failure counts only while the lease is this worker's; a success counts as long as nobody had the message sent again.
///
/// # Errors
/// The database's.
pub fn settle(tx: &mut Conn, leased: &Message, outcome: Outcome, now: Timestamp) -> Result<()> {
    let this = messages::table
        .filter(messages::id.eq(leased.id))
        .filter(messages::resends.eq(leased.resends))
        .filter(is(MessageStatus::Pending));
    let ours = messages::due_at.eq(leased.due_at);
    let no_error = None::<String>;
    match outcome {
        Outcome::Sent => diesel::update(this)
            .set((
                messages::status.eq(MessageStatus::Sent),
                messages::sent_at.eq(Some(now)),
                messages::last_error.eq(no_error),
            ))
            .execute(tx)?,
        Outcome::Later(failure, due) => diesel::update(this.filter(ours))
            .set((messages::due_at.eq(due), messages::last_error.eq(Some(failure.to_string()))))
            .execute(tx)?,
        Outcome::Failed(failure) => diesel::update(this.filter(ours))
            .set((messages::status.eq(MessageStatus::Failed), messages::last_error.eq(Some(failure.to_string()))))
            .execute(tx)?,
    };
    Ok(())
}

/// How full the outbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Messages that will be sent.
    pub pending: i64,
    /// Messages that were laid aside.
    pub failed: i64,
    /// Calls that the desk has to make.
    pub to_phone: i64,
    /// Since when the oldest due message has been due.
    pub oldest_due: Option<Timestamp>,
}

/// Counts, by way of the partial indexes; messages already sent are not looked at.
///
/// # Errors
/// The database's.
pub fn depth(conn: &mut Conn, now: Timestamp) -> Result<Depth> {
    let count = |conn: &mut Conn, status| messages::table.filter(is(status)).count().get_result::<i64>(conn);
    let oldest = messages::table
        .filter(is(MessageStatus::Pending))
        .filter(messages::due_at.le(now))
        .order((messages::due_at, messages::id))
        .select(messages::due_at);
    Ok(Depth {
        pending: count(conn, MessageStatus::Pending)?,
        failed: count(conn, MessageStatus::Failed)?,
        to_phone: count(conn, MessageStatus::ToPhone)?,
        oldest_due: oldest.first(conn).optional()?,
    })
}

/// A page of messages, the newest first.
///
/// # Errors
/// The database's.
pub fn list(
    conn: &mut Conn,
    status: Option<MessageStatus>,
    after: Option<Cursor>,
    limit: Limit,
) -> Result<Vec<Message>> {
    let mut query = messages::table.into_boxed();
    if let Some(status) = status {
        query = query.filter(is(status));
    }
    if let Some(Cursor { at, id }) = after {
        let id = MessageId(id);
        query = query.filter(messages::created_at.le(at)).filter(messages::created_at.lt(at).or(messages::id.lt(id)));
    }
    let newest_first = query.order((messages::created_at.desc(), messages::id.desc()));
    Ok(newest_first.limit(limit.query()).select(Message::as_select()).load(conn)?)
}

/// Makes a message due now, as a mail of its own.
///
/// # Errors
/// [`Error::NotFound`]; a conflict while it is still to be sent anyway, or where it was never to be mailed or was seen to
/// by hand.
pub fn resend(tx: &mut Conn, id: MessageId, now: Timestamp) -> Result<Message> {
    let this = messages::table.find(id).select(Message::as_select());
    let message = this.first(tx)?;
    let (code, detail) = match message.status {
        MessageStatus::Sent | MessageStatus::Failed => ("", ""),
        MessageStatus::Pending => ("message_pending", "The message has not gone out yet; it is tried again by itself."),
        MessageStatus::ToPhone => ("message_to_phone", "There is no e-mail address that it could be sent to."),
        MessageStatus::Done => ("message_done", "Somebody has seen to this message by hand."),
    };
    if !code.is_empty() {
        return Err(Error::conflict(code, detail));
    }
    let changed = diesel::update(messages::table.find(id).filter(messages::status.eq(message.status)))
        .set((
            messages::status.eq(MessageStatus::Pending),
            messages::attempts.eq(0),
            messages::resends.eq(messages::resends + 1),
            messages::due_at.eq(now),
            messages::last_error.eq(None::<String>),
            messages::sent_at.eq(None::<Timestamp>),
        ))
        .execute(tx)?;
    if changed == 0 {
        // Somebody else asked for it in the same moment.
        return Err(Error::Retry);
    }
    Ok(messages::table.find(id).select(Message::as_select()).first(tx)?)
}

/// Takes a call that was made, or a failed mail whose reader was told otherwise, off the desk's lists.
///
/// # Errors
/// [`Error::NotFound`]; a conflict for any other message.
pub fn done(tx: &mut Conn, env: &Env, actor: &Actor, id: MessageId, note: Option<&String>) -> Result<Message> {
    let message = messages::table.find(id).select(Message::as_select()).first(tx)?;
    if !matches!(message.status, MessageStatus::ToPhone | MessageStatus::Failed) {
        return Err(Error::conflict("message_not_open", "There is nothing to be done by hand about this message."));
    }
    let note = note.map(|note| env.sealer.seal(note_place(id), note)).transpose()?;
    let changed = diesel::update(messages::table.find(id).filter(messages::status.eq(message.status)))
        .set((
            messages::status.eq(MessageStatus::Done),
            messages::done_at.eq(Some(env.now())),
            messages::done_by.eq(Some(actor.user_id)),
            messages::note.eq(note),
        ))
        .execute(tx)?;
    if changed == 0 {
        // Somebody else did it in the same moment.
        return Err(Error::Retry);
    }
    Ok(messages::table.find(id).select(Message::as_select()).first(tx)?)
}

/// Takes the calls about an appointment that nobody has made yet off the desk's list: what they would tell is outdated.
///
/// # Errors
/// The database's.
pub fn supersede_calls(tx: &mut Conn, appointment: AppointmentId, now: Timestamp) -> Result<()> {
    let open = messages::table.filter(is(MessageStatus::ToPhone)).filter(messages::appointment_id.eq(appointment));
    diesel::update(open)
        .set((messages::status.eq(MessageStatus::Done), messages::done_at.eq(Some(now))))
        .execute(tx)?;
    Ok(())
}

/// The place of a message's sealed note.
pub fn note_place(id: MessageId) -> Place {
    Place::new("messages", "note", id.0)
}
