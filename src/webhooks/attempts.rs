//! `GET /v1/webhooks/{id}/attempts`: the log of deliveries.

use actix_web::{HttpResponse, get};
use serde::Serialize;
use utoipa::ToSchema;

use super::model::WebhookAttempt;
use super::store;
use crate::actor::Action;
use crate::context::Context;
use crate::error::Result;
use crate::http::paging::{Direction, PageParams};
use crate::http::{Params, PathId, response};
use crate::ids::WebhookId;

/// The list's name in cursors.
const LIST: &str = "webhook-attempts";

/// A page of the log of deliveries.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
pub struct WebhookAttemptPage {
    /// The attempts, newest first.
    pub items: Vec<WebhookAttempt>,
    /// The `cursor` of the next page. Null on the last page.
    pub next_cursor: Option<String>,
}

/// Lists the attempts of a webhook.
///
/// # Errors
/// [`NotFound`](crate::error::Error::NotFound); broken rules of the page.
pub async fn list(context: &Context, id: WebhookId, page: PageParams) -> Result<WebhookAttemptPage> {
    context.require(Action::WebhookManage)?;
    let page = page.sorted(LIST, Direction::Descending)?;
    let attempts = context
        .read(move |tx| {
            store::find(tx.conn, id)?;
            store::attempts(tx.conn, id, &page)
        })
        .await?;
    let (items, next_cursor) = page.cut(attempts, |attempt| (attempt.attempted_at, attempt.id.0));
    Ok(WebhookAttemptPage { items, next_cursor })
}

/// List the attempts of a webhook
///
/// For administrators. What was sent to the receiver and what came of it, newest first. Attempts are kept for
/// `RETAIN_WEBHOOK_ATTEMPTS_DAYS`, 30 days by default.
#[utoipa::path(
    tag = "webhooks",
    operation_id = "list_webhook_attempts",
    security(("bearer" = [])),
    params(("id" = WebhookId, Path, description = "The webhook"), PageParams),
    responses((status = 200, description = "The attempts", body = WebhookAttemptPage)),
)]
#[get("/v1/webhooks/{id}/attempts")]
pub(super) async fn list_webhook_attempts(
    context: Context,
    PathId(id): PathId<WebhookId>,
    Params(page): Params<PageParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, id, page).await?))
}
