//! The preview of a merge: what would follow, who acts for the duplicate, and what hinders the merge.

use actix_web::{HttpResponse, get};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::access::{self, MergeAccess};
use super::conflicts::{self, MergeConflict};
use super::moving::MergeMoves;
use crate::actor::Action;
use crate::context::Context;
use crate::error::{Error, FieldCode, Result};
use crate::http::{Params, PathId, response};
use crate::ids::PatientId;
use crate::patients::model::{self, PatientView};
use crate::patients::store;

/// A merge before it is done.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "patient": model::example(), "patient_version": 3, "duplicate": model::example(), "duplicate_version": 1,
    "moves": {
        "appointments": 2, "appointment_series": 0, "consents": 1, "follow_ups": 0, "identifiers": 1, "intake_flags": 0, "intakes": 1,
        "lab_results": 0, "messages": 4, "waitlist_entries": 0, "waitlist_offers": 0
    },
    "access": [{
        "user_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "email": "ann@example.org", "relation": "self", "has_access": false,
        "movable": true
    }],
    "conflicts": []
}))]
pub struct PatientMergePreview {
    /// The record that would remain, as it is. A merge adds the identifiers of the duplicate and changes nothing else of it.
    patient: PatientView,
    /// Its version, for the `If-Match` of the merge.
    patient_version: i32,
    /// The record that would be merged into it.
    duplicate: PatientView,
    /// Its version, for the merge.
    duplicate_version: i32,
    /// How many objects would follow.
    moves: MergeMoves,
    /// The accounts of the duplicate. None of them gets access to the other record unless `access_to_move` lists it.
    access: Vec<MergeAccess>,
    /// What must be resolved first.
    conflicts: Vec<MergeConflict>,
}

/// The other record of a preview.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PatientMergePreviewFilter {
    /// The record that would be merged into this one.
    pub duplicate_id: PatientId,
}

/// Previews a merge.
///
/// # Errors
/// [`Error::NotFound`]; a broken rule at `?duplicate_id`; the conflicts `patient_merged` and `patient_retired`.
pub async fn read(context: &Context, id: PatientId, duplicate: PatientId) -> Result<PatientMergePreview> {
    context.require(Action::PatientMerge)?;
    if id == duplicate {
        return Err(Error::invalid("?duplicate_id", FieldCode::SameRecord, "must be another record"));
    }
    context
        .read(move |tx| {
            // First, because the audit event is about this one and shows the other.
            let survivor = store::visible_in_use(tx.conn, tx.env, tx.actor, id)?;
            let of_duplicate = match store::visible_in_use(tx.conn, tx.env, tx.actor, duplicate) {
                Err(Error::NotFound) => {
                    return Err(Error::invalid("?duplicate_id", FieldCode::UnknownReference, "must be a patient"));
                }
                other => other?,
            };
            let shown = PatientView::load(tx, duplicate)?;
            let patient = PatientView::load(tx, id)?;
            tx.audit.note_shown([duplicate]);
            Ok(PatientMergePreview {
                patient: patient.object,
                patient_version: patient.version,
                duplicate: shown.object,
                duplicate_version: shown.version,
                moves: MergeMoves::of(tx.conn, duplicate)?,
                access: access::preview(tx, id, duplicate)?,
                conflicts: conflicts::between(tx.conn, &survivor, &of_duplicate, tx.now)?,
            })
        })
        .await
}

/// Preview a merge of two patients
///
/// For the front desk and administrators. Shows both records, how many objects of the duplicate would follow, its accounts, and what hinders
/// the merge. Shows no clinical data. `GET /v1/patients/{id}/duplicates` finds candidates.
#[utoipa::path(
    tag = "patients",
    operation_id = "get_patient_merge_preview",
    security(("bearer" = [])),
    params(("id" = PatientId, Path, description = "The record that would remain"), PatientMergePreviewFilter),
    responses(
        (status = 200, description = "The merge as it would be", body = PatientMergePreview),
        (status = 409, description = "`patient_merged` or `patient_retired`: one of the records is not in use"),
    ),
)]
#[get("/v1/patients/{id}/merge-preview")]
pub(super) async fn get_patient_merge_preview(
    context: Context,
    PathId(id): PathId<PatientId>,
    Params(filter): Params<PatientMergePreviewFilter>,
) -> Result<HttpResponse> {
    Ok(response::ok(&read(&context, id, filter.duplicate_id).await?))
}
