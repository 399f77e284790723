//! Records that somebody opened for a reason although they have nothing to do with the patient.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use jiff::SignedDuration;

use super::insert;
use super::model::Event;
use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::config::RECORD_OPEN_HOURS_MAX;
use crate::db::Conn;
use crate::db::schema::{patients, record_openings};
use crate::env::Env;
use crate::error::Result;
use crate::ids::{ObjectId, PatientId, RecordOpeningId, UserId};
use crate::sealed::{Place, Sealed, Sealer};

/// Under which name the trail tells of it.
pub const OPERATION: &str = "open_record";

/// How far apart the clock may have been when an opening and its event were written.
const APART: SignedDuration = SignedDuration::from_mins(1);
/// The longest that `RECORD_OPEN_HOURS` may say.
const LONGEST: SignedDuration = SignedDuration::from_hours(RECORD_OPEN_HOURS_MAX);

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

/// The reasons of openings, by the ids under which events name them. One that does not open is left out and logged: the
/// rest of the trail must stay readable.
///
/// # Errors
/// The database's.
pub fn reasons(conn: &mut Conn, env: &Env, openings: Vec<ObjectId>) -> Result<HashMap<ObjectId, String>> {
    let ids: Vec<_> = openings.into_iter().map(|id| RecordOpeningId(id.0)).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(RecordOpeningId, Sealed<String>)> = record_openings::table
        .filter(record_openings::id.eq_any(ids))
        .select((record_openings::id, record_openings::reason))
        .load(conn)?;
    let mut reasons = HashMap::new();
    for (id, reason) in rows {
        match env.sealer.open(place(id), &reason) {
            Ok(reason) => {
                reasons.insert(ObjectId(id.0), reason);
            }
            Err(error) => tracing::error!(%error, "the reason of an opened record cannot be read"),
        }
    }
    Ok(reasons)
}

/// A row as it stands in the database.
#[derive(Queryable, Selectable)]
#[diesel(table_name = record_openings)]
struct Opening {
    id: RecordOpeningId,
    user_id: UserId,
    patient_id: PatientId,
    reason: Sealed<String>,
    opened_at: Timestamp,
    expires_at: Timestamp,
}

impl Opening {
    /// What its row says otherwise than its event.
    fn fault(&self, sealer: &Sealer, event: &Event) -> Option<&'static str> {
        let (earliest, latest) = (event.at.minus(APART), event.at.plus(APART));
        if event.actor_id != Some(self.user_id) || event.patient_id != Some(self.patient_id) {
            Some("belongs to another account or patient")
        } else if sealer.open(place(self.id), &self.reason).is_err() {
            Some("cannot be read: it was changed, or its key is not there")
        } else if self.opened_at < earliest || self.opened_at > latest {
            Some("stands at another time")
        } else if self.expires_at > self.opened_at.plus(LONGEST) {
            Some("opens the record for longer than any setting does")
        } else {
            None
        }
    }
}

/// Compares events that tell of openings with the openings' rows, and says what is wrong with which. What is gone with the
/// patient's record is not wrong.
///
/// # Errors
/// The database's.
pub fn faults(conn: &mut Conn, sealer: &Sealer, events: Vec<Event>) -> Result<Vec<(Event, &'static str)>> {
    let ids: Vec<_> = events.iter().filter_map(|event| Some(RecordOpeningId(event.object_id?.0))).collect();
    let rows: Vec<Opening> =
        record_openings::table.filter(record_openings::id.eq_any(ids)).select(Opening::as_select()).load(conn)?;
    let rows: HashMap<ObjectId, Opening> = rows.into_iter().map(|row| (ObjectId(row.id.0), row)).collect();
    let patients: Vec<PatientId> = events.iter().filter_map(|event| event.patient_id).collect();
    let patients: HashSet<PatientId> =
        patients::table.filter(patients::id.eq_any(patients)).select(patients::id).load(conn)?.into_iter().collect();
    let fault = |event: &Event| match event.object_id.and_then(|id| rows.get(&id)) {
        Some(row) => row.fault(sealer, event),
        None => Some("was removed").filter(|_| event.patient_id.is_some_and(|it| patients.contains(&it))),
    };
    Ok(events.into_iter().filter_map(|event| fault(&event).map(|fault| (event, fault))).collect())
}

fn place(id: RecordOpeningId) -> Place {
    Place::new("record_openings", "reason", id.0)
}
