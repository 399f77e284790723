//! Reading merges.

use actix_web::{HttpResponse, get};
use diesel::prelude::*;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::actor::Action;
use crate::clock::Timestamp;
use crate::context::{Context, Tx};
use crate::db::schema::patient_merges;
use crate::env::Env;
use crate::error::Result;
use crate::http::PathId;
use crate::http::response::{self, Versioned};
use crate::ids::{PatientId, PatientMergeId, UserId};
use crate::patients::store;
use crate::sealed::{Place, Sealed};

/// A merge as it is stored.
#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = patient_merges)]
pub(super) struct Merge {
    pub id: PatientMergeId,
    pub survivor_id: PatientId,
    pub duplicate_id: PatientId,
    pub reason: Sealed<String>,
    pub merged_by: UserId,
    pub merged_at: Timestamp,
    pub undone_by: Option<UserId>,
    pub undone_at: Option<Timestamp>,
}

/// A merge of two records of one patient.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = PatientMerge, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c60", "patient_id": "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e01",
    "duplicate_id": "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e02", "reason": "Registered twice",
    "merged_by": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "merged_at": "2026-03-02T14:00:00Z", "undo_until": "2026-04-01T14:00:00Z",
    "undone_by": null, "undone_at": null
}))]
pub struct PatientMergeView {
    /// The merge.
    pub(super) id: PatientMergeId,
    /// The record that remained. A later merge may have replaced it as well.
    patient_id: PatientId,
    /// The record that was merged into it.
    duplicate_id: PatientId,
    /// The reason.
    reason: String,
    /// The account that merged them.
    merged_by: UserId,
    /// The time of the merge.
    merged_at: Timestamp,
    /// Until when it can be undone (`MERGE_UNDO_DAYS`).
    undo_until: Timestamp,
    /// The account that undid it.
    undone_by: Option<UserId>,
    /// The time at which it was undone.
    undone_at: Option<Timestamp>,
}

impl Merge {
    /// Where the reason is sealed.
    pub fn place(id: PatientMergeId) -> Place {
        Place::new("patient_merges", "reason", id.0)
    }

    /// Until when the merge can be undone.
    pub fn undo_until(&self, env: &Env) -> Timestamp {
        let settings = &env.config.settings;
        let days = i64::from(settings.merge_undo_days);
        // The audit trail says whether the record was used.
        let days = match settings.retention.retain_audit_years {
            0 => days,
            years => days.min(365 * i64::from(years)),
        };
        self.merged_at.plus(SignedDuration::from_hours(24 * days))
    }

    /// The merge as callers see it. It changes once, when it is undone.
    pub fn versioned(self, env: &Env) -> Result<Versioned<PatientMergeView>> {
        let version = if self.undone_at.is_some() { 2 } else { 1 };
        let object = PatientMergeView {
            reason: env.sealer.open(Self::place(self.id), &self.reason)?,
            undo_until: self.undo_until(env),
            id: self.id,
            patient_id: self.survivor_id,
            duplicate_id: self.duplicate_id,
            merged_by: self.merged_by,
            merged_at: self.merged_at,
            undone_by: self.undone_by,
            undone_at: self.undone_at,
        };
        Ok(Versioned { version, object })
    }
}

/// The merges of a record.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
pub struct PatientMergePage {
    /// The merges of other records into this one, and of this one into others, newest first.
    items: Vec<PatientMergeView>,
    /// Always null: the list has one page.
    next_cursor: Option<String>,
}

/// Loads a merge, and notes both records for the audit event.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound).
pub(super) fn find(tx: &mut Tx, id: PatientMergeId) -> Result<Merge> {
    let merge: Merge = patient_merges::table.find(id).select(Merge::as_select()).first(tx.conn)?;
    tx.audit.note_patient(merge.survivor_id);
    tx.audit.note_shown([merge.duplicate_id]);
    Ok(merge)
}

/// Reads a merge.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound).
pub async fn read(context: &Context, id: PatientMergeId) -> Result<Versioned<PatientMergeView>> {
    context.require(Action::PatientMerge)?;
    context.read(move |tx| find(tx, id)?.versioned(tx.env)).await
}

/// Lists the merges of a record, in either role.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound) if there is no such patient.
pub async fn list(context: &Context, id: PatientId) -> Result<PatientMergePage> {
    context.require(Action::PatientMerge)?;
    context
        .read(move |tx| {
            store::visible(tx.conn, tx.env, tx.actor, id)?;
            let merges = || patient_merges::table.select(Merge::as_select());
            let mut rows: Vec<Merge> = merges().filter(patient_merges::survivor_id.eq(id)).load(tx.conn)?;
            rows.extend(merges().filter(patient_merges::duplicate_id.eq(id)).load::<Merge>(tx.conn)?);
            rows.sort_by_key(|merge| std::cmp::Reverse((merge.merged_at, merge.id)));
            tx.audit.note_shown(rows.iter().flat_map(|merge| [merge.survivor_id, merge.duplicate_id]));
            let items = rows.into_iter().map(|merge| Ok(merge.versioned(tx.env)?.object)).collect::<Result<_>>()?;
            Ok(PatientMergePage { items, next_cursor: None })
        })
        .await
}

/// List the merges of a patient
///
/// For the front desk and administrators. Returns the records that were merged into this one, and the merge of this one into another,
/// with those that were undone.
#[utoipa::path(
    tag = "patients",
    operation_id = "list_patient_merges",
    security(("bearer" = [])),
    params(("id" = PatientId, Path, description = "The patient")),
    responses((status = 200, description = "The merges", body = PatientMergePage)),
)]
#[get("/v1/patients/{id}/merges")]
pub(super) async fn list_patient_merges(context: Context, PathId(id): PathId<PatientId>) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, id).await?))
}

/// Read a merge
///
/// For the front desk and administrators.
#[utoipa::path(
    tag = "patients",
    operation_id = "get_patient_merge",
    security(("bearer" = [])),
    params(("id" = PatientMergeId, Path, description = "The merge")),
    responses((status = 200, description = "The merge", body = PatientMergeView)),
)]
#[get("/v1/patient-merges/{id}")]
pub(super) async fn get_patient_merge(context: Context, PathId(id): PathId<PatientMergeId>) -> Result<HttpResponse> {
    Ok(response::versioned(&read(&context, id).await?))
}
