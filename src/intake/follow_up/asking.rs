//! The periodic task that asks patients whose follow-up is due, and ends follow-ups that were not answered in time. Several instances may
//! run it: each follow-up is asked in a transaction that locks the patient and finds it still scheduled.

use std::time::Duration;

use diesel::prelude::*;
use jiff::{SignedDuration, ToSpan};
use rls::FilledBy;

use super::FollowUpStatus;
use super::planning::{close, schedule_next};
use super::store::{self, FollowUp, Link};
use crate::audit_context::AuditContext;
use crate::clock::Timestamp;
use crate::context::{Anonymous, Tx};
use crate::db::Conn;
use crate::db::schema::follow_ups;
use crate::db::types::Date;
use crate::env::Env;
use crate::error::Result;
use crate::ids::FollowUpId;
use crate::intake::place_of_care::PlaceOfCare;
use crate::intake::reading_context::ReadingContext;
use crate::messages::model::{Envelope, FollowUpMail, Mail};
use crate::messages::outbox;
use crate::patients::recipients::{self, PatientRecipient};
use crate::patients::{access, store as records};
use crate::periodic;

const INTERVAL: Duration = Duration::from_mins(15);
/// The most follow-ups of a run. The others follow in the next one.
const BATCH: i64 = 500;
/// The local hour from which patients are asked.
const HOUR: i8 = 9;

/// Asks and ends what is due. Returns the number of patients asked.
pub async fn run(env: &Env) -> Result<usize> {
    let now = env.now();
    // The latest day that has begun anywhere.
    let latest = now.in_zone(&jiff::tz::TimeZone::UTC).date().saturating_add(1.day());
    let due = env.db.read(move |conn| due(conn, Date(latest))).await?;
    let mut asked = 0;
    for id in due {
        asked += usize::from(step(env, id, ask).await?.unwrap_or(false));
    }
    let late = env.db.read(move |conn| late(conn, now)).await?;
    for id in late {
        step(env, id, end).await?;
    }
    Ok(asked)
}

/// Runs a step on one follow-up. Returns none if it fails for this one alone.
async fn step<T: Send + 'static>(
    env: &Env,
    id: FollowUpId,
    work: impl Fn(&mut Conn, &Env, FollowUpId) -> Result<T> + Send + 'static,
) -> Result<Option<T>> {
    let env_of_task = env.clone();
    let done = env.db.write(move |conn| work(conn, &env_of_task, id)).await;
    periodic::go_on(done, id, "a follow-up could not be asked or ended")
}

fn due(conn: &mut Conn, latest: Date) -> Result<Vec<FollowUpId>> {
    Ok(follow_ups::table
        .filter(follow_ups::status.eq(FollowUpStatus::Scheduled))
        .filter(follow_ups::due_on.le(latest))
        .order((follow_ups::due_on, follow_ups::id))
        .limit(BATCH)
        .select(follow_ups::id)
        .load(conn)?)
}

fn late(conn: &mut Conn, now: Timestamp) -> Result<Vec<FollowUpId>> {
    Ok(follow_ups::table
        .filter(follow_ups::status.eq(FollowUpStatus::Asked))
        .filter(follow_ups::answer_by.le(now))
        .order((follow_ups::answer_by, follow_ups::id))
        .limit(BATCH)
        .select(follow_ups::id)
        .load(conn)?)
}

/// Runs a step on a follow-up whose patient is locked.
fn with_locked<T>(
    conn: &mut Conn,
    env: &Env,
    id: FollowUpId,
    step: impl FnOnce(&mut Tx<Anonymous>, FollowUp, PlaceOfCare) -> Result<T>,
) -> Result<T> {
    let audit = AuditContext::of_command("ask_follow_ups");
    let tx = &mut Tx::new(conn, env, &Anonymous, &audit);
    let patient = store::find(tx.conn, id)?.patient_id;
    records::lock_visits(tx.conn, patient)?;
    let place = PlaceOfCare::load(tx, patient)?;
    let row = store::find(tx.conn, id)?;
    records::require_same_owner(patient, row.patient_id)?;
    step(tx, row, place)
}

/// Asks a patient if the follow-up is still scheduled and its day has come. Returns whether it did.
fn ask(conn: &mut Conn, env: &Env, id: FollowUpId) -> Result<bool> {
    with_locked(conn, env, id, |tx, row, place| {
        let local = tx.now.in_zone(&place.zone()?);
        let has_begun = row.due_on.0 < local.date() || (row.due_on.0 == local.date() && local.hour() >= HOUR);
        if row.status != FollowUpStatus::Scheduled || !has_begun {
            return Ok(false);
        }
        let days = i64::from(tx.env.config.settings.follow_up_answer_days);
        let asked = FollowUp {
            status: FollowUpStatus::Asked,
            asked_at: Some(tx.now),
            answer_by: Some(tx.now.plus(SignedDuration::from_hours(24 * days))),
            ..row
        };
        let asked = store::update(tx.conn, tx.now, asked)?;
        send(tx, &asked)?;
        Ok(true)
    })
}

/// Mails everyone who answers for the patient, or leaves a call for the desk.
fn send(tx: &mut Tx<Anonymous>, asked: &FollowUp) -> Result<()> {
    let patient = store::patient(tx.conn, asked.patient_id)?;
    let form = ReadingContext::of_holder(tx, &patient, FilledBy::Patient, false)?;
    let accounts = access::of_patient(tx.conn, patient.id)?;
    for told in recipients::of(tx.conn, tx.env, &patient, accounts)? {
        let PatientRecipient { mut recipient, account, is_patient, .. } = told;
        // A minor does not answer alone.
        if is_patient && form.facts.is_minor() {
            recipient.email = None;
        }
        let (token, code) = match recipient.email {
            Some(_) => {
                let email_key = patient.email_key.clone().filter(|_| account.is_none());
                let link = Link { follow_up_id: asked.id, user_id: account, email_key, is_patient };
                let (token, code) = store::issue_link(tx, &link)?;
                (Some(token), Some(code.shown()))
            }
            None => (None, None),
        };
        let name = (!is_patient).then(|| patient.first_name().to_owned());
        let mail = Mail::FollowUp(FollowUpMail { patient: name, token, code });
        let envelope = Envelope { recipient, patient_id: Some(patient.id), appointment_id: None, mail };
        outbox::enqueue(tx.conn, tx.env, &envelope)?;
    }
    Ok(())
}

/// Ends a follow-up that was not answered in time, and schedules the next one.
fn end(conn: &mut Conn, env: &Env, id: FollowUpId) -> Result<()> {
    with_locked(conn, env, id, |tx, row, place| {
        let is_late = row.answer_by.is_some_and(|until| until <= tx.now);
        if row.status != FollowUpStatus::Asked || !is_late {
            return Ok(());
        }
        let missed = close(tx, row, FollowUpStatus::Missed)?;
        schedule_next(tx, &missed, place.day(tx.now)?)
    })
}

/// Starts the periodic task.
pub fn start(env: &Env, stopping: tokio::sync::watch::Receiver<bool>) {
    let env = env.clone();
    periodic::start(stopping, async move || {
        match run(&env).await {
            Ok(0) => {}
            Ok(asked) => tracing::info!(asked, "asked patients for a follow-up"),
            Err(error) => tracing::warn!(%error, "could not ask patients for a follow-up; retrying"),
        }
        INTERVAL
    });
}
