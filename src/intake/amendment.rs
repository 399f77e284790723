//! Amending a submitted intake.

use actix_web::{HttpResponse, post};
use rls::RedactedJson;
use serde::Deserialize;
use utoipa::ToSchema;

use super::details::IntakeDetails;
use super::drafts::{checked_answers, patched};
use super::model::{IntakeStage, IntakeStatus};
use super::store::{self, Intake};
use super::submission::checked_in_full;
use super::view::IntakeView;
use super::{flags, to_map, versions};
use crate::actor::Action;
use crate::context::{Context, Once};
use crate::error::{Check, Result};
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, IfMatch, PathId};
use crate::ids::IntakeId;
use crate::patients::care;

/// A correction of a submitted intake.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"answers": {"symptoms": {"symptom_onset_date": "2008"}}, "reason": "The year was wrong."}))]
pub struct AmendIntakeRequest {
    /// The answers to change (RFC 7396), as when a draft is saved.
    #[schema(value_type = rls::AnswersPatch)]
    pub answers: RedactedJson,
    /// The reason, at most 500 characters. Practitioners read it.
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

/// Checks and normalises the reason of an amendment, or why an intake was entered in error.
pub(super) fn checked_reason(text: &str) -> Result<String> {
    let mut check = Check::new();
    let reason = check.field("/reason", text::lines(text, text::MAX_REASON));
    check.done()?;
    Ok(reason.unwrap_or_default())
}

/// Amends a submitted intake. The version before is kept with its review; the amended answers have no review yet.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound), [`Error::Stale`](crate::error::Error::Stale); the conflict
/// `status_conflict`; every broken rule, and every issue that blocks a submission.
pub async fn amend(
    context: &Context,
    once: Once,
    id: IntakeId,
    if_match: IfMatch,
    amendment: AmendIntakeRequest,
) -> Result<Versioned<IntakeView>> {
    context.require(Action::IntakeAmend)?;
    let patch = checked_answers(amendment.answers)?;
    let reason = checked_reason(&amendment.reason)?;
    context
        .change_once(once.guarded(care::admit_repeat), move |tx| {
            let before = IntakeDetails::lock(tx, id, IntakeStage::Submitted, &if_match)?;
            let (answers, computed) = checked_in_full(&patched(tx.env, &before, &patch)?, &before.reading)?;
            versions::keep(tx, &before.intake, &reason)?;
            let amended = Intake {
                status: IntakeStatus::Amended,
                answers: tx.env.sealer.seal(store::place("answers", id), &to_map(&answers)?)?,
                form_version: before.reading.facts.form.version().to_owned(),
                authored_at: tx.now,
                review: None,
                reviewed_at: None,
                reviewed_by: None,
                updated_by: tx.actor.user_id,
                ..before.intake.with_findings(tx.env, &computed, &before.reading.place)?
            };
            let intake = store::update(tx.conn, tx.now, amended)?;
            flags::follow_answers(tx, &intake, &computed.flags)?;
            IntakeView::versioned(tx, IntakeDetails { intake, ..before })
        })
        .await
}

/// Amend a submitted intake
///
/// Checks the amended answers in full. The previous version is kept with its review. The amended answers need a review of their own.
#[utoipa::path(
    tag = "intakes",
    operation_id = "amend_intake",
    security(("bearer" = [])),
    params(
        ("id" = IntakeId, Path, description = "The intake"),
        ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = AmendIntakeRequest,
    responses(
        (status = 200, description = "Amended", body = IntakeView),
        (status = 409, description = "`status_conflict`: it is a draft, or was entered in error; `intake_status` has its status"),
    ),
)]
#[post("/v1/intakes/{id}/amend")]
pub(super) async fn amend_intake(
    context: Context,
    PathId(id): PathId<IntakeId>,
    if_match: IfMatch,
    key: IdempotencyKey,
    body: Body<AmendIntakeRequest>,
) -> Result<HttpResponse> {
    Ok(response::versioned(&amend(&context, key.once(&body.raw), id, if_match, body.value).await?))
}
