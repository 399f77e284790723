//! Who did what to whose record: lines that are only ever added, sealed into a chain, and refused by the database to
//! whoever would change or delete them.
//!
//! What changes something writes its event in its own transaction, with [`record`]; all else (reads, refusals, failures) is
//! noted at the edge of the service ([`edge`]) and written in batches ([`queue`]), which seals as well. An event names the
//! patient whom the request is about, and the patients whom its response showed ([`shown`]).

pub mod api;
pub mod edge;
pub mod keys;
pub mod model;
pub mod openings;
pub mod purge;
pub mod queue;
pub mod seal;
pub mod shown;
pub mod store;
pub mod verify;

pub use self::model::{AuditOutcome, Event};

use crate::db::Conn;
use crate::env::Env;
use crate::error::Result;
use crate::ids::AuditEventId;
use crate::trail::Trail;

/// Writes down what a request does, in the transaction that does it. `object` is the id of what it makes or changes. Call it
/// when the patients whom the response shows are noted.
///
/// # Errors
/// The database's.
pub fn record(tx: &mut Conn, env: &Env, trail: &Trail, object: impl Into<Option<uuid::Uuid>>) -> Result<()> {
    if let Some(object) = object.into() {
        trail.note_object(object);
    }
    insert(tx, env, trail)?;
    trail.note_recorded();
    Ok(())
}

/// Writes down something that happens along with a request, under a name of its own: a record opened for a reason, a
/// session ended because its token was used twice.
///
/// # Errors
/// The database's.
pub fn record_as(tx: &mut Conn, env: &Env, trail: &Trail, operation: &str, object: uuid::Uuid) -> Result<()> {
    insert(tx, env, &trail.aside(operation, object))
}

fn insert(tx: &mut Conn, env: &Env, trail: &Trail) -> Result<()> {
    let (id, now): (AuditEventId, _) = (env.new_id(), env.now());
    store::insert(tx, &[Event::new(id, now, &env.signer, trail, AuditOutcome::Success)])
}
