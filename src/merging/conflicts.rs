//! What hinders a merge: both records have something of which a record has at most one, or an account would read more than it may.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access;
use crate::clock::Timestamp;
use crate::db::types::{Uid, text_enum};
use crate::db::{Conn, per_backend};
use crate::error::{Error, ProblemCode, Result};
use crate::ids::{ObjectId, PatientId};
use crate::patients::model::Patient;

/// The most identifiers of a record.
const MAX_IDENTIFIERS: usize = 20;

text_enum! {
    /// What hinders a merge, and what removes it.
    MergeConflictReason {
        /// An upcoming or present appointment of each record, at one time. Move or cancel one of them.
        OverlappingAppointments = "overlapping_appointments",
        /// A draft of the same form. Submit or discard one of them.
        OpenIntakes = "open_intakes",
        /// An open follow-up of each record. Cancel one of them.
        OpenFollowUps = "open_follow_ups",
        /// The patient waits twice for the same kind of visit. End one of the entries.
        WaitlistEntries = "waitlist_entries",
        /// An open offer of a free time for each record. Decline one of them.
        WaitlistOffers = "waitlist_offers",
        /// Each record has an own account (`self`), so they may be of two people. End the access of one of them.
        OwnAccounts = "own_accounts",
        /// An account acts for the surviving record and not for the duplicate, or in another relation, and would then read more of the duplicate.
        /// Merge the other way round and list the account in `access_to_move`, or give it access to the duplicate first: a second member
        /// of the staff confirms either.
        OtherAccounts = "other_accounts",
        /// Together they have more than 20 identifiers of other systems. Remove some.
        TooManyIdentifiers = "too_many_identifiers",
    }
}

/// A conflict between the records.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MergeConflict {
    /// What hinders the merge.
    reason: MergeConflictReason,
    /// The object of the surviving record: an appointment, intake, follow-up, entry, offer or account. Null for `too_many_identifiers`.
    patient_object_id: Option<ObjectId>,
    /// The object of the duplicate. Null for `other_accounts` and `too_many_identifiers`.
    duplicate_object_id: Option<ObjectId>,
}

/// A kind of conflict: the constraint of the database behind it, and the query of the pairs that would violate it. `$1` is the survivor, `$2`
/// the duplicate.
pub struct Rule {
    reason: MergeConflictReason,
    /// The constraint. A test compares them with the unique indexes of the database.
    pub constraint: &'static str,
    /// The table, and the column that names the row.
    table: (&'static str, &'static str),
    /// Which rows count, with `{row}` for the table's name in the query.
    open: &'static str,
    /// How the rows `a` and `b` of the two records meet.
    meet: &'static str,
}

/// The kinds of conflicts between rows.
pub const RULES: &[Rule] = &[
    Rule {
        reason: MergeConflictReason::OverlappingAppointments,
        constraint: "appointments_patient_overlap",
        table: ("appointments", "id"),
        open: "{row}.status IN ('booked', 'checked-in')",
        meet: "a.starts_at < b.ends_at AND b.starts_at < a.ends_at",
    },
    Rule {
        reason: MergeConflictReason::OpenIntakes,
        constraint: "intakes_open_draft",
        table: ("intakes", "id"),
        open: "{row}.status = 'in-progress'",
        meet: "a.form = b.form",
    },
    Rule {
        reason: MergeConflictReason::OpenFollowUps,
        constraint: "follow_ups_open",
        table: ("follow_ups", "id"),
        open: "{row}.status IN ('scheduled', 'asked')",
        meet: "a.id <> b.id",
    },
    Rule {
        reason: MergeConflictReason::WaitlistEntries,
        constraint: "waitlist_entries_live",
        table: ("waitlist_entries", "id"),
        open: "{row}.status IN ('waiting', 'offered')",
        meet: "a.visit_type_id = b.visit_type_id",
    },
    Rule {
        reason: MergeConflictReason::WaitlistOffers,
        constraint: "waitlist_offers_open_patient",
        table: ("waitlist_offers", "id"),
        open: "{row}.status = 'offered'",
        meet: "a.id <> b.id",
    },
    Rule {
        reason: MergeConflictReason::OwnAccounts,
        constraint: "patient_access_own_account",
        table: ("patient_access", "user_id"),
        open: "{row}.relation = 'self' AND {row}.stopped_at IS NULL",
        meet: "a.user_id <> b.user_id",
    },
];

/// A pair of rows that cannot belong to one record.
#[derive(QueryableByName)]
struct Pair {
    #[diesel(sql_type = Uid)]
    kept: ObjectId,
    #[diesel(sql_type = Uid)]
    moved: ObjectId,
}

impl Rule {
    fn pairs(&self, conn: &mut Conn, survivor: PatientId, duplicate: PatientId) -> Result<Vec<Pair>> {
        let (table, id) = self.table;
        let query = diesel::sql_query(format!(
            "SELECT a.{id} AS kept, b.{id} AS moved FROM {table} a INNER JOIN {table} b ON {meet}
             WHERE a.patient_id = $1 AND b.patient_id = $2 AND {open_a} AND {open_b} ORDER BY a.{id}, b.{id} LIMIT 20",
            meet = self.meet,
            open_a = self.open.replace("{row}", "a"),
            open_b = self.open.replace("{row}", "b"),
        ))
        .bind::<Uid, _>(survivor)
        .bind::<Uid, _>(duplicate);
        Ok(per_backend!(conn, conn => query.load(conn))?)
    }
}

/// Finds what hinders the merge, at most 20 of each kind.
pub fn between(conn: &mut Conn, survivor: &Patient, duplicate: &Patient, now: Timestamp) -> Result<Vec<MergeConflict>> {
    let mut found = Vec::new();
    for rule in RULES {
        found.extend(rule.pairs(conn, survivor.id, duplicate.id)?.into_iter().map(|pair| MergeConflict {
            reason: rule.reason,
            patient_object_id: Some(pair.kept),
            duplicate_object_id: Some(pair.moved),
        }));
    }
    for account in access::without_access_to_duplicate(conn, survivor.id, duplicate.id, now)? {
        let reason = MergeConflictReason::OtherAccounts;
        let account = Some(ObjectId(account.0));
        found.push(MergeConflict { reason, patient_object_id: account, duplicate_object_id: None });
    }
    if survivor.identifiers.0.len() + duplicate.identifiers.0.len() > MAX_IDENTIFIERS {
        let reason = MergeConflictReason::TooManyIdentifiers;
        found.push(MergeConflict { reason, patient_object_id: None, duplicate_object_id: None });
    }
    Ok(found)
}

/// Requires that nothing hinders the merge.
///
/// # Errors
/// The conflict `merge_conflicts`, which lists them.
pub fn require_none(conn: &mut Conn, survivor: &Patient, duplicate: &Patient, now: Timestamp) -> Result<()> {
    let found = between(conn, survivor, duplicate, now)?;
    if found.is_empty() {
        return Ok(());
    }
    let listed = serde_json::to_value(&found).map_err(|error| Error::internal("conflicts of a merge", error))?;
    let members = std::iter::once(("conflicts".to_owned(), listed)).collect();
    let detail = "The records cannot be merged as they are. Resolve what `conflicts` lists, then merge.";
    Err(Error::conflict_with(ProblemCode::MergeConflicts, detail, members))
}
