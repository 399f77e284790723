//! The progress of a webhook through the sequence of events, and changes of it: sending events again, and skipping events.

use actix_web::{HttpResponse, get, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::model::Endpoint;
use super::store;
use crate::actor::Action;
use crate::clock::Timestamp;
use crate::context::{Context, Once, Tx};
use crate::error::{Check, Error, FieldCode, ProblemCode, Result};
use crate::events::reading::{self, MAX_SEQ};
use crate::http::{Body, IdempotencyKey, PathId, response};
use crate::ids::WebhookId;

/// The most numbers that one request asks for again.
const MOST: i64 = 1_000;

/// A range of numbers of events.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"from_seq": 4700, "through_seq": 4711}))]
pub struct WebhookEventRange {
    /// The first number.
    #[schema(minimum = 1)]
    pub from_seq: i64,
    /// The last number.
    #[schema(minimum = 1)]
    pub through_seq: i64,
}

/// The progress of a webhook.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "delivered_through_seq": 4700, "newest_seq": 4711, "failing_since": "2026-03-02T14:00:00Z", "failed_attempts": 3,
    "next_attempt_at": "2026-03-02T14:01:00Z", "redelivery": null, "missing": null
}))]
pub struct WebhookDelivery {
    /// The number up to which the receiver has every event that it asked for.
    #[schema(minimum = 0)]
    pub delivered_through_seq: i64,
    /// The last number that any event has.
    #[schema(minimum = 0)]
    pub newest_seq: i64,
    /// Since when every attempt has failed. Null if the last one did not.
    pub failing_since: Option<Timestamp>,
    /// How many attempts have failed since then.
    #[schema(minimum = 0)]
    pub failed_attempts: i32,
    /// When the next attempt is made at the earliest. Null if nothing delays it.
    pub next_attempt_at: Option<Timestamp>,
    /// The rest of the events that are sent again. Null if there are none.
    pub redelivery: Option<WebhookEventRange>,
    /// The events that were deleted before they could be delivered, while the webhook was paused or failed. Null if there are none.
    pub missing: Option<WebhookEventRange>,
}

fn range(from: Option<i64>, through: Option<i64>) -> Option<WebhookEventRange> {
    from.zip(through).map(|(from_seq, through_seq)| WebhookEventRange { from_seq, through_seq })
}

impl WebhookDelivery {
    fn of(endpoint: &Endpoint, newest_seq: i64) -> Self {
        Self {
            delivered_through_seq: endpoint.delivered_through_seq,
            newest_seq,
            failing_since: endpoint.failing_since,
            failed_attempts: endpoint.failed_attempts,
            next_attempt_at: endpoint.next_attempt_at,
            redelivery: range(endpoint.redeliver_from_seq, endpoint.redeliver_through_seq),
            missing: range(endpoint.missing_from_seq, endpoint.missing_through_seq),
        }
    }

    fn load(tx: &mut Tx, id: WebhookId) -> Result<Self> {
        let endpoint = store::find(tx.conn, id)?;
        Ok(Self::of(&endpoint, reading::newest(tx.conn)?))
    }
}

/// Reads the progress of a webhook.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn read(context: &Context, id: WebhookId) -> Result<WebhookDelivery> {
    context.require(Action::WebhookManage)?;
    context.read(move |tx| WebhookDelivery::load(tx, id)).await
}

/// Events to send again.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"from_seq": 4700, "through_seq": 4711}))]
pub struct NewWebhookRedelivery {
    /// The first number.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991i64)]
    from_seq: i64,
    /// The last number: not less than the first, at most 1000 numbers in all, and delivered before.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991i64)]
    through_seq: i64,
}

/// Sends events again, before the next new one.
///
/// # Errors
/// [`Error::NotFound`]; broken rules; the conflict `redelivery_in_progress`; [`Error::Gone`] if one of the events is deleted.
pub async fn redeliver(
    context: &Context,
    once: Once,
    id: WebhookId,
    again: NewWebhookRedelivery,
) -> Result<WebhookDelivery> {
    context.require(Action::WebhookManage)?;
    let NewWebhookRedelivery { from_seq, through_seq } = again;
    let mut check = Check::new();
    let is_number = (1..=MAX_SEQ).contains(&from_seq);
    check.require(is_number, "/from_seq", FieldCode::OutOfRange, "must be the number of an event");
    check.require(
        !is_number || (from_seq..from_seq + MOST).contains(&through_seq),
        "/through_seq",
        FieldCode::OutOfRange,
        format!("must not be less than from_seq, and the range must have at most {MOST} numbers"),
    );
    check.done()?;
    context
        .change_once(once, move |tx| {
            let endpoint = store::lock(tx.conn, id)?;
            if through_seq > endpoint.delivered_through_seq {
                let detail = "must be at most the webhook's delivered_through_seq";
                return Err(Error::invalid("/through_seq", FieldCode::OutOfRange, detail));
            }
            reading::require_kept(tx.conn, from_seq)?;
            if endpoint.redeliver_from_seq.is_some() {
                let detail = "Events are being sent again already. Wait until that has ended.";
                return Err(Error::conflict(ProblemCode::RedeliveryInProgress, detail));
            }
            store::set_redelivery(tx.conn, id, from_seq, through_seq)?;
            WebhookDelivery::load(tx, id)
        })
        .await
}

