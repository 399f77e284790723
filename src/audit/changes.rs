//! The changes of patients' records that the audit trail has.

use diesel::prelude::*;

use super::break_glass;
use super::model::AuditOutcome;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{audit_event_patients, audit_events};
use crate::error::Result;
use crate::ids::{AuditEventId, ObjectId, PatientId};

/// A successful change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Queryable)]
pub struct RecordedChange {
    /// The time.
    pub at: Timestamp,
    /// The event.
    pub id: AuditEventId,
    /// The operation's id in the API's document.
    pub operation: String,
    /// The object that was changed.
    pub object_id: Option<ObjectId>,
}

/// Loads the changes since a time whose events name one of the patients, oldest first. The event of a change is stored in its transaction.
///
/// Leaves out reads, whose operations begin with `get`, `list` or `view` (a test of the document requires it), and the opening of a record.
pub fn of_patients(conn: &mut Conn, patients: &[PatientId], since: Timestamp) -> Result<Vec<RecordedChange>> {
    let columns = (audit_events::at, audit_events::id, audit_events::operation, audit_events::object_id);
    let is_change = || {
        audit_events::outcome
            .eq(AuditOutcome::Success)
            .and(audit_events::operation.not_like("get%"))
            .and(audit_events::operation.not_like("list%"))
            .and(audit_events::operation.not_like("view%"))
            .and(audit_events::operation.ne(break_glass::OPERATION))
    };
    let about = audit_events::table
        .filter(audit_events::patient_id.eq_any(patients))
        .filter(audit_events::at.ge(since))
        .filter(is_change());
    let mut found: Vec<RecordedChange> = about.select(columns).load(conn)?;
    let beside_others = audit_event_patients::table
        .inner_join(audit_events::table.on(audit_events::id.eq(audit_event_patients::event_id)))
        .filter(audit_event_patients::patient_id.eq_any(patients))
        .filter(audit_event_patients::at.ge(since))
        .filter(is_change());
    found.extend(beside_others.select(columns).load::<RecordedChange>(conn)?);
    found.sort_unstable();
    found.dedup();
    Ok(found)
}
