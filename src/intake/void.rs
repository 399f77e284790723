//! Marking an intake as entered in error.

use actix_web::{HttpResponse, post};
use serde::Deserialize;
use utoipa::ToSchema;

use super::amendment::checked_reason;
use super::details::IntakeDetails;
use super::model::{IntakeStage, IntakeStatus};
use super::store::{self, Intake};
use super::view::IntakeView;
use super::{flags, recompute};
use crate::actor::Action;
use crate::context::{Context, Once};
use crate::error::Result;
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, IfMatch, PathId};
use crate::ids::IntakeId;
use crate::patients::care;

/// The reason why an intake was entered in error.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "Entered into another patient's record."}))]
pub struct VoidIntakeRequest {
    /// The reason, at most 500 characters. Practitioners read it.
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

/// Marks a submitted intake as entered in error, such as in the record of another patient. Withdraws its flags.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound), [`Error::Stale`](crate::error::Error::Stale); the conflict
/// `status_conflict`.
pub async fn void(
    context: &Context,
    once: Once,
    id: IntakeId,
    if_match: IfMatch,
    request: VoidIntakeRequest,
) -> Result<Versioned<IntakeView>> {
    context.require(Action::IntakeVoid)?;
    let reason = checked_reason(&request.reason)?;
    context
        .change_once(once.guarded(care::admit_repeat), move |tx| {
            let before = IntakeDetails::lock(tx, id, IntakeStage::Submitted, &if_match)?;
            flags::withdraw_all(tx.conn, id, tx.now)?;
            let voided = Intake {
                status: IntakeStatus::EnteredInError,
                void_reason: Some(tx.env.sealer.seal(store::place("void_reason", id), &reason)?),
                due_at: None,
                rule_set: None,
                ..before.intake
            };
            let intake = store::update(tx.conn, tx.now, voided)?;
            recompute::follow_results(tx, &before.patient)?;
            IntakeView::versioned(tx, IntakeDetails { intake, ..before })
        })
        .await
}

/// Mark an intake as entered in error
///
/// The intake is kept but no longer counts. Its flags are marked as withdrawn and stay on the worklist until they are acknowledged.
#[utoipa::path(
    tag = "intakes",
    operation_id = "void_intake",
    security(("bearer" = [])),
    params(
        ("id" = IntakeId, Path, description = "The intake"),
        ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = VoidIntakeRequest,
    responses(
        (status = 200, description = "Marked", body = IntakeView),
        (status = 409, description = "`status_conflict`: it is a draft, or was entered in error before; `intake_status` has its status"),
    ),
)]
#[post("/v1/intakes/{id}/void")]
pub(super) async fn void_intake(
    context: Context,
    PathId(id): PathId<IntakeId>,
    if_match: IfMatch,
    key: IdempotencyKey,
    body: Body<VoidIntakeRequest>,
) -> Result<HttpResponse> {
    Ok(response::versioned(&void(&context, key.once(&body.raw), id, if_match, body.value).await?))
}
