//! The mails before somebody comes of age: to those whose access ends then, and to the young person. Nothing depends on
//! them: the access ends by the clock.

use std::time::Duration;

use diesel::prelude::*;
use jiff::SignedDuration;

use super::access::{self, Access};
use super::model::{Patient, Relation};
use super::recipients;
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
use crate::rounds;

/// How often it is looked at.
const ROUND: Duration = Duration::from_hours(1);

/// Mails everybody who is due, once, and says for how many patients that was.
///
/// # Errors
/// The database's.
pub async fn tell_all(env: &Env) -> Result<usize> {
    let shared = env.clone();
    let due = env.db.read(move |conn| due(conn, &shared)).await?;
    for patient in &due {
        let (shared, id) = (env.clone(), *patient);
        env.db.write(move |tx| tell(tx, &shared, id)).await?;
    }
    Ok(due.len())
}

/// The last instant whose ends are told of now.
fn horizon(env: &Env) -> Timestamp {
    env.now().plus(SignedDuration::from_hours(24 * i64::from(env.config.settings.access_end_notice_days)))
}

/// The patients of whose coming of age somebody is still to be told.
fn due(conn: &mut Conn, env: &Env) -> Result<Vec<PatientId>> {
    Ok(patient_access::table
        .inner_join(users::table.on(users::id.eq(patient_access::user_id)))
        .filter(patient_access::ends_at.is_not_null())
        .filter(access::standing(env.now()))
        .filter(patient_access::ends_at.le(horizon(env)))
        .filter(patient_access::end_told_at.is_null())
        .filter(users::email_verified_at.is_not_null())
        .filter(users::disabled_at.is_null())
        .order(patient_access::patient_id)
        .select(patient_access::patient_id)
        .distinct()
        .load(conn)?)
}

/// Tells those who act for the patient and have not been told; and the young person with the first of them.
fn tell(tx: &mut Conn, env: &Env, id: PatientId) -> Result<()> {
    // Locked, so that of several instances one tells.
    if let Conn::Postgres(tx) = tx {
        patients::table.find(id).select(patients::id).for_no_key_update().first::<PatientId>(tx)?;
    }
    let patient: Patient = patients::table.find(id).select(Patient::as_select()).first(tx)?;
    let (now, horizon) = (env.now(), horizon(env));
    let all = access::of_patient(tx, id)?;
    let ending = |access: &Access| access.stands(now) && access.ends_at.is_some_and(|end| end <= horizon);
    let mut first = !all.iter().any(|(access, _)| ending(access) && access.end_told_at.is_some());
    for (access, user) in &all {
        let Some(on) = access.ends_on.filter(|_| ending(access) && access.end_told_at.is_none()) else { continue };
        if user.email_verified_at.is_none() || user.disabled_at.is_some() {
            continue;
        }
        send(tx, env, &patient, user.recipient(), Mail::AccessEnds(birthday(&patient, on)))?;
        if std::mem::take(&mut first) {
            tell_young_person(tx, env, &patient, &all, on)?;
        }
        diesel::update(patient_access::table.find((access.user_id, id)))
            .set(patient_access::end_told_at.eq(now))
            .execute(tx)?;
    }
    Ok(())
}

fn birthday(patient: &Patient, on: Date) -> BirthdayMail {
    BirthdayMail { patient: patient.first_name().to_owned(), on }
}

fn tell_young_person(tx: &mut Conn, env: &Env, patient: &Patient, all: &[(Access, User)], on: Date) -> Result<()> {
    let mut recipient = recipients::own(patient, all).recipient;
    // At an address of those who act for them it would not reach them; without one of their own they are called.
    recipient.email = recipient.email.filter(|email| {
        let key = email.to_lowercase();
        !all.iter().any(|(access, user)| access.relation != Relation::Oneself && user.email_key == key)
    });
    send(tx, env, patient, recipient, Mail::ComingOfAge(birthday(patient, on)))
}

fn send(tx: &mut Conn, env: &Env, patient: &Patient, recipient: Recipient, mail: Mail) -> Result<()> {
    outbox::enqueue(tx, env, &Envelope { recipient, patient_id: Some(patient.id), appointment_id: None, mail })?;
    Ok(())
}

/// Reckons the ends of access anew at the start, then tells whoever is due, and again every hour until told to stop.
pub fn start(env: &Env, stopping: tokio::sync::watch::Receiver<bool>) {
    let env = env.clone();
    let mut reckoned = false;
    rounds::start(stopping, async move || {
        if !reckoned {
            match access::reckon_all(&env).await {
                Ok(changed) => {
                    reckoned = true;
                    if changed > 0 {
                        tracing::info!(changed, "access ends on another day, as ADULT_AGE says");
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the ends of access could not be reckoned; tried again in an hour");
                }
            }
        }
        match tell_all(&env).await {
            Ok(0) => {}
            Ok(patients) => tracing::info!(patients, "told of a coming of age"),
            Err(error) => tracing::warn!(%error, "nobody could be told of a coming of age; tried again in an hour"),
        }
        ROUND
    });
}
