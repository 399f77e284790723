//! The rows that a merge moves to the other record, and that an undo moves back.
//!
//! The tables belong to other modules. What happens to each table that refers to patients is decided here, in one place.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::db::types::{Instant, Uid};
use crate::db::{Conn, per_backend};
use crate::error::Result;
use crate::identifiers::{Identifier, Identifiers};
use crate::ids::{IntakeId, PatientId, PatientMergeId};

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
/// Rows that depend on a moved row, and go back with it although they were created since the merge (`m`). After the rows of the ledger, in
/// this order.
const FOLLOWERS: &[(&str, &str)] = &[
    ("follow_ups", "t.appointment_id IN (SELECT id FROM appointments WHERE patient_id = m.duplicate_id)"),
    ("intake_flags", "t.intake_id IN (SELECT id FROM intakes WHERE patient_id = m.duplicate_id)"),
];

/// Returns the condition under which a row (`t`) of a table goes back. The merge may have joined the records of two people, so what was
/// written for the record that remains stays there, and the accounts of the other record do not read it: answers, and follow-ups and places
/// on the waitlist that have been used since. Messages that were created since stay with the person who got them.
fn goes_back(table: &str) -> &'static str {
    match table {
        "intakes" => "t.authored_at <= m.merged_at",
        // Not asked and not answered since.
        "follow_ups" => {
            "(t.updated_at <= m.merged_at OR t.created_at > m.merged_at AND t.asked_at IS NULL AND t.intake_id IS NULL)"
        }
        "waitlist_entries" => {
            "t.updated_at <= m.merged_at AND NOT EXISTS
             (SELECT 1 FROM waitlist_offers WHERE entry_id = t.id AND created_at > m.merged_at)"
        }
        "waitlist_offers" => "t.entry_id IN (SELECT id FROM waitlist_entries WHERE patient_id = m.duplicate_id)",
        // The others follow their intake.
        "intake_flags" => {
            "(t.intake_id IS NULL OR t.intake_id IN (SELECT id FROM intakes WHERE patient_id = m.duplicate_id))"
        }
        _ => "TRUE",
    }
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

/// Moves the rows of the duplicate to the survivor, and notes them in the ledger. The caller has locked both records.
pub fn move_rows(conn: &mut Conn, merge: PatientMergeId, duplicate: PatientId, survivor: PatientId) -> Result<()> {
    for table in MOVED {
        let noted = diesel::sql_query(format!(
            "INSERT INTO patient_merge_rows (merge_id, table_name, row_id)
             SELECT $1, '{table}', id FROM {table} WHERE patient_id = $2"
        ))
        .bind::<Uid, _>(merge)
        .bind::<Uid, _>(duplicate);
        if per_backend!(conn, conn => noted.execute(conn))? > 0 {
            let moved = diesel::sql_query(format!("UPDATE {table} SET patient_id = $1 WHERE patient_id = $2"))
                .bind::<Uid, _>(survivor)
                .bind::<Uid, _>(duplicate);
            per_backend!(conn, conn => moved.execute(conn))?;
        }
    }
    Ok(())
}

/// Moves the rows of the ledger back that still belong to the survivor, and what depends on them. What the survivor has not been told yet
/// about a visit that goes back is not needed any more.
pub fn move_rows_back(conn: &mut Conn, merge: PatientMergeId, now: Timestamp) -> Result<()> {
    let of_ledger = MOVED.iter().map(|table| {
        let noted = format!("SELECT row_id FROM patient_merge_rows WHERE merge_id = m.id AND table_name = '{table}'");
        (*table, format!("t.id IN ({noted})"))
    });
    let followers = FOLLOWERS.iter().map(|(table, depends)| (*table, (*depends).to_owned()));
    for (table, belongs) in of_ledger.chain(followers) {
        let back = diesel::sql_query(format!(
            "UPDATE {table} AS t SET patient_id = m.duplicate_id FROM patient_merges m
             WHERE m.id = $1 AND t.patient_id = m.survivor_id AND {belongs} AND {}",
            goes_back(table)
        ));
        let back = back.bind::<Uid, _>(merge);
        per_backend!(conn, conn => back.execute(conn))?;
    }
    let untold = diesel::sql_query(
        "UPDATE messages AS t SET status = 'done', done_at = $1, updated_at = $1 FROM patient_merges m
         WHERE m.id = $2 AND t.patient_id = m.survivor_id AND t.status IN ('pending', 'to_phone', 'failed')
         AND t.appointment_id IN (SELECT id FROM appointments WHERE patient_id = m.duplicate_id)",
    )
    .bind::<Instant, _>(now)
    .bind::<Uid, _>(merge);
    per_backend!(conn, conn => untold.execute(conn))?;
    Ok(())
}

/// Returns the moved rows of a table that an undo has left with the survivor.
pub fn stayed<T>(conn: &mut Conn, merge: PatientMergeId, table: &str) -> Result<Vec<T>>
where
    T: From<uuid::Uuid>,
{
    // All kinds of ids are stored alike, so one of them reads the column of any table.
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Uid)]
        id: IntakeId,
    }
    let left = diesel::sql_query(format!(
        "SELECT t.id FROM patient_merges m INNER JOIN patient_merge_rows r ON r.merge_id = m.id AND r.table_name = '{table}'
         INNER JOIN {table} t ON t.id = r.row_id WHERE m.id = $1 AND t.patient_id <> m.duplicate_id ORDER BY t.id"
    ))
    .bind::<Uid, _>(merge);
    let rows: Vec<Row> = per_backend!(conn, conn => left.load(conn))?;
    Ok(rows.into_iter().map(|row| row.id.0.into()).collect())
}

/// Lets the findings of the submitted intakes of a record be computed again in the background, because other laboratory results and intakes
/// belong to the record now.
pub fn compute_findings_again(conn: &mut Conn, patient: PatientId, now: Timestamp) -> Result<()> {
    let due = diesel::sql_query(
        "UPDATE intakes SET due_at = $1 WHERE patient_id = $2 AND status IN ('completed', 'amended')",
    )
    .bind::<Instant, _>(now)
    .bind::<Uid, _>(patient);
    per_backend!(conn, conn => due.execute(conn))?;
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
