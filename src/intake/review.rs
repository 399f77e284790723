//! A practitioner's review of a submitted intake. [`rls::Review`] has its fields and rules.

use actix_web::{HttpResponse, post};
use jiff::civil::Date;
use rls::{FilledBy, FormName, RedactedJson};
use serde_json::Value;

use super::details::IntakeDetails;
use super::model::IntakeStage;
use super::store::{self, Intake};
use super::stored_review::seal;
use super::view::IntakeView;
use super::{flags, from_value, versions};
use crate::actor::Action;
use crate::context::{Context, Once, Tx};
use crate::error::Result;
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, IfMatch, PathId};
use crate::ids::IntakeId;
use crate::patients::care;

/// Reviews a submitted intake. The version before is kept if it has a review.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound), [`Error::Stale`](crate::error::Error::Stale); the conflict `status_conflict`; every
/// broken rule.
pub async fn review(
    context: &Context,
    once: Once,
    id: IntakeId,
    if_match: IfMatch,
    review: RedactedJson,
) -> Result<Versioned<IntakeView>> {
    context.require(Action::IntakeReview)?;
    let RedactedJson(review) = review;
    // Checks everything but the dates, which depend on the patient's birth, and what only the review of a history requires.
    let facts = rls::Context::new(Date::MIN, Date::MAX, FilledBy::Practitioner);
    rls::Review::parse(&review, "", &rls::Context { form: FormName::FollowUp, ..facts })?;
    context
        .change_once(once.guarded(care::admit_repeat), move |tx| {
            let reviewed = store_review(tx, id, &if_match, &review)?;
            IntakeView::versioned(tx, reviewed)
        })
        .await
}

/// Reviews a submitted intake in an open transaction.
///
/// # Errors
/// Those of [`review`].
pub fn store_review(tx: &mut Tx, id: IntakeId, if_match: &IfMatch, review: &Value) -> Result<IntakeDetails> {
    let before = IntakeDetails::lock(tx, id, IntakeStage::Submitted, if_match)?;
    let review = rls::Review::parse(review, "", &before.reading.facts)?;
    if before.intake.review.is_some() {
        versions::keep(tx, &before.intake, "reviewed again")?;
    }
    // A review does not change the day as of which the answers count, such as for the patient's age.
    let facts = before.reading.facts_at(before.intake.authored_at)?.reviewed(&review);
    let answers = from_value(&Value::Object(before.intake.open_answers(tx.env)?))?;
    let computed = rls::compute(&answers, &facts);
    let reviewed = Intake {
        review: Some(seal(tx.env, id, &review)?),
        reviewed_at: Some(tx.now),
        reviewed_by: Some(tx.actor.user_id),
        ..before.intake.with_findings(tx.env, &computed, &before.reading.place)?
    };
    let intake = store::update(tx.conn, tx.now, reviewed)?;
    flags::follow_answers(tx, &intake, &computed.flags)?;
    Ok(IntakeDetails { intake, ..before })
}

/// Review a submitted intake
///
/// Practitioners only. States whether other conditions explain the symptoms, the class of the veins, the confirmed contributors and the
/// plan. The review of a follow-up may be the plan alone. The review applies to the current answers. An earlier review is kept in the versions.
#[utoipa::path(
    tag = "intakes",
    operation_id = "review_intake",
    security(("bearer" = [])),
    params(
        ("id" = IntakeId, Path, description = "The intake"),
        ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body(content = rls::Review, example = json!({
        "mimic_review": "not_solely_explained", "ceap": [{"limb": "left", "class": "C2", "suffix": "s", "date": "2026-06-03"}],
        "contributors_confirmed": ["iron_deficiency"], "plan_note": "Iron by mouth; ferritin again in twelve weeks.",
        "recheck_on": "2026-08-26"
    })),
    responses(
        (status = 200, description = "Reviewed", body = IntakeView),
        (status = 409, description = "`status_conflict`: it is a draft, or was entered in error; `intake_status` has its status"),
    ),
)]
#[post("/v1/intakes/{id}/review")]
pub(super) async fn review_intake(
    context: Context,
    PathId(id): PathId<IntakeId>,
    if_match: IfMatch,
    key: IdempotencyKey,
    body: Body<RedactedJson>,
) -> Result<HttpResponse> {
    Ok(response::versioned(&review(&context, key.once(&body.raw), id, if_match, body.value).await?))
}
