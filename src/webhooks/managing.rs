//! Webhooks as administrators manage them.

use actix_web::{HttpResponse, delete, get, patch, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::model::{CreatedWebhook, Endpoint, Webhook, WebhookPauseReason, WebhookStatus, secret_place};
use super::{endpoint_url, signing, store};
use crate::actor::Action;
use crate::clock::Timestamp;
use crate::config::network::Proxies;
use crate::context::{Context, Once};
use crate::db::advisory_lock;
use crate::error::{Check, Error, FieldCode, ProblemCode, Result, Rule};
use crate::events::model::EventType;
use crate::events::reading;
use crate::http::etag::IfMatch;
use crate::http::input::Change;
use crate::http::paging::PageParams;
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, Params, Patch, PathId};
use crate::ids::WebhookId;

/// The list's name in cursors.
const LIST: &str = "webhooks";
/// The most webhooks of a clinic. Each active one is a background job.
const MOST: i64 = 50;
/// The most types of events of a webhook. The document has it.
const MOST_TYPES: usize = 50;

fn parse_types(types: &[EventType]) -> Result<String, Rule> {
    if types.len() > MOST_TYPES {
        return Err(Rule::new(FieldCode::TooMany, format!("must have at most {MOST_TYPES} types")));
    }
    let mut names: Vec<_> = types.iter().map(|kind| kind.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    Ok(names.join(" "))
}

fn parse_description(text: Option<&String>) -> Result<Option<String>, Rule> {
    text.map(|text| text::one_line(text, 200)).transpose()
}

/// A webhook to create.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "url": "https://systems.example/legwork", "description": "Billing",
    "event_types": ["appointment.booked", "appointment.cancelled"]
}))]
pub struct NewWebhook {
    /// The URL that events are sent to: https, without user name and fragment, at a public address or in `WEBHOOK_ALLOWED_NETWORKS`.
    #[schema(min_length = 1, max_length = 2000)]
    url: String,
    /// What it is for, for people.
    #[schema(min_length = 1, max_length = 200)]
    description: Option<String>,
    /// The types of events that it gets. Default: all.
    #[serde(default)]
    #[schema(max_items = 50)]
    event_types: Vec<EventType>,
}

/// Creates a webhook. It gets the events after the newest one.
///
/// # Errors
/// Broken rules; the conflict `too_many_webhooks`.
pub async fn create(context: &Context, once: Once, new: NewWebhook) -> Result<Versioned<CreatedWebhook>> {
    context.require(Action::WebhookManage)?;
    let opened = context.env.config.settings.webhook_allowed_networks.as_ref();
    let mut check = Check::new();
    let url = check.field("/url", endpoint_url::parse(&new.url, opened)).map(String::from).unwrap_or_default();
    let description = check.field("/description", parse_description(new.description.as_ref())).flatten();
    let event_types = check.field("/event_types", parse_types(&new.event_types)).unwrap_or_default();
    check.done()?;
    context
        .change_once(once, move |tx| {
            advisory_lock::wait_for_key(tx.conn, advisory_lock::WEBHOOKS)?;
            if store::count(tx.conn)? >= MOST {
                let detail = format!("The clinic has {MOST} webhooks. Delete one first.");
                return Err(Error::conflict(ProblemCode::TooManyWebhooks, detail));
            }
            let id: WebhookId = tx.env.new_id();
            let secret = signing::new_secret(&tx.env.entropy);
            let endpoint = Endpoint {
                id,
                url: url.clone(),
                description: description.clone(),
                event_types: event_types.clone(),
                secret: tx.env.sealer.seal(secret_place(id), &secret)?,
                secret_created_at: tx.now,
                previous_secret: None,
                previous_secret_created_at: None,
                previous_secret_ends_at: None,
                status: WebhookStatus::Active,
                paused_reason: None,
                paused_at: None,
                delivered_through_seq: reading::newest(tx.conn)?,
                redeliver_from_seq: None,
                redeliver_through_seq: None,
                missing_from_seq: None,
                missing_through_seq: None,
                failing_since: None,
                failed_attempts: 0,
                next_attempt_at: None,
                leased_until: None,
                version: 1,
                created_by: tx.actor.user_id,
                created_at: tx.now,
                updated_at: tx.now,
            };
            store::insert(tx.conn, &endpoint)?;
            tx.audit.note_object(id.0);
            let Versioned { version, object: webhook } = Webhook::versioned(endpoint, tx.now);
            Ok(Versioned { version, object: CreatedWebhook { webhook, secret } })
        })
        .await
}

