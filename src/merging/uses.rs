//! What was done with the records since a merge. Only a merge without later uses is undone. Otherwise rows that were changed for one person
//! would go to the record of the other, who could read them.

use diesel::prelude::*;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::listing::Merge;
use super::moving::VERSIONED;
use crate::audit::changes::{self, RecordedChange};
use crate::clock::Timestamp;
use crate::context::Tx;
use crate::db::schema::{patient_merge_rows, patient_merges};
use crate::db::types::Uid;
use crate::db::{Conn, per_backend};
use crate::error::{Error, ProblemCode, Result};
use crate::ids::{ObjectId, PatientMergeId};

/// The name in the ledger of the events of changes that were made shortly before the merge.
const EVENTS: &str = "audit_events";
/// The name in the ledger of the merges into the survivor that were in force before this one.
const MERGES: &str = "patient_merges";
/// The greatest difference between the clocks of two instances. Changes before the merge are told from later ones by their ids in the
/// ledger, because one of another instance can have an earlier time.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(24);
/// Each row has three values, and SQLite binds at most 32,766 to a statement.
const ROWS_OF_A_STATEMENT: usize = 1000;
/// The most uses that a conflict lists.
const MAX_LISTED: usize = 20;

/// Operations that may name a record of a merge, and do not hinder its undo.
const WITHOUT_EFFECT: &[&str] = &[
    // The undo takes the access back that the merge gave.
    "confirm_patient_access",
    // Its response shows likely duplicates of another record.
    "create_patient",
    // A merge in force hinders the undo by itself.
    "create_patient_merge",
    "undo_patient_merge",
];

/// A use of the joined record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "at": "2026-03-02T14:05:00Z", "operation": "cancel_appointment", "object_id": "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e07"
}))]
pub struct MergeUse {
    /// The time. Null if the service changed the object by itself.
    at: Option<Timestamp>,
    /// The operation, by its `operationId`. Null if the service changed the object by itself, for example because it offered a free time.
    operation: Option<String>,
    /// The object that was changed.
    object_id: Option<ObjectId>,
}

/// Records the versions of the moved rows, the changes before the merge and the earlier merges in the ledger. The last step of a merge.
pub(super) fn record_state(tx: &mut Tx, merge: &Merge) -> Result<()> {
    // This ledger still has the versions before the move, so it matches the earlier ledgers.
    update_earlier_ledgers(tx.conn, merge.id)?;
    for table in VERSIONED {
        let noted = diesel::sql_query(format!(
            "UPDATE patient_merge_rows SET version = (SELECT t.version FROM {table} t WHERE t.id = row_id)
             WHERE merge_id = $1 AND table_name = '{table}'"
        ))
        .bind::<Uid, _>(merge.id);
        per_backend!(&mut *tx.conn, conn => noted.execute(conn))?;
    }
    let changes = changes_of(tx.conn, merge)?.into_iter().map(|change| ObjectId(change.id.0));
    note(tx.conn, merge.id, EVENTS, changes.collect())?;
    let others = others_in_force(tx.conn, merge)?.into_iter().map(|other| ObjectId(other.0));
    note(tx.conn, merge.id, MERGES, others.collect())
}

/// Adds rows to the ledger. A record can have thousands of changes in a day.
fn note(conn: &mut Conn, merge: PatientMergeId, name: &str, rows: Vec<ObjectId>) -> Result<()> {
    for some in rows.chunks(ROWS_OF_A_STATEMENT) {
        let rows: Vec<_> = some
            .iter()
            .map(|row| {
                (
                    patient_merge_rows::merge_id.eq(merge),
                    patient_merge_rows::table_name.eq(name),
                    patient_merge_rows::row_id.eq(*row),
                )
            })
            .collect();
        per_backend!(&mut *conn, conn => diesel::insert_into(patient_merge_rows::table).values(rows).execute(conn))?;
    }
    Ok(())
}

fn noted(conn: &mut Conn, merge: PatientMergeId, name: &str) -> Result<Vec<ObjectId>> {
    Ok(patient_merge_rows::table
        .filter(patient_merge_rows::merge_id.eq(merge))
        .filter(patient_merge_rows::table_name.eq(name))
        .select(patient_merge_rows::row_id)
        .load(conn)?)
}

/// The other merges in force of the survivor, in either role.
fn others_in_force(conn: &mut Conn, merge: &Merge) -> Result<Vec<PatientMergeId>> {
    let survivor = merge.survivor_id;
    Ok(patient_merges::table
        .filter(patient_merges::undone_at.is_null())
        .filter(patient_merges::survivor_id.eq(survivor).or(patient_merges::duplicate_id.eq(survivor)))
        .filter(patient_merges::id.ne(merge.id))
        .order(patient_merges::id)
        .select(patient_merges::id)
        .load(conn)?)
}

