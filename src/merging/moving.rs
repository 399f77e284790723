//! The rows that a merge moves to the other record, and that an undo moves back.
//!
//! The tables belong to other modules. What happens to each table that refers to patients is decided here, in one place.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::db::types::Uid;
use crate::db::{Conn, per_backend};
use crate::error::Result;
use crate::identifiers::{Identifier, Identifiers};
use crate::ids::{PatientId, PatientMergeId};

/// The tables whose rows follow. The ledger has the id of each row.
pub const MOVED: &[&str] = &[
    "appointment_series",
    "appointments",
    "consents",
    "follow_ups",
    "intake_flags",
    "intakes",
    "lab_results",
    "messages",
    "record_guards",
    "waitlist_entries",
    "waitlist_offers",
];
/// The tables whose rows stay, each with the reason.
pub const STAYS: &[(&str, &str)] = &[
    ("access_givers", "Reading unites them."),
    ("access_links", "They stop the access to the duplicate. Access to the survivor has links of its own."),
    ("audit_event_patients", "Reading unites them."),
    ("audit_events", "They are signed as they are. Reading unites them."),
    ("events", "They say what was true."),
    ("patient_access", "Staff list the accounts that get access to the survivor."),
    ("patient_identifiers", "The duplicate's own list is their ledger. They follow, in `move_identifiers`."),
    ("patient_invitations", "An invitation gives no access to another record."),
    ("patient_name_prefixes", "They are derived from the names."),
    ("patient_retirements", "They say when that record was not in use."),
    ("record_openings", "Break-glass access was given for one record."),
];
/// Those of them whose rows have a version.
pub(super) const VERSIONED: &[&str] =
    &["appointments", "follow_ups", "intakes", "lab_results", "waitlist_entries", "waitlist_offers"];

/// Returns the other columns that a move sets in the rows of a table: the version, so that an earlier `If-Match` does not match, and the time of
/// the change, so that clients that read changes see it.
fn version_and_time(table: &str) -> String {
    let version = if VERSIONED.contains(&table) { ", version = t.version + 1" } else { "" };
    // The `updated_at` of a laboratory result is the time of its correction.
    let is_dated = table == "messages" || (VERSIONED.contains(&table) && table != "lab_results");
    let time = if is_dated { ", updated_at = coalesce(m.undone_at, m.merged_at)" } else { "" };
    format!("{version}{time}")
}

/// How many objects follow to the surviving record.
#[derive(Debug, Clone, QueryableByName, Serialize, Deserialize, ToSchema)]
pub struct MergeMoves {
    /// Appointments.
    #[diesel(sql_type = BigInt)]
    appointments: i64,
    /// Series of appointments.
    #[diesel(sql_type = BigInt)]
    appointment_series: i64,
    /// Decisions on consent documents.
    #[diesel(sql_type = BigInt)]
    consents: i64,
    /// Follow-ups.
    #[diesel(sql_type = BigInt)]
    follow_ups: i64,
    /// Identifiers of other systems.
    #[diesel(sql_type = BigInt)]
    identifiers: i64,
    /// Flags of intakes.
    #[diesel(sql_type = BigInt)]
    intake_flags: i64,
    /// Intakes.
    #[diesel(sql_type = BigInt)]
    intakes: i64,
    /// Laboratory results.
    #[diesel(sql_type = BigInt)]
    lab_results: i64,
    /// Messages that are still stored.
    #[diesel(sql_type = BigInt)]
    messages: i64,
    /// Entries of the waitlist.
    #[diesel(sql_type = BigInt)]
    waitlist_entries: i64,
    /// Offers of free times.
    #[diesel(sql_type = BigInt)]
    waitlist_offers: i64,
}

impl MergeMoves {
    /// Counts what belongs to a record.
    pub fn of(conn: &mut Conn, patient: PatientId) -> Result<Self> {
        let counted = [
            ("appointments", "appointments"),
            ("appointment_series", "appointment_series"),
            ("consents", "consents"),
            ("follow_ups", "follow_ups"),
            ("patient_identifiers", "identifiers"),
            ("intake_flags", "intake_flags"),
            ("intakes", "intakes"),
            ("lab_results", "lab_results"),
            ("messages", "messages"),
            ("waitlist_entries", "waitlist_entries"),
            ("waitlist_offers", "waitlist_offers"),
        ];
        let counts: Vec<_> = counted
            .iter()
            .map(|(table, name)| format!("(SELECT count(*) FROM {table} WHERE patient_id = $1) AS {name}"))
            .collect();
        let query = diesel::sql_query(format!("SELECT {}", counts.join(", "))).bind::<Uid, _>(patient);
        Ok(per_backend!(conn, conn => query.get_result(conn))?)
    }
}

