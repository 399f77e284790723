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
pub mod changes;
pub mod keys;
pub mod listing;
pub mod middleware;
pub mod model;
pub mod patient_ids;
pub mod purge;
pub mod queue;
pub mod recording;
pub mod seal;
pub mod sealing;
pub mod shown;
pub mod store;
pub mod triggers;
pub mod verify;
pub mod watch;
mod watch_check;
pub mod worker;

pub use self::model::{AuditOutcome, Event};
pub use self::recording::{record, record_as};
use crate::http::Endpoints;

/// Registers the endpoints.
pub fn routes(endpoints: &mut Endpoints) {
    endpoints.service(listing::list_audit_events);
}
