//! The queue of due messages: leases, outcomes and depth.
//!
//! Statuses in conditions are literals, not parameters. Otherwise neither engine uses its partial indexes.

use diesel::prelude::*;
use diesel::sql_types::Bool;
use jiff::SignedDuration;

use super::model::{Message, MessageStatus};
use super::refusals;
use super::retry::Failure;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::raw_sql::RawSql;
use crate::db::schema::messages;
use crate::env::Env;
use crate::error::Result;
use crate::ids::MessageId;

/// How long a worker holds a message. Longer than any delivery takes, so a lease expires only if its worker died.
pub const LEASE: SignedDuration = SignedDuration::from_secs(90);

/// The condition that a message has a status.
pub(super) fn has_status(status: MessageStatus) -> RawSql<Bool> {
    RawSql::new(match status {
        MessageStatus::Pending => "messages.status = 'pending'",
        MessageStatus::Sent => "messages.status = 'sent'",
        MessageStatus::Failed => "messages.status = 'failed'",
        MessageStatus::ToPhone => "messages.status = 'to_phone'",
        MessageStatus::Done => "messages.status = 'done'",
    })
}

/// Returns whether any message is due. A worker reads this first, so that an idle worker does not take SQLite's writer.
pub fn any_due(conn: &mut Conn, now: Timestamp) -> Result<bool> {
    let due = messages::table.filter(has_status(MessageStatus::Pending)).filter(messages::due_at.le(now));
    Ok(due.select(messages::id).first::<MessageId>(conn).optional()?.is_some())
}

/// The condition that a message is not of the kinds that strangers can cause in any number, by registering ever new addresses or, with
/// an account, by asking for links to ever new ones. It is that of the index `messages_due_first`.
fn goes_first() -> RawSql<Bool> {
    RawSql::new("messages.kind NOT IN ('verify_email', 'already_registered', 'verify_new_email')")
}

/// Leases at most `count` due messages: first those that strangers cannot cause, so that a flood of registrations delays no link that sets
/// a password, no notice and no mail about an appointment. No two workers lease the same message, even on several instances. Messages to
/// `busy` mailboxes wait.
pub fn lease(tx: &mut Conn, now: Timestamp, count: i64, busy: &[String]) -> Result<Vec<Message>> {
    let due = || {
        messages::table
            .filter(has_status(MessageStatus::Pending))
            .filter(messages::due_at.le(now))
            .filter(messages::email_key.is_null().or(messages::email_key.assume_not_null().ne_all(busy.to_vec())))
            .order((messages::due_at, messages::id))
            .select(messages::id)
    };
    let first = due().filter(goes_first()).limit(count);
    let mut ids: Vec<MessageId> = match tx {
        // SQLite has one writer.
        Conn::Sqlite(tx) => first.load(tx)?,
        Conn::Postgres(tx) => first.for_update().skip_locked().load(tx)?,
    };
    let left = count - i64::try_from(ids.len()).unwrap_or(count);
    if left > 0 {
        let others = due().filter(messages::id.ne_all(&ids)).limit(left);
        let others: Vec<MessageId> = match tx {
            Conn::Sqlite(tx) => others.load(tx)?,
            Conn::Postgres(tx) => others.for_update().skip_locked().load(tx)?,
        };
        ids.extend(others);
    }
    take(tx, &ids, now)
}

/// Leases messages that are not leased.
pub(super) fn take(tx: &mut Conn, ids: &[MessageId], now: Timestamp) -> Result<Vec<Message>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    diesel::update(messages::table.filter(messages::id.eq_any(ids)))
        .set((
            messages::due_at.eq(now.plus(LEASE)),
            messages::attempts.eq(messages::attempts + 1),
            messages::updated_at.eq(now),
        ))
        .execute(tx)?;
    let leased = messages::table.filter(messages::id.eq_any(ids)).order(messages::id);
    Ok(leased.select(Message::as_select()).load(tx)?)
}

/// The outcome of an attempt to send a leased message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The mail server accepted it.
    Sent,
    /// It is tried again at this time.
    Postponed(Failure, Timestamp),
    /// It is not tried again by itself.
    Failed(Failure),
}

/// Stores the outcome of a leased message.
///
/// It also stores whether the mail server refused or accepted the address. A failure is stored only while the lease belongs to this worker. A success is stored unless staff sent the message again meanwhile.
pub fn finish(tx: &mut Conn, env: &Env, leased: &Message, outcome: Outcome, now: Timestamp) -> Result<()> {
    let this = messages::table
        .filter(messages::id.eq(leased.id))
        .filter(messages::resends.eq(leased.resends))
        .filter(has_status(MessageStatus::Pending));
    let own_lease = messages::due_at.eq(leased.due_at);
    let no_error = None::<String>;
    let rejected = |failure: Failure| leased.rejected_attempts + i32::from(failure.is_certain());
    let stored = match outcome {
        Outcome::Sent => diesel::update(this)
            .set((
                messages::status.eq(MessageStatus::Sent),
                messages::sent_at.eq(Some(now)),
                messages::last_error.eq(no_error),
                messages::updated_at.eq(now),
            ))
            .execute(tx)?,
        Outcome::Postponed(failure, due) => diesel::update(this.filter(own_lease))
            .set((
                messages::due_at.eq(due),
                messages::rejected_attempts.eq(rejected(failure)),
                messages::last_error.eq(Some(failure.to_string())),
                messages::updated_at.eq(now),
            ))
            .execute(tx)?,
        Outcome::Failed(failure) => diesel::update(this.filter(own_lease))
            .set((
                messages::status.eq(MessageStatus::Failed),
                messages::rejected_attempts.eq(rejected(failure)),
                messages::last_error.eq(Some(failure.to_string())),
                messages::updated_at.eq(now),
            ))
            .execute(tx)?,
    };
    match (outcome, &leased.recipient.email) {
        (Outcome::Failed(Failure::Refused(code)), Some(_)) if stored == 1 => refusals::note(tx, env, leased, code, now),
        (Outcome::Sent, Some(address)) => refusals::forget(tx, env, address),
        _ => Ok(()),
    }
}

/// The number of open messages, for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Messages to be sent.
    pub pending: i64,
    pub failed: i64,
    /// Calls that staff must make.
    pub to_phone: i64,
    /// The time since which the oldest due message has been due.
    pub oldest_due: Option<Timestamp>,
}

/// Counts the open messages. Reads the partial indexes only, so messages already sent cost nothing.
pub fn depth(conn: &mut Conn, now: Timestamp) -> Result<Depth> {
    let count = |conn: &mut Conn, status| messages::table.filter(has_status(status)).count().get_result::<i64>(conn);
    let oldest = messages::table
        .filter(has_status(MessageStatus::Pending))
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
