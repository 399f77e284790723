//! Records that somebody opened for a reason although they have nothing to do with the patient.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use jiff::SignedDuration;

use super::insert;
use super::model::Event;
use crate::actor::Actor;
use crate::db::Conn;
use crate::db::schema::{patients, record_openings};
use crate::env::Env;
use crate::error::Result;
use crate::ids::{ObjectId, PatientId, RecordOpeningId, UserId};
use crate::sealed::{Place, Sealed};

/// Under which name the trail tells of it.
pub const OPERATION: &str = "open_record";

/// Opens a patient's record to the actor for the hours that the settings name, and writes that down with the reason.
///
/// # Errors
/// The database's.
pub fn open(tx: &mut Conn, env: &Env, actor: &Actor, patient: PatientId, reason: &str) -> Result<()> {
    let (id, now): (RecordOpeningId, _) = (env.new_id(), env.now());
    let hours = SignedDuration::from_hours(env.config.settings.record_open_hours.into());
    diesel::insert_into(record_openings::table)
        .values((
            record_openings::id.eq(id),
            record_openings::user_id.eq(actor.user_id),
            record_openings::patient_id.eq(patient),
            record_openings::reason.eq(env.sealer.seal(place(id), &reason.to_owned())?),
            record_openings::opened_at.eq(now),
            record_openings::expires_at.eq(now.plus(hours)),
        ))
        .execute(tx)?;
    actor.trail.note_patient(patient);
    // Its reason is kept with this patient, so it names this one, whatever else the trail is used for.
    insert(tx, env, &actor.trail.aside(OPERATION, id.0).about(patient))
}

/// The reasons of openings, by the ids under which events name them.
///
/// # Errors
/// A fault where one does not open.
pub fn reasons(conn: &mut Conn, env: &Env, openings: Vec<ObjectId>) -> Result<HashMap<ObjectId, String>> {
    let ids: Vec<_> = openings.into_iter().map(|id| RecordOpeningId(id.0)).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(RecordOpeningId, Sealed<String>)> = record_openings::table
        .filter(record_openings::id.eq_any(ids))
        .select((record_openings::id, record_openings::reason))
        .load(conn)?;
    rows.into_iter().map(|(id, reason)| Ok((ObjectId(id.0), env.sealer.open(place(id), &reason)?))).collect()
}

/// Of events that tell of openings those whose opening is not there as they have it, although the patient's record is.
///
/// # Errors
/// The database's.
pub fn missing(conn: &mut Conn, events: Vec<Event>) -> Result<Vec<Event>> {
    let ids: Vec<_> = events.iter().filter_map(|event| Some(RecordOpeningId(event.object_id?.0))).collect();
    let there: Vec<(RecordOpeningId, UserId, PatientId)> = record_openings::table
        .filter(record_openings::id.eq_any(ids))
        .select((record_openings::id, record_openings::user_id, record_openings::patient_id))
        .load(conn)?;
    let patients: Vec<PatientId> = events.iter().filter_map(|event| event.patient_id).collect();
    let patients: HashSet<PatientId> =
        patients::table.filter(patients::id.eq_any(patients)).select(patients::id).load(conn)?.into_iter().collect();
    let stands = |event: &Event| {
        there.iter().any(|(id, user, patient)| {
            event.object_id.is_some_and(|object| object.0 == id.0)
                && event.actor_id == Some(*user)
                && event.patient_id == Some(*patient)
        })
    };
    let is_missing = |event: &Event| event.patient_id.is_some_and(|it| patients.contains(&it)) && !stands(event);
    Ok(events.into_iter().filter(is_missing).collect())
}

fn place(id: RecordOpeningId) -> Place {
    Place::new("record_openings", "reason", id.0)
}