/// A page of webhooks.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
pub struct WebhookPage {
    /// The webhooks, oldest first.
    pub items: Vec<Webhook>,
    /// The `cursor` of the next page. Null on the last page.
    pub next_cursor: Option<String>,
}

/// Lists the webhooks.
///
/// # Errors
/// Broken rules of the page.
pub async fn list(context: &Context, page: PageParams) -> Result<WebhookPage> {
    context.require(Action::WebhookManage)?;
    let page = page.of(LIST)?;
    let (endpoints, now) = context.read(move |tx| Ok((store::list(tx.conn, &page)?, tx.now))).await?;
    let (endpoints, next_cursor) = page.cut(endpoints, |endpoint| (endpoint.created_at, endpoint.id.0));
    Ok(WebhookPage { items: endpoints.into_iter().map(|endpoint| Webhook::of(endpoint, now)).collect(), next_cursor })
}

/// Reads a webhook.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn read(context: &Context, id: WebhookId) -> Result<Versioned<Webhook>> {
    context.require(Action::WebhookManage)?;
    context.read(move |tx| Ok(Webhook::versioned(store::find(tx.conn, id)?, tx.now))).await
}

/// Changes of a webhook.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"status": "active"}))]
pub struct WebhookPatch {
    /// The URL that events are sent to. Another one is tried at once, and the failures of the one before do not count.
    #[serde(default)]
    #[schema(value_type = Option<String>, nullable = false, min_length = 1, max_length = 2000)]
    url: Change<String>,
    /// What it is for. Null removes it.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    description: Change<String>,
    /// The types of events that it gets. An empty list means all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<EventType>>, nullable = false, max_items = 50)]
    event_types: Change<Vec<EventType>>,
    /// `paused` holds events back. `active` sends what has waited, and tries at once.
    #[serde(default)]
    #[schema(value_type = Option<WebhookStatus>, nullable = false)]
    status: Change<WebhookStatus>,
}

impl WebhookPatch {
    /// Returns the changed endpoint. None if nothing changes.
    fn apply(self, endpoint: &Endpoint, opened: Option<&Proxies>, now: Timestamp) -> Result<Option<Endpoint>> {
        let mut check = Check::new();
        let mut changed = endpoint.clone();
        if check.field("/url", self.url.apply_required(&mut changed.url)).is_some()
            // One that was set before need not be allowed any more.
            && changed.url != endpoint.url
            && let Some(url) = check.field("/url", endpoint_url::parse(&changed.url, opened))
        {
            changed.url = url.into();
        }
        self.description.apply(&mut changed.description);
        if let Some(text) = check.field("/description", parse_description(changed.description.as_ref())) {
            changed.description = text;
        }
        let mut types = endpoint.types();
        if check.field("/event_types", self.event_types.apply_required(&mut types)).is_some()
            && types != endpoint.types()
            && let Some(names) = check.field("/event_types", parse_types(&types))
        {
            changed.event_types = names;
        }
        check.field("/status", self.status.apply_required(&mut changed.status));
        check.done()?;
        let has_changed = changed.status != endpoint.status
            || changed.url != endpoint.url
            || changed.description != endpoint.description
            || changed.event_types != endpoint.event_types;
        if changed.status != endpoint.status {
            let is_paused = changed.status == WebhookStatus::Paused;
            changed.paused_at = is_paused.then_some(now);
            changed.paused_reason = is_paused.then_some(WebhookPauseReason::Administrator);
        }
        // Failures of another address say nothing about this one.
        if changed.status != endpoint.status || changed.url != endpoint.url {
            (changed.failing_since, changed.failed_attempts, changed.next_attempt_at) = (None, 0, None);
        }
        Ok(has_changed.then_some(changed))
    }
}

