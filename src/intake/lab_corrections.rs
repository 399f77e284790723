//! Correcting a laboratory result, and marking it as entered in error. Both keep the version before with the reason.

use actix_web::{HttpResponse, post};
use diesel::prelude::*;
use rls::RedactedJson;
use rls::answers::Lab;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::amendment::checked_reason;
use super::lab_rows::{Row, place};
use super::labs::{self, LabResultView};
use super::model::LabResultStatus;
use super::reading_context::ReadingContext;
use super::{lab_versions, recompute};
use crate::actor::Action;
use crate::context::{Context, Once, Tx};
use crate::db::schema::lab_results;
use crate::error::{Error, ProblemCode, Result};
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, IfMatch, PathId};
use crate::ids::LabResultId;
use crate::patients::model::Patient;
use crate::patients::{care, store as records};

/// A correction of a laboratory result.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "result": {"test": "ferritin", "value": 29, "unit": "ng/mL", "collected_on": "2026-02-20", "source": "lab_report"},
    "reason": "The digits were swapped."
}))]
pub struct CorrectLabResultRequest {
    /// The whole corrected result.
    #[schema(value_type = Lab)]
    pub result: RedactedJson,
    /// The reason, at most 500 characters. Practitioners read it.
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

/// The reason why a laboratory result was entered in error.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "Entered into another patient's record."}))]
pub struct VoidLabResultRequest {
    /// The reason, at most 500 characters. Practitioners read it.
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

/// Corrects a laboratory result.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`]; the conflict `status_conflict`; every broken rule.
pub async fn correct(
    context: &Context,
    once: Once,
    id: LabResultId,
    if_match: IfMatch,
    request: CorrectLabResultRequest,
) -> Result<Versioned<LabResultView>> {
    context.require(Action::LabResultWrite)?;
    let RedactedJson(lab) = request.result;
    labs::check(&lab, "/result")?;
    let reason = checked_reason(&request.reason)?;
    context
        .change_once(once.guarded(care::admit_repeat), move |tx| {
            let patient = patient_of(tx, id)?;
            let lab = labs::parse(&lab, "/result", &ReadingContext::load(tx, &patient)?.facts)?;
            replace(tx, &patient, id, &if_match, &Change { lab: Some(&lab), reason: &reason })
        })
        .await
}

/// Marks a laboratory result as entered in error.
///
/// # Errors
/// Those of [`correct`].
pub async fn void(
    context: &Context,
    once: Once,
    id: LabResultId,
    if_match: IfMatch,
    request: VoidLabResultRequest,
) -> Result<()> {
    context.require(Action::LabResultWrite)?;
    let reason = checked_reason(&request.reason)?;
    context
        .change_once(once.guarded(care::admit_repeat), move |tx| {
            let patient = patient_of(tx, id)?;
            replace(tx, &patient, id, &if_match, &Change { lab: None, reason: &reason })?;
            Ok(())
        })
        .await
}

/// A change of a laboratory result.
pub struct Change<'a> {
    /// The corrected result. `None` marks it as entered in error.
    pub lab: Option<&'a Lab>,
    /// Why it is changed.
    pub reason: &'a str,
}

/// Loads the patient of a result.
///
/// # Errors
/// [`Error::NotFound`]; forbidden, if a practitioner has to give a reason.
fn patient_of(tx: &mut Tx, id: LabResultId) -> Result<Patient> {
    let patient = lab_results::table.find(id).select(lab_results::patient_id).first(tx.conn)?;
    let patient = records::visible(tx.conn, tx.env, tx.actor, patient)?;
    care::admit(tx.conn, tx.env, tx.actor, patient.id)?;
    Ok(patient)
}

/// Replaces a result in an open transaction, and computes the findings that depend on it anew.
///
/// # Errors
/// Those of [`correct`].
pub fn replace(
    tx: &mut Tx,
    patient: &Patient,
    id: LabResultId,
    if_match: &IfMatch,
    change: &Change,
) -> Result<Versioned<LabResultView>> {
    records::lock_visits(tx.conn, patient.id)?;
    let before: Row = lab_results::table.find(id).select(Row::as_select()).first(tx.conn)?;
    records::require_same_owner(patient.id, before.patient_id)?;
    if before.status == LabResultStatus::EnteredInError {
        let members = Map::from_iter([("lab_result_status".to_owned(), Value::from(before.status.as_str()))]);
        let detail = "The result was marked as entered in error and cannot be changed. Enter a new result.";
        return Err(Error::conflict_with(ProblemCode::StatusConflict, detail, members));
    }
    if_match.check(before.version)?;
    lab_versions::keep(tx, &before, change.reason)?;
    let (status, result) = match change.lab {
        Some(lab) => (LabResultStatus::Corrected, tx.env.sealer.seal(place(id), lab)?),
        None => (LabResultStatus::EnteredInError, before.result.clone()),
    };
    let after = Row {
        status,
        result,
        version: before.version + 1,
        updated_by: Some(tx.actor.user_id),
        updated_at: Some(tx.now),
        ..before
    };
    diesel::update(lab_results::table.find(id)).set(&after).execute(tx.conn)?;
    recompute::follow_results(tx, patient)?;
    after.versioned(tx.env)
}

/// Correct a laboratory result
///
/// Staff only. Replaces the whole result; the version before is kept with the reason. Computes the findings and flags of the patient
/// anew, as a new result does. A practitioner without a care relationship gives a reason in `Access-Reason`.
#[utoipa::path(
    tag = "intakes",
    operation_id = "correct_lab_result",
    security(("bearer" = [])),
    params(
        ("id" = LabResultId, Path, description = "The result"),
        ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = CorrectLabResultRequest,
    responses(
        (status = 200, description = "The corrected result", body = LabResultView),
        (status = 409, description = "`status_conflict`: it was entered in error; `lab_result_status` has its status"),
    ),
)]
#[post("/v1/lab-results/{id}/correct")]
pub(super) async fn correct_lab_result(
    context: Context,
    PathId(id): PathId<LabResultId>,
    if_match: IfMatch,
    key: IdempotencyKey,
    body: Body<CorrectLabResultRequest>,
) -> Result<HttpResponse> {
    Ok(response::versioned(&correct(&context, key.once(&body.raw), id, if_match, body.value).await?))
}

/// Mark a laboratory result as entered in error
///
/// Staff only. The result is kept with its history but counts nowhere any more; the findings and flags of the patient are computed anew.
/// Practitioners still see it. It cannot be changed afterwards. A practitioner without a care relationship gives a reason in
/// `Access-Reason`.
#[utoipa::path(
    tag = "intakes",
    operation_id = "void_lab_result",
    security(("bearer" = [])),
    params(
        ("id" = LabResultId, Path, description = "The result"),
        ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = VoidLabResultRequest,
    responses(
        (status = 204, description = "Marked"),
        (status = 409, description = "`status_conflict`: it was entered in error before; `lab_result_status` has its status"),
    ),
)]
#[post("/v1/lab-results/{id}/void")]
pub(super) async fn void_lab_result(
    context: Context,
    PathId(id): PathId<LabResultId>,
    if_match: IfMatch,
    key: IdempotencyKey,
    body: Body<VoidLabResultRequest>,
) -> Result<HttpResponse> {
    void(&context, key.once(&body.raw), id, if_match, body.value).await?;
    Ok(response::no_content())
}
