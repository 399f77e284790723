//! Registrations whose address nobody has verified, with the record that they made, unless somebody has worked with it since.

use diesel::prelude::*;
use uuid::Uuid;

use super::retention::Page;
use crate::accounts::closing;
use crate::actor::Role;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{holds, users};
use crate::env::Env;
use crate::error::Result;
use crate::ids::UserId;
use crate::patients::unverified;

/// How many ids are given at once.
const PAGE: i64 = 200;

/// The accounts after an id that were made before an instant and never verified. Those that were disabled stay, so that
/// they cannot be made anew.
///
/// # Errors
/// The database's.
pub fn due(conn: &mut Conn, _: &Env, before: Timestamp, after: Uuid) -> Result<Page> {
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
    Ok(Page { next: ids.last().copied(), ids })
}

/// Deletes such an account, and the records that only it brought.
///
/// # Errors
/// The database's.
pub fn remove(tx: &mut Conn, _: &Env, before: Timestamp, id: Uuid) -> Result<bool> {
    let id = UserId(id);
    if let Conn::Postgres(pg) = tx {
        // So that it is not verified meanwhile.
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
    unverified::forget(tx, id)?;
    diesel::delete(holds::table.filter(holds::user_id.eq(id))).execute(tx)?;
    closing::end(tx, id)?;
    // It never did anything: nothing else names it.
    diesel::delete(users::table.find(id)).execute(tx)?;
    Ok(true)
}
