//! Appointments against the slots that they occupy.

use diesel::prelude::*;
use diesel::sql_query;

use super::{Count, Finding, Severity};
use crate::clock::Timestamp;
use crate::db::types::Instant;
use crate::db::{Conn, per_backend};
use crate::error::Result;

/// What must not exist, with the query that counts it. `$1` is the current instant: slots of the past may be deleted.
const CONTRADICTIONS: [(&str, &str); 6] = [
    (
        "upcoming appointments do not occupy the slots of their time",
        "SELECT count(*) AS found FROM appointments a WHERE a.status = 'booked' AND NOT a.overbooked AND a.busy_from > $1 AND NOT (
            EXISTS (SELECT 1 FROM slots s WHERE s.appointment_id = a.id AND s.starts_at = a.busy_from
                AND s.practitioner_id = a.practitioner_id AND s.location_id = a.location_id)
            AND EXISTS (SELECT 1 FROM slots s WHERE s.appointment_id = a.id AND s.ends_at = a.busy_until))",
    ),
    (
        "upcoming overbooked appointments are in time that is offered to others",
        "SELECT count(*) AS found FROM appointments a WHERE a.status = 'booked' AND a.overbooked AND a.busy_from > $1 AND EXISTS (
            SELECT 1 FROM slots s WHERE s.practitioner_id = a.practitioner_id AND s.starts_at >= a.busy_from
                AND s.starts_at < a.busy_until AND s.appointment_id IS NULL)",
    ),
    (
        "upcoming appointments do not occupy the resources that they have",
        "SELECT count(*) AS found FROM appointments a WHERE a.status = 'booked' AND a.resources <> '[]' AND a.busy_from > $1
            AND NOT EXISTS (SELECT 1 FROM resource_occupancy o WHERE o.appointment_id = a.id AND o.busy_from = a.busy_from
                AND o.busy_until = a.busy_until)",
    ),
    (
        "resources are occupied by an appointment that was cancelled or has another time",
        "SELECT count(*) AS found FROM resource_occupancy o JOIN appointments a ON a.id = o.appointment_id
            WHERE o.busy_from > $1 AND (a.status = 'cancelled' OR o.busy_from <> a.busy_from OR o.busy_until <> a.busy_until)",
    ),
    (
        "upcoming slots are occupied by an appointment of another time or practitioner",
        "SELECT count(*) AS found FROM slots s JOIN appointments a ON a.id = s.appointment_id WHERE s.starts_at > $1
            AND (s.starts_at < a.busy_from OR s.ends_at > a.busy_until OR s.practitioner_id <> a.practitioner_id)",
    ),
    (
        "upcoming slots are occupied by a cancelled appointment",
        "SELECT count(*) AS found FROM slots s JOIN appointments a ON a.id = s.appointment_id WHERE s.starts_at > $1
            AND a.status = 'cancelled'",
    ),
];

/// Counts the contradictions between the two tables.
pub fn check(conn: &mut Conn, now: Timestamp) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (what, sql) in CONTRADICTIONS {
        let count: Count = per_backend!(conn, conn => sql_query(sql).bind::<Instant, _>(now).get_result(conn))?;
        if count.found > 0 {
            findings.push(Finding::new("bookings", Severity::Failure, format!("{} {what}", count.found)));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::new("bookings", Severity::Ok, "appointments and slots agree"));
    }
    Ok(findings)
}
