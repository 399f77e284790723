//! Drafts that nobody comes back to.

use diesel::prelude::*;
use uuid::Uuid;

use super::drafts;
use super::model::IntakeStatus;
use super::store::Intake;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::intakes;
use crate::env::Env;
use crate::error::Result;
use crate::ids::IntakeId;

/// How many ids are given at once.
const PAGE: i64 = 500;

/// The drafts after an id that nobody has touched since `before`.
///
/// # Errors
/// The database's.
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

/// Discards a draft as if its patient did, if it is still one that nobody has touched since `before`.
///
/// # Errors
/// The database's.
pub fn discard(tx: &mut Conn, env: &Env, before: Timestamp, id: Uuid) -> Result<bool> {
    let id = IntakeId(id);
    if let Conn::Postgres(pg) = tx {
        intakes::table.find(id).select(intakes::id).for_no_key_update().first::<IntakeId>(pg).optional()?;
    }
    let draft: Option<Intake> = intakes::table
        .find(id)
        .filter(intakes::status.eq(IntakeStatus::InProgress))
        .filter(intakes::updated_at.lt(before))
        .select(Intake::as_select())
        .first(tx)
        .optional()?;
    let Some(draft) = draft else { return Ok(false) };
    drafts::forget(tx, env, draft)?;
    Ok(true)
}