/// Moves the rows of the duplicate to the survivor, and records them in the ledger with their versions before the move. The caller has
/// locked both records.
pub(super) fn move_rows(conn: &mut Conn, merge: PatientMergeId) -> Result<()> {
    for table in MOVED {
        let version = if VERSIONED.contains(table) { "t.version" } else { "NULL" };
        let noted = diesel::sql_query(format!(
            "INSERT INTO patient_merge_rows (merge_id, table_name, row_id, version)
             SELECT m.id, '{table}', t.id, {version} FROM {table} t INNER JOIN patient_merges m ON m.duplicate_id = t.patient_id WHERE m.id = $1"
        ))
        .bind::<Uid, _>(merge);
        if per_backend!(conn, conn => noted.execute(conn))? > 0 {
            set_patient(conn, merge, table, "survivor_id")?;
        }
    }
    Ok(())
}

/// Moves the rows of the ledger back. The caller has set `undone_at`.
pub(super) fn move_rows_back(conn: &mut Conn, merge: PatientMergeId) -> Result<()> {
    MOVED.iter().try_for_each(|table| set_patient(conn, merge, table, "duplicate_id"))
}

fn set_patient(conn: &mut Conn, merge: PatientMergeId, table: &str, owner: &str) -> Result<()> {
    let moved = diesel::sql_query(format!(
        "UPDATE {table} AS t SET patient_id = m.{owner}{} FROM patient_merges m
         WHERE m.id = $1 AND t.id IN (SELECT row_id FROM patient_merge_rows WHERE merge_id = $1 AND table_name = '{table}')",
        version_and_time(table)
    ))
    .bind::<Uid, _>(merge);
    per_backend!(conn, conn => moved.execute(conn))?;
    Ok(())
}

/// Ends what the survivor has not been told yet about visits that went back. What was sent stays with the person who got it, without the
/// visit: that of another patient.
pub(super) fn detach_messages(conn: &mut Conn, merge: PatientMergeId) -> Result<()> {
    const ABOUT_THE_OTHER: &str = "m.id = $1 AND t.patient_id = m.survivor_id AND t.appointment_id IN (SELECT id FROM appointments WHERE patient_id = m.duplicate_id)";
    for change in [
        "status = 'done', done_at = m.undone_at, updated_at = m.undone_at FROM patient_merges m
         WHERE t.status IN ('pending', 'to_phone', 'failed') AND",
        "appointment_id = NULL, updated_at = m.undone_at FROM patient_merges m WHERE",
    ] {
        let cut =
            diesel::sql_query(format!("UPDATE messages AS t SET {change} {ABOUT_THE_OTHER}")).bind::<Uid, _>(merge);
        per_backend!(conn, conn => cut.execute(conn))?;
    }
    Ok(())
}

/// Makes the identifiers by which the duplicate is found those of the survivor.
pub fn move_identifiers(conn: &mut Conn, duplicate: PatientId, survivor: PatientId) -> Result<()> {
    let moved = diesel::sql_query("UPDATE patient_identifiers SET patient_id = $1 WHERE patient_id = $2")
        .bind::<Uid, _>(survivor)
        .bind::<Uid, _>(duplicate);
    per_backend!(conn, conn => moved.execute(conn))?;
    Ok(())
}

/// Gives the duplicate back those of its identifiers that the survivor still has, and returns them.
pub fn move_identifiers_back(
    conn: &mut Conn,
    of_duplicate: &Identifiers,
    duplicate: PatientId,
    survivor: PatientId,
) -> Result<Identifiers> {
    let mut back = Identifiers::default();
    for Identifier { system, value } in &of_duplicate.0 {
        let moved = diesel::sql_query(
            "UPDATE patient_identifiers SET patient_id = $1 WHERE patient_id = $2 AND system = $3 AND value = $4",
        )
        .bind::<Uid, _>(duplicate)
        .bind::<Uid, _>(survivor)
        .bind::<Text, _>(system)
        .bind::<Text, _>(value);
        if per_backend!(conn, conn => moved.execute(conn))? > 0 {
            back.0.push(Identifier { system: system.clone(), value: value.clone() });
        }
    }
    Ok(back)
}
