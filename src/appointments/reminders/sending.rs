//! The periodic task that looks at the visits whose time has come, and sends the reminder that is due.

use std::time::Duration;

use diesel::prelude::*;
use jiff::SignedDuration;

use super::planning;
use super::rule::Visit;
use crate::appointment_status::AppointmentStatus;
use crate::appointments::appointment::AppointmentDetails;
use crate::appointments::{notification, queries};
use crate::audit_context::AuditContext;
use crate::clock::Timestamp;
use crate::context::{Anonymous, Tx};
use crate::db::schema::reminders;
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::AppointmentId;
use crate::messages::model::MessageKind;
use crate::messages::{outbox, refusals};
use crate::patients::access;
use crate::patients::recipients::{self, PatientRecipient};
use crate::periodic;

const INTERVAL: Duration = Duration::from_mins(1);
/// The most visits of a run. The others follow in the next one, which then begins at once.
const BATCH: i64 = 200;
/// When a visit is looked at again after a failure, so that it does not keep others waiting.
const AFTER_FAILURE: SignedDuration = SignedDuration::from_mins(15);
/// How long until a visit is looked at again while staff have not decided its local time.
const UNTIL_DECIDED: SignedDuration = SignedDuration::from_mins(15);

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// The visits of which a patient was reminded.
    pub reminded: usize,
    /// Whether more visits may be waiting.
    pub is_full: bool,
}

/// Looks at the visits whose time has come.
///
/// # Errors
/// Those that every visit would meet, such as an unavailable database.
pub async fn run(env: &Env) -> Result<Done> {
    let now = env.now();
    let due = env.db.read(move |conn| planning::due(conn, now, BATCH)).await?;
    let mut done = Done { reminded: 0, is_full: i64::try_from(due.len()) == Ok(BATCH) };
    for id in due {
        let shared = env.clone();
        match env.db.write(move |conn| look(conn, &shared, id)).await {
            Ok(reminded) => done.reminded += usize::from(reminded),
            Err(error) if error.concerns_all() => return Err(error),
            Err(error) => {
                tracing::warn!(appointment = %id, %error, "a reminder could not be sent; retrying");
                let later = now.plus(AFTER_FAILURE);
                env.db.write(move |conn| planning::set_next_look(conn, id, Some(later))).await?;
            }
        }
    }
    Ok(done)
}

/// Looks at a visit: sends the reminder that is due and plans the next look. Returns whether it sent one. The lock makes instances wait for
/// each other, and for every change of the visit.
fn look(conn: &mut Conn, env: &Env, id: AppointmentId) -> Result<bool> {
    let audit = AuditContext::of_command("send_reminders");
    let tx = &mut Tx::new(conn, env, &Anonymous, &audit);
    let found = match queries::lock_authorised(tx, id) {
        Err(Error::NotFound) => return Ok(false),
        found => found?,
    };
    if planning::next_look(tx.conn, id)?.is_none_or(|at| at > tx.now) {
        return Ok(false);
    }
    if found.appointment.status != AppointmentStatus::Booked || found.appointment.starts_at <= tx.now {
        // A reminder that was not delivered is useless now.
        outbox::settle_about(tx.conn, id, MessageKind::AppointmentReminder, tx.now)?;
        planning::set_next_look(tx.conn, id, None)?;
        return Ok(false);
    }
    if found.appointment.promise.zone_changed_since.is_some() {
        // A reminder would tell another local time than the patient was promised. Staff decide first which of the two holds.
        let next = tx.now.plus(UNTIL_DECIDED).min(found.appointment.starts_at);
        planning::set_next_look(tx.conn, id, Some(next))?;
        return Ok(false);
    }
    let accounts = access::of_patient(tx.conn, found.patient.id)?;
    let told = recipients::of(tx.conn, env, &found.patient, accounts)?;
    let settings = &env.config.settings;
    let by_mail = refusals::accept_any(tx.conn, env, told.iter().filter_map(|one| one.recipient.email.as_deref()))?;
    let call: Vec<SignedDuration> = settings.reminders.for_calls().into_iter().collect();
    let leads = if by_mail { settings.reminders.leads() } else { &call };
    let plan = visit(tx, &found)?.plan(tx.now, leads, settings.quiet_hours);
    planning::set_next_look(tx.conn, id, plan.next)?;
    let Some(lead) = plan.send.filter(|_| found.patient.reminders_wanted) else { return Ok(false) };
    // A call asks whether the patient will come. The desk makes one call about everything.
    let needs_no_call = found.appointment.confirmed_at.is_some() || outbox::has_open_call(tx.conn, id)?;
    if !by_mail && needs_no_call {
        return Ok(false);
    }
    remind(tx, &found, told, lead)
}

fn visit(tx: &mut Tx<Anonymous>, found: &AppointmentDetails) -> Result<Visit> {
    let visit = &found.appointment;
    let told: Option<Timestamp> = outbox::newest_about(tx.conn, visit.id)?;
    let reminded: Option<Timestamp> = reminders::table
        .filter(reminders::appointment_id.eq(visit.id))
        .filter(reminders::sequence.eq(visit.sequence))
        .order(reminders::created_at.desc())
        .select(reminders::created_at)
        .first(tx.conn)
        .optional()?;
    Ok(Visit {
        starts_at: visit.starts_at,
        told_at: [told, reminded].into_iter().flatten().fold(visit.created_at, Timestamp::max),
        zone: found.location.zone(&tx.env.config.zones)?,
    })
}

/// Writes the reminder and its messages. Returns whether it was not written before.
fn remind(
    tx: &mut Tx<Anonymous>,
    found: &AppointmentDetails,
    told: Vec<PatientRecipient>,
    lead: SignedDuration,
) -> Result<bool> {
    let row = (
        reminders::appointment_id.eq(found.appointment.id),
        reminders::sequence.eq(found.appointment.sequence),
        reminders::minutes.eq(i32::try_from(lead.as_mins()).unwrap_or(i32::MAX)),
        reminders::created_at.eq(tx.now),
    );
    let written = per_backend!(tx.conn, conn => diesel::insert_into(reminders::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(conn))?;
    if written == 0 {
        return Ok(false);
    }
    notification::remind(tx, found, told)?;
    Ok(true)
}

/// Starts the periodic task.
pub fn start(env: &Env, stopping: tokio::sync::watch::Receiver<bool>) {
    let env = env.clone();
    let mut has_adopted = false;
    periodic::start(stopping, async move || {
        if !has_adopted {
            let shared = env.clone();
            match env.db.write(move |conn| planning::adopt_settings(conn, &shared)).await {
                Ok(_) => has_adopted = true,
                Err(error) => {
                    tracing::warn!(%error, "could not plan the reminders; retrying");
                    return INTERVAL;
                }
            }
        }
        match run(&env).await {
            Ok(Done { reminded, is_full }) => {
                if reminded > 0 {
                    tracing::info!(reminded, "sent reminders");
                }
                if is_full { Duration::ZERO } else { INTERVAL }
            }
            Err(error) => {
                tracing::warn!(%error, "could not send reminders; retrying");
                INTERVAL
            }
        }
    });
}
