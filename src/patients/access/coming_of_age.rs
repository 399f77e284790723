//! The mails before a patient becomes an adult: to the accounts whose access ends then, and to the young patient. They only inform; the
//! access ends by the clock.

use std::time::Duration;

use diesel::prelude::*;
use jiff::SignedDuration;

use super::{Access, active, end_times, of_patient};
use crate::accounts::model::User;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{patient_access, patients, users};
use crate::db::types::Date;
use crate::env::Env;
use crate::error::Result;
use crate::ids::PatientId;
use crate::messages::model::{BirthdayMail, Envelope, Mail, Recipient};
use crate::messages::outbox;
use crate::patients::model::{Patient, Relation};
use crate::patients::recipients;
use crate::periodic;

const INTERVAL: Duration = Duration::from_hours(1);

/// Sends each due mail once. Returns the number of patients.
pub async fn notify_all(env: &Env) -> Result<usize> {
    let shared = env.clone();
    let due = env.db.read(move |conn| due(conn, &shared)).await?;
    for patient in &due {
        let (shared, id) = (env.clone(), *patient);
        periodic::go_on(
            env.db.write(move |conn| notify(conn, &shared, id)).await,
            id,
            "a birthday could not be announced",
        )?;
    }
    Ok(due.len())
}

/// The latest end of access whose mails are due now.
fn horizon(env: &Env) -> Timestamp {
    env.now().plus(SignedDuration::from_hours(24 * i64::from(env.config.settings.access_end_notice_days)))
}

/// Loads the patients with mails that are due.
fn due(conn: &mut Conn, env: &Env) -> Result<Vec<PatientId>> {
    Ok(patient_access::table
        .inner_join(users::table.on(users::id.eq(patient_access::user_id)))
        .filter(patient_access::ends_at.is_not_null())
        .filter(active(env.now()))
        .filter(patient_access::ends_at.le(horizon(env)))
        .filter(patient_access::end_told_at.is_null())
        .filter(users::email_verified_at.is_not_null())
        .filter(users::disabled_at.is_null())
        .order(patient_access::patient_id)
        .select(patient_access::patient_id)
        .distinct()
        .load(conn)?)
}

/// Sends the mails to the accounts that have not got one, and the mail to the young patient together with the first of them.
fn notify(conn: &mut Conn, env: &Env, id: PatientId) -> Result<()> {
    // The lock makes only one of several instances send the mails.
    if let Conn::Postgres(conn) = conn {
        patients::table.find(id).select(patients::id).for_no_key_update().first::<PatientId>(conn)?;
    }
    let patient: Patient = patients::table.find(id).select(Patient::as_select()).first(conn)?;
    let (now, horizon) = (env.now(), horizon(env));
    let all = of_patient(conn, id)?;
    let ending = |access: &Access| access.is_active(now) && access.ends_at.is_some_and(|end| end <= horizon);
    let mut first = !all.iter().any(|(access, _)| ending(access) && access.end_told_at.is_some());
    for (access, user) in &all {
        let Some(on) = access.ends_on.filter(|_| ending(access) && access.end_told_at.is_none()) else { continue };
        if !recipients::has_mailbox(user) {
            continue;
        }
        send(conn, env, &patient, user.recipient(), Mail::AccessEnds(birthday(&patient, on)))?;
        if std::mem::take(&mut first) {
            notify_young_patient(conn, env, &patient, &all, on)?;
        }
        diesel::update(patient_access::table.find((access.user_id, id)))
            .set(patient_access::end_told_at.eq(now))
            .execute(conn)?;
    }
    Ok(())
}

fn birthday(patient: &Patient, on: Date) -> BirthdayMail {
    BirthdayMail { patient: patient.first_name().to_owned(), on }
}

fn notify_young_patient(conn: &mut Conn, env: &Env, patient: &Patient, all: &[(Access, User)], on: Date) -> Result<()> {
    let mut recipient = recipients::own(patient, all).recipient;
    // A mail to the address of another account would not reach the patient. The clinic calls a patient without an own address.
    recipient.email = recipient.email.filter(|email| {
        let key = email.to_lowercase();
        !all.iter().any(|(access, user)| access.relation != Relation::Oneself && user.email_key == key)
    });
    send(conn, env, patient, recipient, Mail::ComingOfAge(birthday(patient, on)))
}

fn send(conn: &mut Conn, env: &Env, patient: &Patient, recipient: Recipient, mail: Mail) -> Result<()> {
    outbox::enqueue(conn, env, &Envelope { recipient, patient_id: Some(patient.id), appointment_id: None, mail })?;
    Ok(())
}

/// Starts the periodic task: it computes the ends of access again once, then sends the due mails every hour.
pub fn start(env: &Env, stopping: tokio::sync::watch::Receiver<bool>) {
    let env = env.clone();
    let mut ends_are_current = false;
    periodic::start(stopping, async move || {
        if !ends_are_current {
            match end_times::update_all_ends(&env).await {
                Ok(changed) => {
                    ends_are_current = true;
                    if changed > 0 {
                        tracing::info!(changed, "ends of access changed with ADULT_AGE");
                    }
                }
                Err(error) => tracing::warn!(%error, "could not update the ends of access; retrying in an hour"),
            }
        }
        match notify_all(&env).await {
            Ok(0) => {}
            Ok(patients) => tracing::info!(patients, "sent mails before the age of adulthood"),
            Err(error) => {
                tracing::warn!(%error, "could not send mails before the age of adulthood; retrying in an hour");
            }
        }
        INTERVAL
    });
}
