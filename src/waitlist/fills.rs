//! The times that patients took from an offer, as reports count them.

use diesel::prelude::*;
use diesel::sql_types::Bool;

use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::raw_sql::RawSql;
use crate::db::schema::waitlist_offers;
use crate::error::Result;
use crate::ids::{LocationId, PractitionerId};

/// Loads location and start of the claimed offers whose visit starts in a span of time.
pub fn starting(
    conn: &mut Conn,
    location: Option<LocationId>,
    practitioner: Option<PractitionerId>,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<(LocationId, Timestamp)>> {
    // Literal, because the index has it.
    let claimed = RawSql::<Bool>::new("waitlist_offers.status = 'claimed'");
    let mut query = waitlist_offers::table
        .filter(claimed)
        .filter(waitlist_offers::starts_at.ge(from))
        .filter(waitlist_offers::starts_at.lt(to))
        .select((waitlist_offers::location_id, waitlist_offers::starts_at))
        .into_boxed();
    if let Some(id) = location {
        query = query.filter(waitlist_offers::location_id.eq(id));
    }
    if let Some(id) = practitioner {
        query = query.filter(waitlist_offers::practitioner_id.eq(id));
    }
    Ok(query.load(conn)?)
}