/// Changes a webhook.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`]; broken rules.
pub async fn update(
    context: &Context,
    id: WebhookId,
    if_match: IfMatch,
    patch: WebhookPatch,
) -> Result<Versioned<Webhook>> {
    context.require(Action::WebhookManage)?;
    let if_match = if_match.required()?;
    context
        .change(move |tx| {
            let endpoint = store::lock(tx.conn, id)?;
            if_match.check(endpoint.version)?;
            let opened = tx.env.config.settings.webhook_allowed_networks.as_ref();
            let endpoint = match patch.clone().apply(&endpoint, opened, tx.now)? {
                Some(changed) => store::update(tx.conn, &changed, tx.now)?,
                None => endpoint,
            };
            Ok(Webhook::versioned(endpoint, tx.now))
        })
        .await
}

/// Deletes a webhook with its log.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn remove(context: &Context, id: WebhookId) -> Result<()> {
    context.require(Action::WebhookManage)?;
    context.change(move |tx| store::delete(tx.conn, id)).await
}

/// Create a webhook
///
/// For administrators. The URL gets each event after the newest one, in order, as a signed POST (see `webhooks` in this document and
/// the guide). The response has the secret that signs, which only a repeat with the same `Idempotency-Key` shows again.
#[utoipa::path(
    tag = "webhooks",
    operation_id = "create_webhook",
    security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = NewWebhook,
    responses(
        (status = 201, description = "The webhook, with its secret", body = CreatedWebhook),
        (status = 409, description = "`too_many_webhooks`: the clinic has 50 webhooks"),
    ),
)]
#[post("/v1/webhooks")]
pub(super) async fn create_webhook(
    context: Context,
    key: IdempotencyKey,
    body: Body<NewWebhook>,
) -> Result<HttpResponse> {
    let created = create(&context, key.once(&body.raw), body.value).await?;
    Ok(response::created(format!("/v1/webhooks/{}", created.object.webhook.id), &created))
}

/// List webhooks
///
/// For administrators. Oldest first.
#[utoipa::path(
    tag = "webhooks",
    operation_id = "list_webhooks",
    security(("bearer" = [])),
    params(PageParams),
    responses((status = 200, description = "The webhooks", body = WebhookPage)),
)]
#[get("/v1/webhooks")]
pub(super) async fn list_webhooks(context: Context, Params(page): Params<PageParams>) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, page).await?))
}

/// Read a webhook
///
/// For administrators. Its settings and its status. `GET /v1/webhooks/{id}/delivery` has its progress. The response carries the `ETag` to
/// send as `If-Match` with a change. Deliveries do not change the `ETag`.
#[utoipa::path(
    tag = "webhooks",
    operation_id = "get_webhook",
    security(("bearer" = [])),
    params(("id" = WebhookId, Path, description = "The webhook")),
    responses((status = 200, description = "The webhook", body = Webhook)),
)]
#[get("/v1/webhooks/{id}")]
pub(super) async fn get_webhook(context: Context, PathId(id): PathId<WebhookId>) -> Result<HttpResponse> {
    Ok(response::versioned(&read(&context, id).await?))
}

/// Change a webhook
///
/// For administrators. Changes the URL, the description, the types of events or the status. `status` `active` resumes a paused webhook: it
/// goes on with the event at which it stopped.
#[utoipa::path(
    tag = "webhooks",
    operation_id = "update_webhook",
    security(("bearer" = [])),
    params(
        ("id" = WebhookId, Path, description = "The webhook"),
        ("If-Match" = String, Header),
    ),
    request_body(content = WebhookPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The changed webhook", body = Webhook)),
)]
#[patch("/v1/webhooks/{id}")]
pub(super) async fn update_webhook(
    context: Context,
    PathId(id): PathId<WebhookId>,
    if_match: IfMatch,
    Patch(patch): Patch<WebhookPatch>,
) -> Result<HttpResponse> {
    Ok(response::versioned(&update(&context, id, if_match, patch).await?))
}

/// Delete a webhook
///
/// For administrators. Deletes its log as well. A request that is already being sent is completed.
#[utoipa::path(
    tag = "webhooks",
    operation_id = "delete_webhook",
    security(("bearer" = [])),
    params(("id" = WebhookId, Path, description = "The webhook")),
    responses((status = 204, description = "Deleted")),
)]
#[delete("/v1/webhooks/{id}")]
pub(super) async fn delete_webhook(context: Context, PathId(id): PathId<WebhookId>) -> Result<HttpResponse> {
    remove(&context, id).await?;
    Ok(response::no_content())
}
