//! What a change of a location's time zone means for the local times that patients were told.

use diesel::prelude::*;

use crate::appointment_status::AppointmentStatus;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::appointments;
use crate::error::Result;
use crate::ids::LocationId;

/// Comes before the name of every version of zone data, so that the scan reads these visits first.
const NOT_COMPARED: &str = "";

/// Lets the scan of promised times (`src/appointments/zone_changes/scanning.rs`) compare the visits to come at a location again. It marks
/// those whose start does not show the local time that the patient was told.
pub(super) fn compare_again(conn: &mut Conn, location: LocationId, now: Timestamp) -> Result<()> {
    diesel::update(
        appointments::table
            .filter(appointments::location_id.eq(location))
            .filter(appointments::status.eq(AppointmentStatus::Booked))
            // Those without a promise get that of their current local time, and have no version.
            .filter(appointments::promised_local.is_not_null())
            .filter(appointments::starts_at.gt(now)),
    )
    .set(appointments::zone_checked.eq(NOT_COMPARED))
    .execute(conn)?;
    Ok(())
}
