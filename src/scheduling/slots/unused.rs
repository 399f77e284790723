//! The time that is free, or that stayed free, as reports count it.

use diesel::prelude::*;

use super::slot::is_open;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::slots;
use crate::error::Result;
use crate::ids::{LocationId, PractitionerId};

/// Loads location, start and end of the slots that start in a span of time and are neither booked nor blocked. Holds do not count.
pub fn starting(
    conn: &mut Conn,
    location: Option<LocationId>,
    practitioner: Option<PractitionerId>,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<(LocationId, Timestamp, Timestamp)>> {
    let mut query = slots::table
        .filter(is_open())
        .filter(slots::starts_at.ge(from))
        .filter(slots::starts_at.lt(to))
        .select((slots::location_id, slots::starts_at, slots::ends_at))
        .into_boxed();
    if let Some(id) = location {
        query = query.filter(slots::location_id.eq(id));
    }
    if let Some(id) = practitioner {
        query = query.filter(slots::practitioner_id.eq(id));
    }
    Ok(query.load(conn)?)
}
