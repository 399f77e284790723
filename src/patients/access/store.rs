//! Locking and storing the row of an access.

use diesel::prelude::*;

use super::Access;
use crate::db::Conn;
use crate::db::schema::patient_access;
use crate::error::Result;
use crate::ids::{PatientId, UserId};

/// Locks an account's access to a patient and loads it.
pub fn lock(conn: &mut Conn, key: (UserId, PatientId)) -> Result<Option<Access>> {
    let access = patient_access::table.find(key);
    if let Conn::Postgres(pg) = conn {
        let _: Option<UserId> = access.select(patient_access::user_id).for_no_key_update().first(pg).optional()?;
    }
    Ok(access.select(Access::as_select()).first(conn).optional()?)
}

/// Stores access whose row exists.
pub fn replace(conn: &mut Conn, access: &Access) -> Result<()> {
    let row = patient_access::table.find((access.user_id, access.patient_id));
    diesel::update(row).set(access).execute(conn)?;
    Ok(())
}