/// Requires that the survivor was not merged with another record since. The ledger knows the merges before, so no clock decides.
///
/// # Errors
/// The conflict `merged_since`.
pub(super) fn require_no_later_merge(conn: &mut Conn, merge: &Merge) -> Result<()> {
    let before = noted(conn, merge.id, MERGES)?;
    if others_in_force(conn, merge)?.iter().all(|other| before.contains(&ObjectId(other.0))) {
        return Ok(());
    }
    let detail = "The record that remained was merged with another one since. Undo that merge first.";
    Err(Error::conflict(ProblemCode::MergedSince, detail))
}

/// The changes of both records since shortly before the merge.
fn changes_of(conn: &mut Conn, merge: &Merge) -> Result<Vec<RecordedChange>> {
    let mut found =
        changes::of_patients(conn, &[merge.survivor_id, merge.duplicate_id], merge.merged_at.minus(CLOCK_SKEW))?;
    found.retain(|change| !WITHOUT_EFFECT.contains(&change.operation.as_str()));
    Ok(found)
}

/// Requires that neither record was used since the merge. The caller has locked both records and moved the rows back, so that every change
/// that was in progress has ended.
///
/// # Errors
/// The conflict `used_since_merge`, which lists the uses.
pub(super) fn require_none(conn: &mut Conn, merge: &Merge) -> Result<()> {
    let mut found = changed_since(conn, merge)?;
    if found.is_empty() {
        found = changed_by_service(conn, merge.id)?;
    }
    if found.is_empty() {
        return Ok(());
    }
    found.truncate(MAX_LISTED);
    let listed = serde_json::to_value(&found).map_err(|error| Error::internal("uses of a merge", error))?;
    let members = std::iter::once(("uses".to_owned(), listed)).collect();
    let detail = "The joined record was used since the merge, so an undo could show one person the data of another. Separate the records \
                  by hand: create a new record for the duplicate, book its visits anew, and mark what is not about the patient as entered \
                  in error.";
    Err(Error::conflict_with(ProblemCode::UsedSinceMerge, detail, members))
}

/// Updates the versions in the ledgers of earlier merges. A merge and its undo change the versions of the rows that they move, and an undo
/// of an earlier merge would take that for a use. Rows that anything else has changed keep their old version in the ledger, so that the use
/// is noticed. At the call, the ledger of this merge must have the versions before its rows moved.
pub(super) fn update_earlier_ledgers(conn: &mut Conn, merge: PatientMergeId) -> Result<()> {
    for table in VERSIONED {
        let settled = diesel::sql_query(format!(
            "UPDATE patient_merge_rows AS r SET version = t.version FROM patient_merge_rows l, {table} t
             WHERE l.merge_id = $1 AND l.table_name = '{table}' AND t.id = l.row_id AND r.merge_id <> l.merge_id
             AND r.table_name = l.table_name AND r.row_id = l.row_id AND r.version = l.version"
        ))
        .bind::<Uid, _>(merge);
        per_backend!(conn, conn => settled.execute(conn))?;
    }
    Ok(())
}

fn changed_since(conn: &mut Conn, merge: &Merge) -> Result<Vec<MergeUse>> {
    let before = noted(conn, merge.id, EVENTS)?;
    let since = changes_of(conn, merge)?.into_iter().filter(|change| !before.contains(&ObjectId(change.id.0)));
    Ok(since
        .map(|change| MergeUse { at: Some(change.at), operation: Some(change.operation), object_id: change.object_id })
        .collect())
}

/// The moved rows that the service has changed by itself since the merge: it offered a time, asked a follow-up, or computed other findings.
/// The move back has made one more version of each.
fn changed_by_service(conn: &mut Conn, merge: PatientMergeId) -> Result<Vec<MergeUse>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Uid)]
        id: ObjectId,
    }
    let mut found = Vec::new();
    for table in VERSIONED {
        let changed = diesel::sql_query(format!(
            "SELECT t.id FROM patient_merge_rows r INNER JOIN {table} t ON t.id = r.row_id
             WHERE r.merge_id = $1 AND r.table_name = '{table}' AND t.version <> r.version + 1 ORDER BY t.id"
        ))
        .bind::<Uid, _>(merge);
        let rows: Vec<Row> = per_backend!(conn, conn => changed.load(conn))?;
        found.extend(rows.into_iter().map(|row| MergeUse { at: None, operation: None, object_id: Some(row.id) }));
    }
    Ok(found)
}
