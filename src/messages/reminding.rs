//! Whether a reminder that waits in the outbox still makes sense.
//!
//! The tables belong to appointments and patients. A mark on each message would have to be kept by every change of them.

use diesel::dsl::exists;
use diesel::prelude::*;
use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::model::{Message, MessageKind, MessageStatus};
use super::outbox;
use super::queue::has_status;
use crate::appointment_status::AppointmentStatus;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{appointments, messages, patients};
use crate::env::Env;
use crate::error::Result;

/// How long before the visit a reminder is sent at the latest. Later the patient is on the way.
pub const USEFUL_UNTIL: SignedDuration = SignedDuration::from_mins(30);

/// What may become of a reminder that is due.
pub(super) enum Standing {
    /// Nothing speaks against it.
    Sendable,
    /// It makes no sense any more.
    Useless,
    /// It waits for the end of the quiet hours.
    WaitsUntil(Timestamp),
}

/// Returns what may become of a reminder that is due.
pub(super) fn standing(tx: &mut Conn, env: &Env, message: &Message, mailbox: &str, now: Timestamp) -> Result<Standing> {
    let Some(id) = message.appointment_id else { return Ok(Standing::Sendable) };
    // A message that cannot be decrypted fails when it is sent, which staff see.
    let Ok(mail) = outbox::open(env, message.id, &message.payload) else { return Ok(Standing::Sendable) };
    let Some(content) = mail.appointment() else { return Ok(Standing::Sendable) };
    let visit = appointments::table
        .inner_join(patients::table.on(patients::id.eq(appointments::patient_id)))
        .filter(appointments::id.eq(id))
        .select((
            appointments::sequence,
            appointments::status,
            appointments::zone_changed_since,
            patients::reminders_wanted,
        ));
    let (sequence, status, zone_changed_since, wanted): (i32, AppointmentStatus, Option<Timestamp>, bool) =
        visit.first(tx)?;
    let useful_until = content.starts_at.minus(USEFUL_UNTIL);
    let is_current =
        sequence == content.sequence && status == AppointmentStatus::Booked && zone_changed_since.is_none();
    if !is_current || !wanted || now > useful_until || is_about_to_be_told(tx, message, mailbox)? {
        return Ok(Standing::Useless);
    }
    // Staff who send it again want it to be sent now.
    if message.resends > 0 {
        return Ok(Standing::Sendable);
    }
    let zone = env.config.zones.get(&content.time_zone).unwrap_or(TimeZone::UTC);
    let until = env.config.settings.quiet_hours.end_after(now, &zone);
    Ok(match until {
        _ if until == now => Standing::Sendable,
        _ if until > useful_until => Standing::Useless,
        _ => Standing::WaitsUntil(until),
    })
}

/// Returns whether a mail of a booking or a move still waits for the mailbox. It says the same.
fn is_about_to_be_told(tx: &mut Conn, message: &Message, mailbox: &str) -> Result<bool> {
    let waiting = messages::table
        .filter(has_status(MessageStatus::Pending))
        .filter(messages::appointment_id.eq(message.appointment_id))
        .filter(messages::email_key.eq(mailbox))
        .filter(messages::kind.ne(MessageKind::AppointmentReminder));
    Ok(diesel::select(exists(waiting)).get_result(tx)?)
}
