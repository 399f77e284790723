//! A webhook as it is stored and as administrators see it.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::db::schema::{webhook_attempts, webhook_endpoints};
use crate::db::types::text_enum;
use crate::env::Env;
use crate::error::Result;
use crate::events::model::EventType;
use crate::http::response::Versioned;
use crate::ids::{UserId, WebhookAttemptId, WebhookId};
use crate::sealed::{Place, Sealed};

text_enum! {
    /// Whether a webhook gets events.
    WebhookStatus {
        /// It gets events.
        Active = "active",
        /// It gets no events until an administrator sets it to active again.
        Paused = "paused",
    }
}

text_enum! {
    /// Why a webhook is paused.
    WebhookPauseReason {
        /// An administrator paused it.
        Administrator = "administrator",
        /// Deliveries failed for `WEBHOOK_PAUSE_AFTER_HOURS`.
        Failing = "failing",
        /// The receiver responded with 410 Gone.
        Gone = "gone",
    }
}

text_enum! {
    /// Why something was sent.
    WebhookAttemptKind {
        /// The delivery of a new event.
        Delivery = "delivery",
        /// An administrator asked for the event again.
        Redelivery = "redelivery",
        /// An administrator tried the webhook.
        Test = "test",
    }
}

text_enum! {
    /// Why an attempt failed.
    WebhookFailure {
        /// The name of the host has no address.
        NameNotResolved = "name_not_resolved",
        /// The host has no address that the server may connect to: none that is public, or in `WEBHOOK_ALLOWED_NETWORKS`.
        ForbiddenAddress = "forbidden_address",
        /// The connection could not be opened, or broke.
        Connection = "connection",
        /// The certificate is not valid for the host, or the connection could not be encrypted.
        Tls = "tls",
        /// The receiver did not respond within ten seconds.
        Timeout = "timeout",
        /// The response is not HTTP, or its head is too large.
        InvalidResponse = "invalid_response",
        /// The response has another status than 2xx. `status_code` has it. Redirects are not followed.
        Status = "status",
        /// The events `event_seq` to `through_seq` were deleted before they could be delivered (`RETAIN_EVENTS_DAYS`).
        EventsExpired = "events_expired",
    }
}

/// A row.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = webhook_endpoints)]
pub struct Endpoint {
    pub id: WebhookId,
    pub url: String,
    pub description: Option<String>,
    /// Separated by spaces. Empty: all.
    pub event_types: String,
    pub secret: Sealed<String>,
    pub secret_created_at: Timestamp,
    pub previous_secret: Option<Sealed<String>>,
    pub previous_secret_created_at: Option<Timestamp>,
    pub previous_secret_ends_at: Option<Timestamp>,
    pub status: WebhookStatus,
    pub paused_reason: Option<WebhookPauseReason>,
    pub paused_at: Option<Timestamp>,
    /// It has every event up to this number that it asked for.
    pub delivered_through_seq: i64,
    /// The rest of the events that it gets again.
    pub redeliver_from_seq: Option<i64>,
    pub redeliver_through_seq: Option<i64>,
    /// The events that were deleted before they could be delivered.
    pub missing_from_seq: Option<i64>,
    pub missing_through_seq: Option<i64>,
    pub failing_since: Option<Timestamp>,
    /// Since the last success.
    pub failed_attempts: i32,
    pub next_attempt_at: Option<Timestamp>,
    /// The instance that delivers has it until then.
    pub leased_until: Option<Timestamp>,
    /// Of the settings and the status. Deliveries do not change it.
    pub version: i32,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

fn are_known(types: &str) -> bool {
    types.split_whitespace().all(|kind| kind.parse::<EventType>().is_ok())
}

impl Endpoint {
    /// The types of events that it gets. Empty: all.
    pub fn types(&self) -> Vec<EventType> {
        self.event_types.split(' ').filter_map(|kind| kind.parse().ok()).collect()
    }

    /// Whether this instance knows all of its types. An older one beside a newer one may not: it would pass over events of the others.
    pub fn has_known_types(&self) -> bool {
        are_known(&self.event_types)
    }

    /// Returns whether the secret before the current one still signs.
    fn has_previous(&self, now: Timestamp) -> bool {
        self.previous_secret_ends_at.is_some_and(|ends| ends > now)
    }

    /// Decrypts the secrets that sign, the current one first.
    pub fn open_secrets(&self, env: &Env, now: Timestamp) -> Result<Vec<String>> {
        let mut secrets = vec![env.sealer.open(secret_place(self.id), &self.secret)?];
        if let Some(previous) = self.previous_secret.as_ref().filter(|_| self.has_previous(now)) {
            secrets.push(env.sealer.open(previous_secret_place(self.id), previous)?);
        }
        Ok(secrets)
    }
}

/// The place of the current secret.
pub fn secret_place(id: WebhookId) -> Place {
    Place::new("webhook_endpoints", "secret", id.0)
}

/// The place of the secret before it.
pub fn previous_secret_place(id: WebhookId) -> Place {
    Place::new("webhook_endpoints", "previous_secret", id.0)
}

/// A secret that signs, without the secret itself.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WebhookSecret {
    /// When it was created.
    pub created_at: Timestamp,
    /// When it stops signing. Null until a new one replaces it.
    pub ends_at: Option<Timestamp>,
}

