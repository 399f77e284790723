//! Queries of audit events.

use std::collections::HashMap;

use diesel::prelude::*;

use super::model::{AuditOutcome, Event};
use super::shown;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{audit_event_patients, audit_events, patient_merges, patients, users};
use crate::error::{Error, Result};
use crate::http::paging::{Direction, Page, in_order};
use crate::ids::{AuditEventId, ObjectId, PatientId, UserId};

/// Adds events with the rows of the patients whom they showed. An event that exists already is not changed, because an
/// interrupted insert may have succeeded.
///
/// # Errors
/// A fault if the database stored fewer events and reported no error, as with a trigger that ignores rows.
pub fn insert(tx: &mut Conn, events: &[Event]) -> Result<()> {
    use audit_events::table;
    // The statement for one event stays prepared, the one for many does not.
    let count = match (&mut *tx, events) {
        // A trigger ignores existing events.
        (Conn::Sqlite(tx), _) => {
            let insert = |event| diesel::insert_into(table).values(event).execute(tx);
            events.iter().map(insert).sum::<QueryResult<usize>>()?
        }
        (Conn::Postgres(tx), [event]) => {
            diesel::insert_into(table).values(event).on_conflict_do_nothing().execute(tx)?
        }
        (Conn::Postgres(tx), events) => {
            diesel::insert_into(table).values(events).on_conflict_do_nothing().execute(tx)?
        }
    };
    if count != events.len() {
        require_stored(tx, events)?;
    }
    shown::insert(tx, events)
}

/// Requires that the events are stored, by this transaction or an earlier one.
fn require_stored(tx: &mut Conn, events: &[Event]) -> Result<()> {
    let stored = audit_events::table.filter(audit_events::id.eq_any(events.iter().map(|event| event.id)));
    let stored: i64 = stored.count().get_result(tx)?;
    if usize::try_from(stored) == Ok(events.len()) {
        return Ok(());
    }
    Err(Error::fault("the database did not store an audit event, and reported no error"))
}

/// The filter of a list of events. All conditions that are set must match.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The patient whom an event is about, or who was shown among others.
    pub patient_id: Option<PatientId>,
    /// The account.
    pub actor_id: Option<UserId>,
    pub object_id: Option<ObjectId>,
    pub operation: Option<String>,
    pub outcome: Option<AuditOutcome>,
    /// The earliest time, inclusive.
    pub from: Option<Timestamp>,
    /// The latest time, exclusive.
    pub to: Option<Timestamp>,
}

/// Filters a query of events by all but the patient, and cuts the page by the given columns.
macro_rules! narrowed {
    ($query:expr, $at:expr, $id:expr, $filter:expr, $page:expr) => {{
        let (filter, mut query) = ($filter, $query.select(Event::as_select()).into_boxed());
        if let Some(actor) = filter.actor_id {
            query = query.filter(audit_events::actor_id.eq(actor));
        }
        if let Some(object) = filter.object_id {
            query = query.filter(audit_events::object_id.eq(object));
        }
        if let Some(operation) = &filter.operation {
            query = query.filter(audit_events::operation.eq(operation.clone()));
        }
        if let Some(outcome) = filter.outcome {
            query = query.filter(audit_events::outcome.eq(outcome));
            if outcome != AuditOutcome::Success {
                // As the partial index has it. Neither engine uses that index with a parameter.
                query = query.filter(diesel::dsl::sql::<diesel::sql_types::Bool>("audit_events.outcome <> 'success'"));
            }
        }
        if let Some(from) = filter.from {
            query = query.filter($at.ge(from));
        }
        if let Some(to) = filter.to {
            query = query.filter($at.lt(to));
        }
        in_order!(query, $page, $at, $id, AuditEventId)
    }};
}

