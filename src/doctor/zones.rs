//! The data of time zones against the clinic's locations.

use super::{Finding, Severity};
use crate::db::Conn;
use crate::error::Result;
use crate::scheduling::setup::location;
use crate::zones::Zones;
use crate::zones::recorded::{self, Standing};

/// The most locations that are checked: more than a clinic has.
const MAX_LOCATIONS: i64 = 10_000;

/// Names the version of the data, another version that the database records, and the locations whose zone the data lacks.
pub fn check(conn: &mut Conn, zones: &Zones) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for location in location::load(conn, None, MAX_LOCATIONS)? {
        if zones.get(&location.time_zone).is_none() {
            let detail = format!(
                "the location {} has the time zone {}, which TZ_DATA lacks. Install complete data",
                location.id, location.time_zone
            );
            findings.push(Finding::new("zones", Severity::Failure, detail));
        }
    }
    if let Standing::Other(recorded) = recorded::standing(conn, zones)? {
        findings.push(Finding::new("zones", Severity::Failure, recorded::outdated(zones, &recorded)));
    }
    if findings.is_empty() {
        let detail = format!("the data of time zones is {}", zones.version());
        findings.push(Finding::new("zones", Severity::Ok, detail));
    }
    Ok(findings)
}
