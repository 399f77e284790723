//! Retention of registrations whose address was not verified, with the records that they created and that were not used since.

use diesel::prelude::*;
use uuid::Uuid;

use super::due::DuePage;
use crate::accounts::closing;
use crate::actor::Role;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{holds, users};
use crate::env::Env;
use crate::error::Result;
use crate::ids::UserId;
use crate::patients::unverified;

/// The most ids of a page.
const PAGE: i64 = 200;

/// Loads the accounts after an id that were created before an instant and never verified. Disabled accounts stay, so that they cannot be
/// created again.
pub fn due(conn: &mut Conn, _: &Env, before: Timestamp, after: Uuid) -> Result<DuePage> {
    let ids: Vec<UserId> = users::table
        .filter(users::id.gt(UserId(after)))
        .filter(users::role.eq(Role::Patient))
        .filter(users::email_verified_at.is_null())
        .filter(users::disabled_at.is_null())
        .filter(users::created_at.lt(before))
        .order(users::id)
        .limit(PAGE)
        .select(users::id)
        .load(conn)?;
    let ids: Vec<Uuid> = ids.into_iter().map(|id| id.0).collect();
    Ok(DuePage { next: ids.last().copied(), ids })
}

/// Deletes such an account, and the unused records that it created. Returns whether there was one.
pub fn remove(tx: &mut Conn, _: &Env, before: Timestamp, id: Uuid) -> Result<bool> {
    let id = UserId(id);
    if let Conn::Postgres(pg) = tx {
        // The lock keeps it from being verified meanwhile.
        users::table.find(id).select(users::id).for_update().first::<UserId>(pg).optional()?;
    }
    let unverified = users::table
        .find(id)
        .filter(users::email_verified_at.is_null())
        .filter(users::created_at.lt(before))
        .select(users::id);
    if unverified.first::<UserId>(tx).optional()?.is_none() {
        return Ok(false);
    }
    unverified::discard(tx, id)?;
    diesel::delete(holds::table.filter(holds::user_id.eq(id))).execute(tx)?;
    closing::end(tx, id)?;
    // It was never used, so nothing else refers to it.
    diesel::delete(users::table.find(id)).execute(tx)?;
    Ok(true)
}