/// The event up to which the receiver gets none.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"through_seq": 4711}))]
pub struct SkipWebhookEventsRequest {
    /// The last number that the receiver will not get: not less than `delivered_through_seq`, at most `newest_seq`.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991i64)]
    through_seq: i64,
}

/// Skips events of a webhook.
///
/// # Errors
/// [`Error::NotFound`]; a broken rule.
pub async fn skip(context: &Context, id: WebhookId, to: SkipWebhookEventsRequest) -> Result<WebhookDelivery> {
    context.require(Action::WebhookManage)?;
    let through = to.through_seq;
    context
        .change(move |tx| {
            let endpoint = store::lock(tx.conn, id)?;
            let newest = reading::newest(tx.conn)?;
            if !(endpoint.delivered_through_seq..=newest).contains(&through) {
                let detail = "must not be less than the webhook's delivered_through_seq, and at most newest_seq";
                return Err(Error::invalid("/through_seq", FieldCode::OutOfRange, detail));
            }
            store::skip(tx.conn, id, through)?;
            WebhookDelivery::load(tx, id)
        })
        .await
}

/// Read the progress of a webhook
///
/// For administrators. Also says whether the receiver fails, and when the next attempt is made.
#[utoipa::path(
    tag = "webhooks",
    operation_id = "get_webhook_delivery",
    security(("bearer" = [])),
    params(("id" = WebhookId, Path, description = "The webhook")),
    responses((status = 200, description = "The progress", body = WebhookDelivery)),
)]
#[get("/v1/webhooks/{id}/delivery")]
pub(super) async fn get_webhook_delivery(context: Context, PathId(id): PathId<WebhookId>) -> Result<HttpResponse> {
    Ok(response::ok(&read(&context, id).await?))
}

/// Send events again
///
/// For administrators. The receiver gets the events of its types with these numbers again, in order, before the next new one. Each has the
/// same `webhook-id` as before. `GET /v1/webhooks/{id}/delivery` shows the rest.
#[utoipa::path(
    tag = "webhooks",
    operation_id = "create_webhook_redelivery",
    security(("bearer" = [])),
    params(
        ("id" = WebhookId, Path, description = "The webhook"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = NewWebhookRedelivery,
    responses(
        (status = 202, description = "The events will be sent again", body = WebhookDelivery),
        (status = 409, description = "`redelivery_in_progress`: an earlier request has not ended"),
        (status = 410, description = "`events_expired`: some of the events are not kept any more. `oldest_seq` is the first number that is kept"),
    ),
)]
#[post("/v1/webhooks/{id}/redeliveries")]
pub(super) async fn create_webhook_redelivery(
    context: Context,
    PathId(id): PathId<WebhookId>,
    key: IdempotencyKey,
    body: Body<NewWebhookRedelivery>,
) -> Result<HttpResponse> {
    Ok(HttpResponse::Accepted().json(redeliver(&context, key.once(&body.raw), id, body.value).await?))
}

/// Skip events of a webhook
///
/// For administrators. The receiver does not get the events up to `through_seq`, for example one that it cannot process. Ends a redelivery
/// in progress. The next event is tried at once.
#[utoipa::path(
    tag = "webhooks",
    operation_id = "skip_webhook_events",
    security(("bearer" = [])),
    params(("id" = WebhookId, Path, description = "The webhook")),
    request_body = SkipWebhookEventsRequest,
    responses((status = 200, description = "The new progress", body = WebhookDelivery)),
)]
#[post("/v1/webhooks/{id}/skip")]
pub(super) async fn skip_webhook_events(
    context: Context,
    PathId(id): PathId<WebhookId>,
    body: Body<SkipWebhookEventsRequest>,
) -> Result<HttpResponse> {
    Ok(response::ok(&skip(&context, id, body.value).await?))
}
