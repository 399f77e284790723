//! A test event, which an administrator sends to see whether a receiver works.

use actix_web::{HttpResponse, post};

use super::model::{WebhookAttempt, WebhookAttemptKind};
use super::payload::SignedBody;
use super::sending::Sender;
use super::store;
use crate::actor::Action;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::http::PathId;
use crate::http::response;
use crate::ids::WebhookId;

/// Sends a test event, and returns the entry of the log. Nothing else of the webhook changes.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn send(context: &Context, id: WebhookId) -> Result<WebhookAttempt> {
    context.require(Action::WebhookManage)?;
    let (endpoint, secrets, now) = context
        .read(move |tx| {
            let endpoint = store::find(tx.conn, id)?;
            let secrets = endpoint.open_secrets(tx.env, tx.now)?;
            Ok((endpoint, secrets, tx.now))
        })
        .await?;
    let attempt_id = context.env.new_id();
    let signed = SignedBody::of_test(&endpoint, &secrets, attempt_id, now)?;
    let sender = Sender::new(&context.env.config.settings).map_err(Error::fault)?;
    let outcome = sender.send(&endpoint.url, signed).await;
    let attempt = WebhookAttempt {
        id: attempt_id,
        endpoint_id: id,
        kind: WebhookAttemptKind::Test,
        event_seq: None,
        through_seq: None,
        attempted_at: now,
        duration_ms: outcome.duration_ms,
        status_code: outcome.status.map(|status| status.as_u16().into()),
        failure: outcome.failure,
    };
    context
        .change(move |tx| {
            // It may have been deleted meanwhile.
            store::lock(tx.conn, id)?;
            store::log(tx.conn, &attempt)?;
            Ok(attempt.clone())
        })
        .await
}

/// Send a test event
///
/// For administrators. Sends an event of the type `webhook.test` now, also to a paused webhook, and responds with what came of it. It is
/// not tried again.
#[utoipa::path(
    tag = "webhooks",
    operation_id = "create_webhook_test_event",
    security(("bearer" = [])),
    params(("id" = WebhookId, Path, description = "The webhook")),
    responses((status = 200, description = "The attempt. `failure` is null if the receiver accepted the event", body = WebhookAttempt)),
)]
#[post("/v1/webhooks/{id}/test-events")]
pub(super) async fn create_webhook_test_event(context: Context, PathId(id): PathId<WebhookId>) -> Result<HttpResponse> {
    Ok(response::ok(&send(&context, id).await?))
}