/// A record whose events count as events of a patient, and the period in which they do.
struct Span {
    record: PatientId,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

/// The records whose events count as events of a patient: the record itself, those that were merged into it, and those that it was merged
/// into, from the merge until its undo, because their uses may have shown data of the merged record.
fn spans(conn: &mut Conn, patient: PatientId) -> Result<Vec<Span>> {
    let merged = patients::table.filter(patients::replaced_by.eq(patient)).order(patients::id).select(patients::id);
    let merged: Vec<PatientId> = merged.load(conn)?;
    let mut spans: Vec<Span> = merged.into_iter().map(|record| Span { record, from: None, to: None }).collect();
    let mut next = vec![Span { record: patient, from: None, to: None }];
    while let Some(span) = next.pop() {
        type Merge = (PatientId, Timestamp, Option<Timestamp>);
        let merges: Vec<Merge> = patient_merges::table
            .filter(patient_merges::duplicate_id.eq(span.record))
            .select((patient_merges::survivor_id, patient_merges::merged_at, patient_merges::undone_at))
            .load(conn)?;
        for (record, merged_at, undone_at) in merges {
            let from = span.from.map_or(merged_at, |from| from.max(merged_at));
            let to = [span.to, undone_at].into_iter().flatten().min();
            if to.is_none_or(|to| from < to) {
                next.push(Span { record, from: Some(from), to });
            }
        }
        spans.push(span);
    }
    Ok(spans)
}

/// Returns the records whose events count as events of a patient, as far as these events need them: most are about the patient's own.
///
/// # Errors
/// Those of the database.
pub fn records(conn: &mut Conn, patient: PatientId, events: &[Event]) -> Result<Vec<PatientId>> {
    if events.iter().all(|event| event.patient_id.is_none_or(|about| about == patient)) {
        return Ok(vec![patient]);
    }
    Ok(spans(conn, patient)?.into_iter().map(|span| span.record).collect())
}

/// Reads a page of events. Events of a patient's record are those about it, and those that showed it among others, of all its [`spans`].
pub fn list(conn: &mut Conn, filter: &Filter, page: &Page) -> Result<Vec<Event>> {
    let Some(patient) = filter.patient_id else {
        let all = narrowed!(audit_events::table, audit_events::at, audit_events::id, filter, page);
        return Ok(all.load(conn)?);
    };
    let mut events: Vec<Event> = Vec::new();
    for Span { record, from, to } in spans(conn, patient)? {
        let filter = &Filter {
            from: [filter.from, from].into_iter().flatten().max(),
            to: [filter.to, to].into_iter().flatten().min(),
            ..filter.clone()
        };
        let about = audit_events::table.filter(audit_events::patient_id.eq(record));
        events.extend(narrowed!(about, audit_events::at, audit_events::id, filter, page).load::<Event>(conn)?);
        // Two queries, because each of them follows an index by patient and reads at most a page.
        let among = audit_event_patients::table
            .inner_join(audit_events::table.on(audit_events::id.eq(audit_event_patients::event_id)))
            .filter(audit_event_patients::patient_id.eq(record));
        let (at, id) = (audit_event_patients::at, audit_event_patients::event_id);
        events.extend(narrowed!(among, at, id, filter, page).load::<Event>(conn)?);
    }
    events.sort_unstable_by_key(|event| (event.at, event.id));
    // An event can be about both records of a merge.
    events.dedup_by_key(|event| event.id);
    if page.direction == Direction::Descending {
        events.reverse();
    }
    events.truncate(usize::try_from(page.rows()).unwrap_or(usize::MAX));
    Ok(events)
}

/// Reads the names of the accounts of events.
pub fn names(conn: &mut Conn, events: &[Event]) -> Result<HashMap<UserId, String>> {
    let ids: Vec<UserId> = events.iter().filter_map(|event| event.actor_id).collect();
    let rows: Vec<(UserId, Option<String>)> =
        users::table.filter(users::id.eq_any(ids)).select((users::id, users::name)).load(conn)?;
    Ok(rows.into_iter().filter_map(|(id, name)| Some((id, name?))).collect())
}
