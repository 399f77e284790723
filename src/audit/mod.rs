//! The audit trail: who did what to whose record. Events are only ever added and are sealed into a chain. The database rejects changes
//! and deletions. Owns the tables `audit_events`, `audit_event_patients`, `audit_seals`, `audit_purges`, `audit_keys` and
//! `record_openings`.
//!
//! A change stores its event in its own transaction ([`record`], called by [`Context::change`](crate::context::Context::change)).
//! Reads, rejections and failures are noted by the [`middleware`] in the [`queue`]. The [`worker`] stores them in batches, and seals.
//! The [`watch`] finds committed events that the database does not have. An event names the patient whom the request is about, and the
//! patients whom its response showed ([`shown`]).

mod anonymous;
pub mod break_glass;
pub mod keys;
pub mod listing;
pub mod middleware;
pub mod model;
pub mod purge;
pub mod queue;
pub mod seal;
pub mod sealing;
pub mod shown;
pub mod store;
pub mod triggers;
pub mod verify;
pub mod watch;
pub mod worker;

pub use self::model::{AuditOutcome, Event};
use self::watch::Committed;

use crate::audit_context::AuditContext;
use crate::db::Conn;
use crate::env::Env;
use crate::error::Result;
use crate::http::Endpoints;
use crate::ids::AuditEventId;

/// Registers the endpoints.
pub fn routes(endpoints: &mut Endpoints) {
    endpoints.service(listing::list_audit_events);
}

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

fn insert(tx: &mut Conn, env: &Env, audit: &AuditContext) -> Result<()> {
    let (id, now): (AuditEventId, _) = (env.new_id(), env.now());
    store::insert(tx, &[Event::new(id, now, &env.signer, audit, AuditOutcome::Success)])?;
    audit.note_stored(Committed { id, at: now });
    Ok(())
}
