//! The rotation of the secret that signs.

use actix_web::{HttpResponse, post};
use jiff::SignedDuration;
use serde::Deserialize;
use utoipa::ToSchema;

use super::model::{CreatedWebhook, Endpoint, Webhook, previous_secret_place, secret_place};
use super::{signing, store};
use crate::actor::Action;
use crate::context::{Context, Once};
use crate::error::{Check, FieldCode, Result};
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, PathId};
use crate::ids::WebhookId;

/// For how many hours the older secret still signs after a new one is created.
const OVERLAP_HOURS: i64 = 24;
const LONGEST_OVERLAP_HOURS: i64 = 720;

/// A secret to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"overlap_hours": 24}))]
pub struct NewWebhookSecret {
    /// For how many hours the older secret still signs as well. Default: 24.
    #[schema(minimum = 0, maximum = 720)]
    overlap_hours: Option<i64>,
}

/// Creates a secret. The one before it signs until the overlap ends, and the one before that ends at once.
///
/// # Errors
/// [`NotFound`](crate::error::Error::NotFound); a broken rule.
pub async fn rotate(
    context: &Context,
    once: Once,
    id: WebhookId,
    new: NewWebhookSecret,
) -> Result<Versioned<CreatedWebhook>> {
    context.require(Action::WebhookManage)?;
    let hours = new.overlap_hours.unwrap_or(OVERLAP_HOURS);
    let mut check = Check::new();
    let fits = (0..=LONGEST_OVERLAP_HOURS).contains(&hours);
    check.require(fits, "/overlap_hours", FieldCode::OutOfRange, "must be between 0 and 720");
    check.done()?;
    context
        .change_once(once, move |tx| {
            let endpoint = store::lock(tx.conn, id)?;
            let sealer = &tx.env.sealer;
            let older = sealer.open(secret_place(id), &endpoint.secret)?;
            let secret = signing::new_secret(&tx.env.entropy);
            let rotated = Endpoint {
                previous_secret: Some(sealer.seal(previous_secret_place(id), &older)?),
                previous_secret_created_at: Some(endpoint.secret_created_at),
                previous_secret_ends_at: Some(tx.now.plus(SignedDuration::from_hours(hours))),
                secret: sealer.seal(secret_place(id), &secret)?,
                secret_created_at: tx.now,
                ..endpoint
            };
            let stored = store::update(tx.conn, &rotated, tx.now)?;
            let Versioned { version, object: webhook } = Webhook::versioned(stored, tx.now);
            Ok(Versioned { version, object: CreatedWebhook { webhook, secret } })
        })
        .await
}

/// Create a secret of a webhook
///
/// For administrators. While the older secret still signs (`overlap_hours`), each request has the signatures of both, so that the receiver
/// can change over. An even older secret ends at once. Only a repeat with the same `Idempotency-Key` shows the new secret again.
#[utoipa::path(
    tag = "webhooks",
    operation_id = "create_webhook_secret",
    security(("bearer" = [])),
    params(
        ("id" = WebhookId, Path, description = "The webhook"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = NewWebhookSecret,
    responses((status = 201, description = "The webhook, with its new secret", body = CreatedWebhook)),
)]
#[post("/v1/webhooks/{id}/secrets")]
pub(super) async fn create_webhook_secret(
    context: Context,
    PathId(id): PathId<WebhookId>,
    key: IdempotencyKey,
    body: Body<NewWebhookSecret>,
) -> Result<HttpResponse> {
    let created = rotate(&context, key.once(&body.raw), id, body.value).await?;
    Ok(response::created(format!("/v1/webhooks/{id}"), &created))
}
