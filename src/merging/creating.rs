//! Merging a record into another one.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, post};
use diesel::prelude::*;
use serde::Deserialize;
use utoipa::ToSchema;

use super::listing::{Merge, PatientMergeView};
use super::{access, conflicts, flags, moving, uses};
use crate::accounts;
use crate::actor::Action;
use crate::clock::Timestamp;
use crate::context::{Context, Once, Tx, access_lock};
use crate::db::Conn;
use crate::db::schema::{patient_merges, patients};
use crate::error::{Check, Error, FieldCode, Result};
use crate::http::etag::IfMatch;
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, PathId};
use crate::identifiers::Identifiers;
use crate::ids::{PatientId, UserId};
use crate::intake::{flag_ownership, recompute};
use crate::patients::access::guarding;
use crate::patients::model::Patient;
use crate::patients::store;

/// The most accounts whose access a merge moves.
const MAX_ACCOUNTS: usize = 20;

/// The record to merge into the patient's.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "duplicate_id": "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e02", "duplicate_version": 1, "reason": "Registered twice",
    "access_to_move": []
}))]
pub struct NewPatientMerge {
    /// The record that is merged into this one.
    duplicate_id: PatientId,
    /// The version of that record in the preview.
    duplicate_version: i32,
    /// The reason, at most 500 characters. Stored encrypted.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
    /// The accounts of the duplicate that also get access to this record, out of those that the preview shows as `movable`.
    #[serde(default)]
    #[schema(max_items = 20)]
    access_to_move: Vec<UserId>,
}

impl NewPatientMerge {
    /// Checks the values.
    fn checked(mut self, id: PatientId) -> Result<Self> {
        let mut check = Check::new();
        check.require(self.duplicate_id != id, "/duplicate_id", FieldCode::SameRecord, "must be another record");
        let reason = check.field("/reason", text::lines(&self.reason, text::MAX_REASON));
        let accounts = self.access_to_move.len();
        let detail = format!("must list at most {MAX_ACCOUNTS} accounts");
        check.require(accounts <= MAX_ACCOUNTS, "/access_to_move", FieldCode::TooMany, detail);
        let different: BTreeSet<_> = self.access_to_move.iter().collect();
        check.require(
            different.len() == accounts,
            "/access_to_move",
            FieldCode::Duplicate,
            "must list each account once",
        );
        check.done()?;
        self.reason = reason.unwrap_or_default();
        Ok(self)
    }
}

/// Merges a record into another one.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`]; every broken rule; the conflicts `patient_merged`, `patient_retired` and `merge_conflicts`, and
/// those of given access.
pub async fn merge(
    context: &Context,
    once: Once,
    id: PatientId,
    if_match: IfMatch,
    new: NewPatientMerge,
) -> Result<Versioned<PatientMergeView>> {
    context.require(Action::PatientMerge)?;
    let if_match = if_match.required()?;
    let new = new.checked(id)?;
    context
        .change_once(once, move |tx| {
            let accounts: BTreeSet<_> = new.access_to_move.iter().copied().collect();
            lock_accounts(tx, accounts)?;
            let (survivor, duplicate) = lock_both(tx.conn, id, new.duplicate_id)?;
            let survivor = survivor.ok_or(Error::NotFound)?;
            let unknown = || Error::invalid("/duplicate_id", FieldCode::UnknownReference, "must be a patient");
            let duplicate = duplicate.ok_or_else(unknown)?;
            tx.audit.note_patient(survivor.id);
            tx.audit.note_shown([duplicate.id]);
            survivor.require_active()?;
            duplicate.require_active()?;
            if_match.check(survivor.version)?;
            if duplicate.version != new.duplicate_version {
                return Err(Error::Stale);
            }
            conflicts::require_none(tx.conn, &survivor, &duplicate, tx.now)?;
            store_merge(tx, &new, &survivor, &duplicate)
        })
        .await
}

/// Locks accounts in the order of their ids, before the records, as all that lock both do.
pub(super) fn lock_accounts(tx: &mut Tx, accounts: impl IntoIterator<Item = UserId>) -> Result<()> {
    for account in accounts {
        access_lock::wait(tx.conn, account)?;
        match accounts::store::lock(tx.conn, account) {
            // The check of the list names it.
            Err(Error::NotFound) => {}
            other => drop(other?),
        }
    }
    Ok(())
}

