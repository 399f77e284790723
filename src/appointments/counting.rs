//! The visits of a period, as reports count them.

use diesel::prelude::*;

use crate::appointment_status::AppointmentStatus;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::appointments;
use crate::error::Result;
use crate::ids::{LocationId, PractitionerId};

/// Whose visits are counted; all that are set must match.
#[derive(Debug, Clone, Copy)]
pub struct Of {
    pub location_id: Option<LocationId>,
    pub practitioner_id: Option<PractitionerId>,
}

/// What is counted of a visit. It says nothing about the patient.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct CountedVisit {
    pub location_id: LocationId,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    /// The time of the booking.
    pub created_at: Timestamp,
    pub status: AppointmentStatus,
    pub late_cancelled: bool,
    pub overbooked: bool,
}

/// Loads the visits of any status that start in a span of time.
pub fn starting(conn: &mut Conn, of: Of, (from, to): (Timestamp, Timestamp)) -> Result<Vec<CountedVisit>> {
    let mut query = appointments::table
        .filter(appointments::starts_at.ge(from))
        .filter(appointments::starts_at.lt(to))
        .select((
            appointments::location_id,
            appointments::starts_at,
            appointments::ends_at,
            appointments::created_at,
            appointments::status,
            appointments::late_cancelled,
            appointments::overbooked,
        ))
        .into_boxed();
    if let Some(id) = of.location_id {
        query = query.filter(appointments::location_id.eq(id));
    }
    if let Some(id) = of.practitioner_id {
        query = query.filter(appointments::practitioner_id.eq(id));
    }
    Ok(query.load(conn)?)
}
