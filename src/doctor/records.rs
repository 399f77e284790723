//! Objects of one patient that refer to an object of another one.

use diesel::prelude::*;
use diesel::sql_query;

use super::{Count, Finding, Severity};
use crate::db::{Conn, per_backend};
use crate::error::Result;

/// The references between tables with a patient: the table, its column, and the table that the column names.
pub const REFERENCES: [(&str, &str, &str); 11] = [
    ("follow_ups", "appointment_id", "appointments"),
    ("follow_ups", "cancelled_by_visit", "appointments"),
    ("follow_ups", "intake_id", "intakes"),
    ("intake_flags", "appointment_id", "appointments"),
    ("intake_flags", "intake_id", "intakes"),
    ("intakes", "copied_from", "intakes"),
    ("messages", "appointment_id", "appointments"),
    ("waitlist_entries", "appointment_id", "appointments"),
    ("waitlist_offers", "appointment_id", "appointments"),
    ("waitlist_offers", "entry_id", "waitlist_entries"),
    ("appointment_series_visits", "appointment_id", "appointments"),
];

/// Counts the objects that refer to an object of another patient. A record with such an object shows data of another patient, and the
/// other record cannot be deleted.
pub fn check(conn: &mut Conn) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (table, column, target) in REFERENCES {
        let of_patient = if table == "appointment_series_visits" {
            "(SELECT s.patient_id FROM appointment_series s WHERE s.id = t.series_id)"
        } else {
            "t.patient_id"
        };
        let sql = format!(
            "SELECT count(*) AS found FROM {table} t INNER JOIN {target} o ON o.id = t.{column} WHERE o.patient_id <> {of_patient}"
        );
        let count: Count = per_backend!(conn, conn => sql_query(sql).get_result(conn))?;
        if count.found > 0 {
            let detail = format!("{} rows of {table} refer by {column} to a row of another patient", count.found);
            findings.push(Finding::new("records", Severity::Failure, detail));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::new("records", Severity::Ok, "each object refers to objects of its own patient"));
    }
    Ok(findings)
}