/// Locks both records in the order of their ids, against everything that refers to them.
pub(super) fn lock_both(
    conn: &mut Conn,
    survivor: PatientId,
    duplicate: PatientId,
) -> Result<(Option<Patient>, Option<Patient>)> {
    let both = patients::table.filter(patients::id.eq(survivor).or(patients::id.eq(duplicate)));
    let both = both.order(patients::id);
    let rows: Vec<Patient> = match conn {
        Conn::Sqlite(conn) => both.select(Patient::as_select()).load(conn)?,
        Conn::Postgres(conn) => both.select(Patient::as_select()).for_update().load(conn)?,
    };
    let find = |id: PatientId| rows.iter().find(|row| row.id == id).cloned();
    Ok((find(survivor), find(duplicate)))
}

fn store_merge(
    tx: &mut Tx,
    new: &NewPatientMerge,
    survivor: &Patient,
    duplicate: &Patient,
) -> Result<Versioned<PatientMergeView>> {
    let id = tx.env.new_id();
    let row = Merge {
        id,
        survivor_id: survivor.id,
        duplicate_id: duplicate.id,
        reason: tx.env.sealer.seal(Merge::place(id), &new.reason)?,
        merged_by: tx.actor.user_id,
        merged_at: tx.now,
        undone_by: None,
        undone_at: None,
    };
    diesel::insert_into(patient_merges::table).values(&row).execute(tx.conn)?;
    flags::keep(tx, &row)?;
    moving::move_rows(tx.conn, id)?;
    recompute::follow_record(tx, survivor)?;
    flag_ownership::reassign(tx.conn, survivor.id, tx.now)?;
    moving::move_identifiers(tx.conn, duplicate.id, survivor.id)?;
    let identifiers = survivor.identifiers.0.iter().chain(&duplicate.identifiers.0).cloned().collect();
    store::set_identifiers(tx.conn, survivor.id, &Identifiers(identifiers), tx.now)?;
    // Access that was right for the record alone may be wrong for both. Before `move_listed`, so that this guard, and those of the duplicate,
    // which have moved, apply to the access that it gives.
    guarding::begin(tx, survivor.id)?;
    guarding::record_merged(tx, survivor, duplicate)?;
    access::move_listed(tx, id, &new.access_to_move, duplicate, survivor)?;
    repoint(tx.conn, duplicate.id, survivor.id, tx.now)?;
    store::set_replaced_by(tx.conn, duplicate, Some(survivor.id), tx.now)?;
    uses::record_state(tx, &row)?;
    tx.audit.note_object(id.0);
    row.versioned(tx.env)
}

/// Lets the records that were merged into `from` lead to `to`.
fn repoint(conn: &mut Conn, from: PatientId, to: PatientId, now: Timestamp) -> Result<()> {
    let earlier = patients::table.filter(patients::replaced_by.eq(from));
    diesel::update(earlier)
        .set((patients::replaced_by.eq(to), patients::version.eq(patients::version + 1), patients::updated_at.eq(now)))
        .execute(conn)?;
    Ok(())
}

/// Merge two patients
///
/// For the front desk and administrators. The other record is merged into this one: its appointments, intakes, flags, laboratory results,
/// follow-ups, consents, messages, entries of the waitlist and identifiers become those of this record. The other record stays readable, and
/// its `replaced_by` names this one. `If-Match` and `duplicate_version` are the versions of the preview. Accounts of the other record get
/// access to this one only if `access_to_move` lists them. It waits for a second member of the staff, and all who could object get a
/// message. The access of accounts that are not listed ends, and they are notified. So is the address of the other record, which gets no
/// more messages. An account of this record that does not act for the other one, or in another relation, would read data that it has no
/// access to: `merge_conflicts` then has `other_accounts`. Merge the other way round, or give it access to the other record first. Each
/// object that follows gets a new version. `POST /v1/patient-merges/{id}/undo` undoes the merge, until one of the records is used.
#[utoipa::path(
    tag = "patients",
    operation_id = "create_patient_merge",
    security(("bearer" = [])),
    params(
        ("id" = PatientId, Path, description = "The record that remains"),
        ("If-Match" = String, Header),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = NewPatientMerge,
    responses(
        (status = 201, description = "The merge", body = PatientMergeView),
        (status = 409, description = "`patient_merged`, `patient_retired`: one of the records is not in use; `replaced_by` names the one to use. \
            `merge_conflicts`: `conflicts` lists what must be resolved first. `account_is_staff`, `other_relation`, `own_record_exists`, \
            `own_account_exists`: a listed account cannot have access to this record"),
    ),
)]
#[post("/v1/patients/{id}/merges")]
pub(super) async fn create_patient_merge(
    context: Context,
    PathId(id): PathId<PatientId>,
    if_match: IfMatch,
    key: IdempotencyKey,
    body: Body<NewPatientMerge>,
) -> Result<HttpResponse> {
    let merged = merge(&context, key.once(&body.raw), id, if_match, body.value).await?;
    Ok(response::created(format!("/v1/patient-merges/{}", merged.object.id), &merged))
}
