//! The trail's queries.

use std::collections::HashMap;

use diesel::prelude::*;

use super::model::{AuditOutcome, Event};
use super::shown;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{audit_event_patients, audit_events, users};
use crate::error::Result;
use crate::http::paging::{Cursor, Limit};
use crate::ids::{AuditEventId, ObjectId, PatientId, UserId};

/// Adds events, with the rows of the patients whom they showed. One that is there already stays as it is: what was cut off
/// may have been written after all.
///
/// # Errors
/// The database's.
pub fn insert(tx: &mut Conn, events: &[Event]) -> Result<()> {
    use audit_events::table;
    // A statement for one is kept prepared, one for many is not.
    match (&mut *tx, events) {
        // A trigger leaves what is there.
        (Conn::Sqlite(tx), _) => {
            for event in events {
                diesel::insert_into(table).values(event).execute(tx)?;
            }
        }
        (Conn::Postgres(tx), [event]) => {
            diesel::insert_into(table).values(event).on_conflict_do_nothing().execute(tx)?;
        }
        (Conn::Postgres(tx), events) => {
            diesel::insert_into(table).values(events).on_conflict_do_nothing().execute(tx)?;
        }
    }
    shown::insert(tx, events)
}

/// Which events; all that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of whose record: about it, or showing it among others.
    pub patient_id: Option<PatientId>,
    /// By which account.
    pub actor_id: Option<UserId>,
    /// About this object.
    pub object_id: Option<ObjectId>,
    /// Of which operation.
    pub operation: Option<String>,
    /// That ended so.
    pub outcome: Option<AuditOutcome>,
    /// Then or later.
    pub from: Option<Timestamp>,
    /// Before then.
    pub to: Option<Timestamp>,
}

/// Narrows a query of events to those that fit, without asking for the patient, and orders it by the columns named, the
/// newest first.
macro_rules! narrowed {
    ($query:expr, $at:expr, $id:expr, $filter:expr, $after:expr, $limit:expr) => {{
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
                // In the words of the partial index, which neither engine finds by a parameter.
                query = query.filter(diesel::dsl::sql::<diesel::sql_types::Bool>("audit_events.outcome <> 'success'"));
            }
        }
        if let Some(from) = filter.from {
            query = query.filter($at.ge(from));
        }
        if let Some(to) = filter.to {
            query = query.filter($at.lt(to));
        }
        if let Some(Cursor { at, id }) = $after {
            let id = AuditEventId(id);
            // The first condition is implied by the second; it is what an index can begin at.
            query = query.filter($at.le(at)).filter($at.lt(at).or($at.eq(at).and($id.lt(id))));
        }
        query.order(($at.desc(), $id.desc())).limit($limit.query())
    }};
}

/// A page of events, the newest first. Events of a patient's record are those about it, and those that showed it among
/// others.
///
/// # Errors
/// The database's.
pub fn list(conn: &mut Conn, filter: &Filter, after: Option<Cursor>, limit: Limit) -> Result<Vec<Event>> {
    let Some(patient) = filter.patient_id else {
        let all = narrowed!(audit_events::table, audit_events::at, audit_events::id, filter, after, limit);
        return Ok(all.load(conn)?);
    };
    let about = audit_events::table.filter(audit_events::patient_id.eq(patient));
    let mut events: Vec<Event> =
        narrowed!(about, audit_events::at, audit_events::id, filter, after, limit).load(conn)?;
    // As two queries, each goes along an index of the patient's and reads a page at most.
    let among = audit_event_patients::table
        .inner_join(audit_events::table.on(audit_events::id.eq(audit_event_patients::event_id)))
        .filter(audit_event_patients::patient_id.eq(patient));
    let (at, id) = (audit_event_patients::at, audit_event_patients::event_id);
    events.extend(narrowed!(among, at, id, filter, after, limit).load::<Event>(conn)?);
    events.sort_unstable_by_key(|event| std::cmp::Reverse((event.at, event.id)));
    events.truncate(usize::try_from(limit.query()).unwrap_or(usize::MAX));
    Ok(events)
}

/// The names of accounts.
///
/// # Errors
/// The database's.
pub fn names(conn: &mut Conn, events: &[Event]) -> Result<HashMap<UserId, String>> {
    let ids: Vec<UserId> = events.iter().filter_map(|event| event.actor_id).collect();
    let rows: Vec<(UserId, Option<String>)> =
        users::table.filter(users::id.eq_any(ids)).select((users::id, users::name)).load(conn)?;
    Ok(rows.into_iter().filter_map(|(id, name)| Some((id, name?))).collect())
}
