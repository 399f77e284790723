//! The clinic's first location. Where the clinic as a whole needs a country, a time zone or a telephone number, those of its first
//! location count. The table belongs to scheduling, but layers below scheduling need these values.

use diesel::prelude::*;

use crate::db::Conn;
use crate::db::schema::locations;
use crate::error::Result;

/// The clinic's first location, the oldest one.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = locations)]
pub struct FirstLocation {
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// The IANA name of the time zone.
    pub time_zone: String,
    /// The telephone number in E.164.
    pub phone: String,
}

/// Loads the clinic's first location; none if the clinic has no location yet.
pub fn first_location(conn: &mut Conn) -> Result<Option<FirstLocation>> {
    let oldest = locations::table.order((locations::created_at, locations::id));
    Ok(oldest.select(FirstLocation::as_select()).first(conn).optional()?)
}
