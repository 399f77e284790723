//! A practitioner as stored.

use diesel::prelude::*;

use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::practitioners;
use crate::error::Result;
use crate::identifiers::Identifiers;
use crate::ids::PractitionerId;

/// A practitioner's row.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = practitioners)]
pub struct Practitioner {
    pub id: PractitionerId,
    /// The name, as patients see it.
    pub name: String,
    /// Whether patients can be booked with them.
    pub active: bool,
    /// The identifiers that other systems use for them.
    pub identifiers: Identifiers,
    /// The version of the practitioner with visit types and locations. Grows with each change.
    pub version: i32,
    /// The version of the weekly hours. Grows with each change.
    pub availability_version: i32,
    /// The time at which they were created.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
}

/// Loads a practitioner.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound).
pub fn find(conn: &mut Conn, id: PractitionerId) -> Result<Practitioner> {
    Ok(practitioners::table.find(id).select(Practitioner::as_select()).first(conn)?)
}

/// Loads a practitioner and locks them against other changes of them and of their hours. The lock is `FOR NO KEY UPDATE`, because
/// a booking that has locked its slots must be able to refer to the practitioner.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound).
pub fn lock(conn: &mut Conn, id: PractitionerId) -> Result<Practitioner> {
    if let Conn::Postgres(conn) = conn {
        practitioners::table
            .find(id)
            .select(practitioners::id)
            .for_no_key_update()
            .first::<PractitionerId>(conn)
            .optional()?;
    }
    find(conn, id)
}
