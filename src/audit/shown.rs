//! The patients whom a list or search showed, besides the one patient whom the event itself names.
//!
//! The event stores the ids, so its HMAC covers them. `audit_event_patients` repeats them by patient, so that an index
//! answers who looked at a record. Its rows prove nothing by themselves: [`super::verify`] compares them with the
//! events.

use std::collections::BTreeSet;

use diesel::prelude::*;

use super::model::Event;
use super::patient_ids::PatientIds;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{audit_event_patients, audit_events, audit_seals};
use crate::error::Result;
use crate::ids::{AuditEventId, PatientId};

/// How many rows one statement adds. PostgreSQL takes 65,535 values.
const ROWS: usize = 5_000;

/// A patient whom the response of an event showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_event_patients)]
pub struct Row {
    pub patient_id: PatientId,
    /// The time of the event.
    pub at: Timestamp,
    pub event_id: AuditEventId,
}

/// Adds the rows of new events.
pub fn insert(tx: &mut Conn, events: &[Event]) -> Result<()> {
    let rows = events.iter().flat_map(|event| {
        let ids = event.shown.iter().flat_map(PatientIds::ids);
        ids.map(|patient_id| Row { patient_id, at: event.at, event_id: event.id })
    });
    match tx {
        // One prepared statement, run for each row.
        Conn::Sqlite(tx) => {
            for row in rows {
                diesel::insert_into(audit_event_patients::table).values(row).on_conflict_do_nothing().execute(tx)?;
            }
        }
        Conn::Postgres(tx) => {
            for rows in rows.collect::<Vec<_>>().chunks(ROWS) {
                diesel::insert_into(audit_event_patients::table).values(rows).on_conflict_do_nothing().execute(tx)?;
            }
        }
    }
    Ok(())
}

/// Deletes the rows of the events that a purge deletes: those sealed up to `upto_seq`, the newest of them at `newest`.
/// Call it before the events and their seals are deleted.
pub fn remove(tx: &mut Conn, upto_seq: i64, newest: Timestamp) -> Result<()> {
    let sealed = || audit_seals::table.filter(audit_seals::seq.le(upto_seq)).select(audit_seals::event_id);
    let shown: Vec<Option<PatientIds>> = audit_events::table
        .filter(audit_events::id.eq_any(sealed()))
        .filter(audit_events::shown.is_not_null())
        .select(audit_events::shown)
        .load(tx)?;
    // By patient, because no index leads from an event to its rows.
    let patients: BTreeSet<PatientId> = shown.iter().flatten().flat_map(PatientIds::ids).collect();
    for patient in patients {
        let rows = audit_event_patients::table
            .filter(audit_event_patients::patient_id.eq(patient))
            .filter(audit_event_patients::at.le(newest))
            .filter(audit_event_patients::event_id.eq_any(sealed()));
        diesel::delete(rows).execute(tx)?;
    }
    Ok(())
}

/// Returns how many of an event's rows are missing, although the event exists.
pub fn missing(conn: &mut Conn, event: &Event) -> Result<usize> {
    let Some(shown) = &event.shown else { return Ok(0) };
    let ids: Vec<PatientId> = shown.ids().collect();
    let there: i64 = audit_event_patients::table
        .filter(audit_event_patients::patient_id.eq_any(ids))
        .filter(audit_event_patients::at.eq(event.at))
        .filter(audit_event_patients::event_id.eq(event.id))
        .count()
        .get_result(conn)?;
    let missing = shown.count().saturating_sub(usize::try_from(there).unwrap_or_default());
    if missing == 0 {
        return Ok(0);
    }
    // A purge deletes event and rows together, perhaps since the event was read.
    let event = audit_events::table.find(event.id).select(audit_events::id).first::<AuditEventId>(conn).optional()?;
    Ok(if event.is_some() { missing } else { 0 })
}

/// Reads a page of rows in the table's order, each with whether its event exists and shows its patient.
pub fn page(conn: &mut Conn, after: Option<Row>, limit: i64) -> Result<Vec<(Row, bool)>> {
    use audit_event_patients::dsl;
    let mut query = audit_event_patients::table
        .left_join(audit_events::table.on(audit_events::id.eq(dsl::event_id)))
        .order((dsl::patient_id, dsl::at, dsl::event_id))
        .limit(limit)
        .select((Row::as_select(), audit_events::at.nullable(), audit_events::shown.nullable()))
        .into_boxed();
    if let Some(Row { patient_id, at, event_id }) = after {
        // The second condition implies the first, which lets the index find the start.
        query = query.filter(dsl::patient_id.ge(patient_id)).filter(
            dsl::patient_id.gt(patient_id).or(dsl::at.gt(at)).or(dsl::at.eq(at).and(dsl::event_id.gt(event_id))),
        );
    }
    let rows: Vec<(Row, Option<Timestamp>, Option<PatientIds>)> = query.load(conn)?;
    let is_shown = |(row, at, shown): (Row, Option<Timestamp>, Option<PatientIds>)| {
        let is_named = shown.is_some_and(|shown| shown.ids().any(|id| id == row.patient_id));
        (row, at == Some(row.at) && is_named)
    };
    Ok(rows.into_iter().map(is_shown).collect())
}
