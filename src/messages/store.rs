//! The outbox's queries.
//!
//! Statuses in conditions are literals, not parameters: only so can either engine use its partial indexes.

use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use jiff::SignedDuration;

use super::model::{Mail, Message, MessageKind, MessageStatus};
use super::outbox;
use super::retry::Failure;
use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{appointments, locations, messages, patient_access, patients, users};
use crate::db::verbatim::Verbatim;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::{Cursor, Limit};
use crate::ids::{AppointmentId, MessageId};
use crate::phone::{Country, Telephone};
use crate::sealed::Place;

/// How long a worker has a message to itself. Longer than any delivery may take, so it runs out only if the worker died.
pub const LEASE: SignedDuration = SignedDuration::from_secs(90);

pub(super) fn is(status: MessageStatus) -> Verbatim<Bool> {
    Verbatim::new(match status {
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

/// The number that mails say to call: the clinic's, else that of its first location, in the form of that location's country.
///
/// The table belongs to scheduling; this reads no more than the number and the country.
///
/// # Errors
/// The database's.
pub fn clinic_phone(conn: &mut Conn, env: &Env) -> Result<Option<Telephone>> {
    let first: Option<(String, String)> = locations::table
        .order((locations::created_at, locations::id))
        .select((locations::phone, locations::country))
        .first(conn)
        .optional()?;
    let (of_location, country) = first.unzip();
    let country = country.as_deref().and_then(Country::of);
    let number = env.config.settings.clinic_phone.clone().or(of_location);
    Ok(number.map(|number| Telephone::of(&number, country)))
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
/// [`Error::NotFound`]; a conflict while it is still to be sent anyway, where it was never to be mailed or was seen to
/// by hand, where what it says does not hold any more, and where its reader may not be told it any more.
pub fn resend(tx: &mut Conn, env: &Env, id: MessageId) -> Result<Message> {
    let this = messages::table.find(id).select(Message::as_select());
    let message = this.first(tx)?;
    let (code, detail) = match message.status {
        MessageStatus::Sent | MessageStatus::Failed => ("", ""),
        MessageStatus::Pending => ("message_pending", "The message has not gone out yet; it is tried again by itself."),
        MessageStatus::ToPhone => ("message_to_phone", "There is no e-mail address that it could be sent to."),
        MessageStatus::Done => (
            "message_done",
            "Staff settled this message by hand, or a newer message about the same appointment took its place.",
        ),
    };
    if !code.is_empty() {
        return Err(Error::conflict(code, detail));
    }
    require_current(tx, env, &message)?;
    let changed = diesel::update(messages::table.find(id).filter(messages::status.eq(message.status)))
        .set((
            messages::status.eq(MessageStatus::Pending),
            messages::attempts.eq(0),
            messages::resends.eq(messages::resends + 1),
            messages::due_at.eq(env.now()),
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

/// Sees to it that what a message says of a patient still holds, and that its address is still one that is told it.
///
/// The tables are those of appointments, patients and accounts; this asks them for no more than that. Marks on the messages
/// would have to be kept by all who change any of it, and access ends by the clock, when nobody writes anything.
fn require_current(tx: &mut Conn, env: &Env, message: &Message) -> Result<()> {
    let mail = outbox::open(env, message.id, &message.payload)?;
    if let (Some(id), Some(told)) = (message.appointment_id, mail.appointment()) {
        let (sequence, status): (i32, String) =
            appointments::table.find(id).select((appointments::sequence, appointments::status)).first(tx)?;
        let as_told = if matches!(mail, Mail::AppointmentCancelled(_)) { "cancelled" } else { "booked" };
        // Such as one with new links.
        let newer = messages::table
            .filter(messages::email.eq(&message.recipient.email))
            .filter(messages::created_at.gt(message.created_at))
            .filter(messages::appointment_id.eq(id));
        if (sequence, status.as_str()) != (told.sequence, as_told) || diesel::select(exists(newer)).get_result(tx)? {
            let detail = "The appointment has changed since, or a newer message about it went to the same address.";
            return Err(Error::conflict("message_superseded", detail));
        }
    }
    if let (Some(patient), true) =
        (message.patient_id, mail.appointment().is_some() || mail.birthday().is_some() || mail.access().is_some())
    {
        let by_record = patients::table
            .filter(patients::id.eq(patient))
            .filter(patients::email_confirmed.eq(true))
            .filter(patients::email.eq(&message.recipient.email));
        let by_account = patient_access::table
            .inner_join(users::table.on(users::id.eq(patient_access::user_id)))
            .filter(patient_access::patient_id.eq(patient))
            .filter(patient_access::pending.eq(false))
            .filter(patient_access::stopped_at.is_null())
            .filter(patient_access::ends_at.is_null().or(patient_access::ends_at.gt(env.now())))
            .filter(users::email_verified_at.is_not_null())
            .filter(users::disabled_at.is_null())
            .filter(users::email.nullable().eq(&message.recipient.email));
        if !diesel::select(exists(by_record).or(exists(by_account))).get_result::<bool>(tx)? {
            let detail = "This address is no longer one at which anybody is told of this patient.";
            return Err(Error::conflict("recipient_changed", detail));
        }
    }
    Ok(())
}

/// Takes a call that was made, or a failed mail whose reader was told otherwise, off the desk's lists.
///
/// # Errors
/// [`Error::NotFound`]; a conflict for any other message; forbidden, `second_person_required`, where it tells of an access that the
/// actor gave.
pub fn done(tx: &mut Conn, env: &Env, actor: &Actor, id: MessageId, note: Option<&String>) -> Result<Message> {
    let message = messages::table.find(id).select(Message::as_select()).first(tx)?;
    if !matches!(message.status, MessageStatus::ToPhone | MessageStatus::Failed) {
        return Err(Error::conflict("message_not_open", "There is nothing to be done by hand about this message."));
    }
    require_second_person(env, actor, &message)?;
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

/// Sees to it that another member of the staff than the one who gave an access tells of it: else the call might never be made.
fn require_second_person(env: &Env, actor: &Actor, message: &Message) -> Result<()> {
    if message.kind != MessageKind::AccessGiven {
        return Ok(());
    }
    let mail = outbox::open(env, message.id, &message.payload)?;
    if mail.access().is_some_and(|access| access.given_by == Some(actor.user_id)) {
        let detail = "You gave the access that this message tells of. Another member of the staff must tell of it.";
        return Err(Error::forbidden("second_person_required", detail));
    }
    Ok(())
}

/// Takes the calls about an appointment that nobody has made yet, and the mails that failed, off the desk's lists: what they
/// would tell is outdated.
///
/// # Errors
/// The database's.
pub fn supersede(tx: &mut Conn, appointment: AppointmentId, now: Timestamp) -> Result<()> {
    let open = Verbatim::<Bool>::new("messages.status IN ('to_phone', 'failed')");
    diesel::update(messages::table.filter(open).filter(messages::appointment_id.eq(appointment)))
        .set((messages::status.eq(MessageStatus::Done), messages::done_at.eq(Some(now))))
        .execute(tx)?;
    Ok(())
}

/// The place of a message's sealed note.
pub fn note_place(id: MessageId) -> Place {
    Place::new("messages", "note", id.0)
}
