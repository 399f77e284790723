//! The trail's queries.

use std::collections::HashMap;

use diesel::prelude::*;

use super::model::{AuditOutcome, Event};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{audit_events, users};
use crate::error::Result;
use crate::http::paging::{Cursor, Limit};
use crate::ids::{AuditEventId, ObjectId, PatientId, UserId};

/// Adds events. One that is there already stays as it is: what was cut off may have been written after all.
///
/// # Errors
/// The database's.
pub fn insert(tx: &mut Conn, events: &[Event]) -> Result<()> {
    use audit_events::table;
    // A statement for one is kept prepared, one for many is not.
    match (tx, events) {
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
    Ok(())
}

/// Which events; all that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of whose record.
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

/// A page of events, the newest first.
///
/// # Errors
/// The database's.
pub fn list(conn: &mut Conn, filter: &Filter, after: Option<Cursor>, limit: Limit) -> Result<Vec<Event>> {
    let mut query = audit_events::table.select(Event::as_select()).into_boxed();
    if let Some(patient) = filter.patient_id {
        query = query.filter(audit_events::patient_id.eq(patient));
    }
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
        query = query.filter(audit_events::at.ge(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(audit_events::at.lt(to));
    }
    if let Some(Cursor { at, id }) = after {
        let id = AuditEventId(id);
        // The first condition is implied by the second; it is what an index can begin at.
        query = query
            .filter(audit_events::at.le(at))
            .filter(audit_events::at.lt(at).or(audit_events::at.eq(at).and(audit_events::id.lt(id))));
    }
    Ok(query.order((audit_events::at.desc(), audit_events::id.desc())).limit(limit.query()).load(conn)?)
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
