//! Drafts that were not changed for a long time. The retention rules discard them.

use diesel::prelude::*;
use uuid::Uuid;

use super::drafts;
use super::model::IntakeStatus;
use super::store::{self, Intake};
use crate::audit_context::AuditContext;
use crate::clock::Timestamp;
use crate::context::{Anonymous, Tx};
use crate::db::Conn;
use crate::db::schema::{intakes, patients};
use crate::env::Env;
use crate::error::Result;
use crate::ids::IntakeId;
use crate::patients::model::Patient;
use crate::patients::store as records;

/// The largest number of ids returned at once.
const PAGE: i64 = 500;

/// Returns drafts that were last changed before this time, by id after `after`.
pub fn due(conn: &mut Conn, before: Timestamp, after: Uuid) -> Result<Vec<Uuid>> {
    let ids: Vec<IntakeId> = intakes::table
        .filter(intakes::status.eq(IntakeStatus::InProgress))
        .filter(intakes::updated_at.lt(before))
        .filter(intakes::id.gt(IntakeId(after)))
        .order(intakes::id)
        .limit(PAGE)
        .select(intakes::id)
        .load(conn)?;
    Ok(ids.into_iter().map(|id| id.0).collect())
}

/// Discards an intake if it is still a draft that was last changed before this time. Returns whether it did.
pub fn discard(conn: &mut Conn, env: &Env, before: Timestamp, id: Uuid) -> Result<bool> {
    let id = IntakeId(id);
    // Also a record that was retired.
    let Some(owner) = store::owner(conn, id)? else { return Ok(false) };
    records::lock_record(conn, owner)?;
    let draft: Option<Intake> = intakes::table
        .find(id)
        .filter(intakes::status.eq(IntakeStatus::InProgress))
        .filter(intakes::updated_at.lt(before))
        .select(Intake::as_select())
        .first(conn)
        .optional()?;
    let Some(draft) = draft else { return Ok(false) };
    records::require_same_owner(owner, draft.patient_id)?;
    let patient: Patient = patients::table.find(draft.patient_id).select(Patient::as_select()).first(conn)?;
    let audit = AuditContext::of_command("discard stale drafts");
    drafts::delete_answers(&mut Tx::new(conn, env, &Anonymous, &audit), draft, &patient)?;
    Ok(true)
}
