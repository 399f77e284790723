//! Storing the event of a change in its transaction.

use super::model::{AuditOutcome, Event};
use super::store;
use super::watch::Committed;
use crate::audit_context::AuditContext;
use crate::db::Conn;
use crate::env::Env;
use crate::error::Result;
use crate::ids::AuditEventId;

/// Stores the event of a request, in the transaction of its effect. `object` is the id of the object that it creates or changes. Call
/// it after all patients are noted whom the response shows.
pub fn record(tx: &mut Conn, env: &Env, audit: &AuditContext, object: impl Into<Option<uuid::Uuid>>) -> Result<()> {
    if let Some(object) = object.into() {
        audit.note_object(object);
    }
    insert(tx, env, audit)?;
    audit.note_recorded();
    Ok(())
}

/// Stores an event beside the request's own one, with its own operation name: a record opened with a reason, or a session ended
/// because its token was used twice.
pub fn record_as(tx: &mut Conn, env: &Env, audit: &AuditContext, operation: &str, object: uuid::Uuid) -> Result<()> {
    insert(tx, env, &audit.aside(operation, object))
}

pub(super) fn insert(tx: &mut Conn, env: &Env, audit: &AuditContext) -> Result<()> {
    let (id, now): (AuditEventId, _) = (env.new_id(), env.now());
    store::insert(tx, &[Event::new(id, now, &env.signer, audit, AuditOutcome::Success)])?;
    audit.note_stored(Committed { id, at: now });
    Ok(())
}
