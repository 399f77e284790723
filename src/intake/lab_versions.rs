//! The versions of a laboratory result that a correction, or the mark as entered in error, replaced.

use std::collections::HashMap;

use actix_web::{HttpResponse, get};
use diesel::prelude::*;
use rls::answers::Lab;
use serde::Serialize;
use utoipa::ToSchema;

use super::lab_rows::{self, LabResult, Row};
use super::labs::{self, LabResultView};
use super::model::LabResultStatus;
use crate::actor::Action;
use crate::clock::Timestamp;
use crate::context::{Context, Tx};
use crate::db::schema::{lab_result_versions, lab_results};
use crate::env::Env;
use crate::error::Result;
use crate::http::{PathId, response};
use crate::ids::{LabResultId, LabResultVersionId, PatientId, UserId};
use crate::patients::care;
use crate::sealed::{Place, Sealed};

/// A row of a replaced version.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = lab_result_versions, treat_none_as_default_value = false)]
struct LabResultVersion {
    id: LabResultVersionId,
    lab_result_id: LabResultId,
    version: i32,
    status: LabResultStatus,
    result: Sealed<Lab>,
    reason: Sealed<String>,
    authored_at: Timestamp,
    authored_by: UserId,
    replaced_at: Timestamp,
    replaced_by: UserId,
}

fn place(column: &'static str, id: LabResultVersionId) -> Place {
    Place::new("lab_result_versions", column, id.0)
}

/// Saves the current version of a result before it is replaced.
pub(super) fn keep(tx: &mut Tx, before: &Row, reason: &str) -> Result<()> {
    let (env, id): (_, LabResultVersionId) = (tx.env, tx.env.new_id());
    // Encryption binds a value to its row, so the value is encrypted again for the new row.
    let lab: Lab = env.sealer.open(lab_rows::place(before.id), &before.result)?;
    let row = LabResultVersion {
        id,
        lab_result_id: before.id,
        version: before.version,
        status: before.status,
        result: env.sealer.seal(place("result", id), &lab)?,
        reason: env.sealer.seal(place("reason", id), &reason.to_owned())?,
        authored_at: before.updated_at.unwrap_or(before.created_at),
        authored_by: before.updated_by.unwrap_or(before.created_by),
        replaced_at: tx.now,
        replaced_by: tx.actor.user_id,
    };
    diesel::insert_into(lab_result_versions::table).values(&row).execute(tx.conn)?;
    Ok(())
}

/// A version of a laboratory result that was replaced.
#[derive(Serialize, ToSchema)]
#[schema(as = LabResultVersion, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c60", "version": 1,
    "result": {"id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c59", "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001", "status": "final",
        "test": "ferritin", "value": 92, "unit": "ng/mL", "standard_value": 92.0,
    "standard_unit": "ng/mL", "collected_on": "2026-02-26", "source": "lab_report",
        "created_at": "2026-03-02T14:00:00Z", "updated_at": null},
    "reason": "The digits were swapped.", "authored_at": "2026-03-02T14:00:00Z",
    "authored_by": "0199d0c2-1f00-7aaa-8000-000000000003", "replaced_at": "2026-03-03T14:00:00Z",
    "replaced_by": "0199d0c2-1f00-7aaa-8000-000000000003"
}))]
pub struct LabResultVersionView {
    /// The replaced version.
    pub id: LabResultVersionId,
    /// The version of the result while this was its value.
    #[schema(minimum = 1)]
    pub version: i32,
    /// The result as it was.
    pub result: LabResultView,
    /// Why the version was replaced.
    pub reason: String,
    /// When the value was entered.
    pub authored_at: Timestamp,
    /// The account that entered the value.
    pub authored_by: UserId,
    /// When the version was replaced.
    pub replaced_at: Timestamp,
    /// The account that replaced the version.
    pub replaced_by: UserId,
}

impl LabResultVersionView {
    fn new(env: &Env, row: &LabResultVersion, (patient_id, created_at): (PatientId, Timestamp)) -> Result<Self> {
        let result = LabResult {
            id: row.lab_result_id,
            patient_id,
            status: row.status,
            lab: env.sealer.open(place("result", row.id), &row.result)?,
            created_at,
            updated_at: (row.authored_at != created_at).then_some(row.authored_at),
        };
        Ok(Self {
            id: row.id,
            version: row.version,
            result: result.into(),
            reason: env.sealer.open(place("reason", row.id), &row.reason)?,
            authored_at: row.authored_at,
            authored_by: row.authored_by,
            replaced_at: row.replaced_at,
            replaced_by: row.replaced_by,
        })
    }
}

/// Loads the replaced versions of a patient's results, by result, oldest first.
pub(super) fn of_patient(tx: &mut Tx, patient: PatientId) -> Result<HashMap<LabResultId, Vec<LabResultVersionView>>> {
    let rows: Vec<(LabResultVersion, Timestamp)> = lab_result_versions::table
        .inner_join(lab_results::table.on(lab_results::id.eq(lab_result_versions::lab_result_id)))
        .filter(lab_results::patient_id.eq(patient))
        .order((lab_result_versions::lab_result_id, lab_result_versions::version))
        .select((LabResultVersion::as_select(), lab_results::created_at))
        .load(tx.conn)?;
    let mut by_result: HashMap<_, Vec<_>> = HashMap::new();
    for (row, created_at) in rows {
        let view = LabResultVersionView::new(tx.env, &row, (patient, created_at))?;
        by_result.entry(row.lab_result_id).or_default().push(view);
    }
    Ok(by_result)
}

/// The replaced versions of a laboratory result.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
pub struct LabResultVersionPage {
    /// The replaced versions, oldest first. The current version is the result itself.
    pub items: Vec<LabResultVersionView>,
    /// Always null: the list has one page.
    pub next_cursor: Option<String>,
}

/// Lists the replaced versions of a result, oldest first.
///
/// # Errors
/// Those of [`labs::read`].
pub async fn list(context: &Context, id: LabResultId) -> Result<LabResultVersionPage> {
    context.require(Action::LabResultHistoryRead)?;
    care::read_clinical(context, move |tx| {
        let result = labs::find(tx, id)?;
        let rows: Vec<LabResultVersion> = lab_result_versions::table
            .filter(lab_result_versions::lab_result_id.eq(id))
            .order(lab_result_versions::version)
            .select(LabResultVersion::as_select())
            .load(tx.conn)?;
        let of = (result.patient_id, result.created_at);
        let items = rows.iter().map(|row| LabResultVersionView::new(tx.env, row, of)).collect::<Result<_>>()?;
        Ok(LabResultVersionPage { items, next_cursor: None })
    })
    .await
}

/// List the replaced versions of a laboratory result
///
/// Practitioners only. A correction replaces a version, and so does the mark as entered in error. Each version has its value and the
/// reason why it was replaced.
#[utoipa::path(
    tag = "intakes",
    operation_id = "list_lab_result_versions",
    security(("bearer" = [])),
    params(("id" = LabResultId, Path, description = "The result")),
    responses((status = 200, description = "The replaced versions", body = LabResultVersionPage)),
)]
#[get("/v1/lab-results/{id}/versions")]
pub(super) async fn list_lab_result_versions(
    context: Context,
    PathId(id): PathId<LabResultId>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, id).await?))
}
