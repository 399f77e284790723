//! Submitting a draft, and the full check of answers that submissions and amendments pass.

use actix_web::{HttpResponse, post};
use rls::FormName;
use serde_json::Value;

use super::details::IntakeDetails;
use super::follow_up::answering;
use super::model::{IntakeStage, IntakeStatus};
use super::reading_context::ReadingContext;
use super::store::{self, Intake};
use super::view::IntakeView;
use super::{flags, to_map};
use crate::actor::Action;
use crate::context::{Context, Once, Tx};
use crate::error::Result;
use crate::http::response::{self, Versioned};
use crate::http::{IdempotencyKey, IfMatch, PathId};
use crate::ids::IntakeId;
use crate::patients::care;

/// Submits a draft.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`]; the conflict `status_conflict`; every issue that blocks the submission.
pub async fn submit(context: &Context, once: Once, id: IntakeId, if_match: IfMatch) -> Result<Versioned<IntakeView>> {
    context.require(Action::IntakeWrite)?;
    context
        .change_once(once.guarded(care::admit_repeat), move |tx| {
            let submitted = complete(tx, id, &if_match)?;
            IntakeView::versioned(tx, submitted)
        })
        .await
}

/// Submits a draft in an open transaction.
///
/// # Errors
/// Those of [`submit`].
pub fn complete(tx: &mut Tx, id: IntakeId, if_match: &IfMatch) -> Result<IntakeDetails> {
    let before = IntakeDetails::lock(tx, id, IntakeStage::Draft, if_match)?;
    let answers = rls::parse(&Value::Object(before.intake.open_answers(tx.env)?), "/answers")?;
    let (answers, computed) = checked_in_full(&answers, &before.reading)?;
    let submitted = Intake {
        status: IntakeStatus::Completed,
        answers: tx.env.sealer.seal(store::place("answers", id), &to_map(&answers)?)?,
        form_version: before.reading.facts.form.version().to_owned(),
        authored_at: tx.now,
        submitted_at: Some(tx.now),
        updated_by: tx.actor.user_id,
        ..before.intake.with_findings(tx.env, &computed, &before.reading.place)?
    };
    let intake = store::update(tx.conn, tx.now, submitted)?;
    flags::follow_answers(tx, &intake, &computed.flags)?;
    if before.reading.facts.form == FormName::FollowUp {
        answering::answered(tx, intake.patient_id, id, before.reading.facts.today)?;
    }
    Ok(IntakeDetails { intake, ..before })
}

/// Checks answers in full. Required questions that staff left open are marked as not asked.
///
/// # Errors
/// Every issue that blocks the submission.
pub(super) fn checked_in_full(
    answers: &rls::Answers,
    reading: &ReadingContext,
) -> Result<(rls::Answers, rls::Computed)> {
    let answers = rls::mark_not_asked(answers, &reading.facts);
    let computed = rls::compute(&answers, &reading.facts);
    rls::submittable(&computed.issues, reading.facts.filled_by)?;
    Ok((answers, computed))
}

/// Submit a draft
///
/// Runs the full check. Each error in `computed.issues` blocks the submission and is returned with its pointer. Staff may submit while
/// required questions are open; those are stored as `not_asked`.
#[utoipa::path(
    tag = "intakes",
    operation_id = "submit_intake",
    security(("bearer" = [])),
    params(
        ("id" = IntakeId, Path, description = "The intake"),
        ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    responses(
        (status = 200, description = "Submitted", body = IntakeView),
        (status = 409, description = "`status_conflict`: it is not a draft; `intake_status` has its status"),
        (status = 422, description = "`validation_failed`: what is missing or inconsistent, each with its pointer under `/answers`. \
            `idempotency_key_reused`: the Idempotency-Key came with another request before"),
    ),
)]
#[post("/v1/intakes/{id}/submit")]
pub(super) async fn submit_intake(
    context: Context,
    PathId(id): PathId<IntakeId>,
    if_match: IfMatch,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    Ok(response::versioned(&submit(&context, key.once_without_body(), id, if_match).await?))
}
