//! Break-glass access: records that practitioners without a care relationship opened with a reason.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use jiff::SignedDuration;

use super::model::Event;
use super::recording::insert;
use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::config::MAX_RECORD_OPEN_HOURS;
use crate::db::Conn;
use crate::db::schema::{audit_events, patients, record_openings};
use crate::env::Env;
use crate::error::Result;
use crate::ids::{ObjectId, PatientId, RecordOpeningId, UserId};
use crate::sealed::{Place, Sealed, Sealer};

/// The operation of its events.
pub const OPERATION: &str = "open_record";

/// The greatest difference between the times of an opening and its event.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(1);
/// The greatest value of `RECORD_OPEN_HOURS`.
const MAX_DURATION: SignedDuration = SignedDuration::from_hours(MAX_RECORD_OPEN_HOURS);

/// Opens a patient's record to the actor for the hours in the settings, and records the event with its reason.
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
    actor.audit.note_patient(patient);
    // The reason is about this patient, so the event names this patient, whichever one the request is about.
    insert(tx, env, &actor.audit.aside(OPERATION, id.0).about(patient))
}

/// Reads the reasons of openings, by the object ids of their events. A reason that cannot be decrypted is left out and
/// logged, so that the rest of the trail stays readable.
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
            Err(error) => tracing::error!(%error, "the reason of a break-glass access cannot be decrypted"),
        }
    }
    Ok(reasons)
}

/// An opening's row.
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
    /// Returns how its row differs from its event.
    fn fault(&self, sealer: &Sealer, event: &Event) -> Option<&'static str> {
        let (earliest, latest) = (event.at.minus(CLOCK_TOLERANCE), event.at.plus(CLOCK_TOLERANCE));
        if event.actor_id != Some(self.user_id) || event.patient_id != Some(self.patient_id) {
            Some("belongs to another account or patient")
        } else if sealer.open(place(self.id), &self.reason).is_err() {
            Some("cannot be decrypted: it was changed, or its key is missing")
        } else if self.opened_at < earliest || self.opened_at > latest {
            Some("has another time")
        } else if self.expires_at > self.opened_at.plus(MAX_DURATION) {
            Some("opens the record for longer than any setting allows")
        } else {
            None
        }
    }
}

/// Compares events of openings with the openings' rows and returns the differences. A row that was deleted with the
/// patient's record is no difference.
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

/// A page of openings, ordered by id.
pub struct Page {
    /// The last id of the page. None if the page is empty.
    pub last: Option<RecordOpeningId>,
    /// The openings without an event.
    pub without_event: Vec<(RecordOpeningId, Timestamp)>,
}

/// Finds openings without an event. A purge may have removed the event of an opening before `since`. Such an opening
/// counts only if it opens the record for longer than any setting allows.
pub fn find_without_event(
    conn: &mut Conn,
    after: Option<RecordOpeningId>,
    since: Option<Timestamp>,
    limit: i64,
) -> Result<Page> {
    let mut query = record_openings::table.select(Opening::as_select()).into_boxed();
    if let Some(after) = after {
        query = query.filter(record_openings::id.gt(after));
    }
    let rows: Vec<Opening> = query.order(record_openings::id).limit(limit).load(conn)?;
    let ids: Vec<ObjectId> = rows.iter().map(|row| ObjectId(row.id.0)).collect();
    let with_event: Vec<Option<ObjectId>> = audit_events::table
        .filter(audit_events::object_id.eq_any(ids))
        .filter(audit_events::operation.eq(OPERATION))
        .select(audit_events::object_id)
        .load(conn)?;
    let with_event: HashSet<ObjectId> = with_event.into_iter().flatten().collect();
    let last = rows.last().map(|row| row.id);
    let has_no_event = |row: &Opening| {
        let may_be_purged = since.is_some_and(|since| row.opened_at < since.plus(CLOCK_TOLERANCE));
        !(with_event.contains(&ObjectId(row.id.0))
            || may_be_purged && row.expires_at <= row.opened_at.plus(MAX_DURATION))
    };
    let without_event = rows.into_iter().filter(has_no_event).map(|row| (row.id, row.opened_at)).collect();
    Ok(Page { last, without_event })
}

fn place(id: RecordOpeningId) -> Place {
    Place::new("record_openings", "reason", id.0)
}