/// A receiver of events.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "url": "https://systems.example/legwork", "description": "Billing",
    "event_types": ["appointment.booked", "appointment.cancelled"], "status": "active", "paused_reason": null, "paused_at": null,
    "secrets": [{"created_at": "2026-03-02T14:00:00Z", "ends_at": null}],
    "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z"
}))]
pub struct Webhook {
    /// The webhook's id.
    pub id: WebhookId,
    /// The URL that events are sent to.
    pub url: String,
    /// What it is for, for people.
    pub description: Option<String>,
    /// The types of events that it gets. An empty list means all types, also those of later versions.
    #[schema(max_items = 50)]
    pub event_types: Vec<EventType>,
    /// Whether it gets events.
    pub status: WebhookStatus,
    /// Why it is paused. Null if it is active.
    pub paused_reason: Option<WebhookPauseReason>,
    /// Since when it is paused. Null if it is active.
    pub paused_at: Option<Timestamp>,
    /// The secrets that sign, oldest first. Two while the older one still signs after a rotation.
    #[schema(max_items = 2)]
    pub secrets: Vec<WebhookSecret>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its settings or its status were last changed.
    pub updated_at: Timestamp,
}

impl Webhook {
    /// The webhook with its version.
    pub fn versioned(endpoint: Endpoint, now: Timestamp) -> Versioned<Self> {
        Versioned { version: endpoint.version, object: Self::of(endpoint, now) }
    }

    pub fn of(endpoint: Endpoint, now: Timestamp) -> Self {
        let previous = endpoint.previous_secret_created_at.filter(|_| endpoint.has_previous(now));
        let previous =
            previous.map(|created_at| WebhookSecret { created_at, ends_at: endpoint.previous_secret_ends_at });
        let current = WebhookSecret { created_at: endpoint.secret_created_at, ends_at: None };
        Self {
            event_types: endpoint.types(),
            secrets: previous.into_iter().chain([current]).collect(),
            id: endpoint.id,
            url: endpoint.url,
            description: endpoint.description,
            status: endpoint.status,
            paused_reason: endpoint.paused_reason,
            paused_at: endpoint.paused_at,
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
        }
    }
}

/// A webhook, with a secret that was just created.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "url": "https://systems.example/legwork", "description": "Billing",
    "event_types": ["appointment.booked", "appointment.cancelled"], "status": "active", "paused_reason": null, "paused_at": null,
    "secrets": [{"created_at": "2026-03-02T14:00:00Z", "ends_at": null}],
    "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z",
    "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDUWCUWCUWCUU="
}))]
pub struct CreatedWebhook {
    /// The webhook.
    #[serde(flatten)]
    pub webhook: Webhook,
    /// The secret with which the receiver verifies signatures. It is shown only now.
    pub secret: String,
}

/// An entry of the log of deliveries.
#[derive(Debug, Clone, Serialize, ToSchema, Queryable, Selectable, Insertable)]
#[diesel(table_name = webhook_attempts)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c57", "kind": "delivery", "event_seq": 4711, "through_seq": null,
    "attempted_at": "2026-03-02T14:00:01Z", "duration_ms": 120, "status_code": 503, "failure": "status"
}))]
pub struct WebhookAttempt {
    /// The id of the attempt.
    pub id: WebhookAttemptId,
    #[serde(skip)]
    pub endpoint_id: WebhookId,
    /// Why something was sent.
    pub kind: WebhookAttemptKind,
    /// The number of the event. Null for a test.
    #[schema(minimum = 1)]
    pub event_seq: Option<i64>,
    /// The last number of the deleted events, if `failure` is `events_expired`. Otherwise null.
    #[schema(minimum = 1)]
    pub through_seq: Option<i64>,
    /// When the attempt began.
    pub attempted_at: Timestamp,
    /// How long it took, in milliseconds.
    #[schema(minimum = 0)]
    pub duration_ms: i32,
    /// The HTTP status of the response. Null without a response.
    #[schema(minimum = 100, maximum = 999)]
    pub status_code: Option<i32>,
    /// Why it failed. Null if the receiver accepted the event.
    pub failure: Option<WebhookFailure>,
}

#[cfg(test)]
mod tests {
    use super::are_known;

    #[test]
    fn an_instance_leaves_a_webhook_with_the_types_of_a_newer_one_to_that() {
        for (types, known) in
            [("", true), ("patient.created appointment.booked", true), ("patient.created patient.sent_to_mars", false)]
        {
            assert_eq!(are_known(types), known, "{types}");
        }
    }
}
