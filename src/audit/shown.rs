//! The patients whom a list or search showed, besides the one patient whom the event itself names.
//!
//! The event stores the ids, so its HMAC covers them. `audit_event_patients` repeats them by patient, so that an index
//! answers who looked at a record. Its rows prove nothing by themselves: [`super::verify`] compares them with the
//! events.

use std::collections::BTreeSet;

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql};
use diesel::prelude::*;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Binary;

use super::model::Event;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{audit_event_patients, audit_events, audit_seals};
use crate::error::Result;
use crate::ids::{AuditEventId, PatientId};

/// The bytes of an id.
const ID: usize = 16;
/// How many rows one statement adds. PostgreSQL takes 65,535 values.
const ROWS: usize = 5_000;

/// Patients' ids in ascending order, one after the other as bytes. There is at least one.
#[derive(Debug, Clone, PartialEq, Eq, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
#[diesel(sql_type = Binary)]
pub struct PatientIds(Vec<u8>);

impl PatientIds {
    /// Takes ids in ascending order. Returns none for an empty list.
    pub fn new(ids: &[PatientId]) -> Option<Self> {
        (!ids.is_empty()).then(|| Self(ids.iter().flat_map(|id| *id.0.as_bytes()).collect()))
    }

    /// Returns the bytes for the database.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the number of ids.
    pub fn count(&self) -> usize {
        self.0.len() / ID
    }

    /// Returns the ids.
    pub fn ids(&self) -> impl Iterator<Item = PatientId> {
        self.0.chunks_exact(ID).filter_map(|bytes| uuid::Uuid::from_slice(bytes).ok()).map(PatientId)
    }
}

// Accepts any bytes. The HMAC shows whether they are what was signed.
impl<DB: Backend> FromSql<Binary, DB> for PatientIds
where
    Vec<u8>: FromSql<Binary, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Vec::<u8>::from_sql(value).map(Self)
    }
}

impl<DB: Backend> ToSql<Binary, DB> for PatientIds
where
    [u8]: ToSql<Binary, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.0.as_slice().to_sql(out)
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_were_written() {
        let ids: Vec<_> = (1..=3).map(|number| PatientId(uuid::Uuid::from_u128(number))).collect();
        let shown = PatientIds::new(&ids).expect("some");
        assert_eq!((shown.ids().collect::<Vec<_>>(), shown.count()), (ids, 3));
        assert_eq!(PatientIds::new(&[]), None);
        // A person with access to the database may write any bytes.
        assert_eq!(PatientIds(vec![7; 17]).ids().count(), 1);
    }
}
