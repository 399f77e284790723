//! What a receiver gets.

use serde::Serialize;
use utoipa::ToSchema;

use super::model::Endpoint;
use super::signing;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::events::model::{Event, EventType};
use crate::ids::{WebhookAttemptId, WebhookId};

/// The body of the request that delivers an event.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "type": "appointment.booked", "timestamp": "2026-03-02T14:00:00Z", "data": {
        "seq": 4711, "type": "appointment.booked", "subject_type": "appointment",
        "subject_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "subject_version": 1,
        "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001", "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002",
        "location_id": "0199d0c2-1f00-7aaa-8000-000000000003", "occurred_at": "2026-03-02T14:00:00Z"
    }
}))]
pub struct WebhookEvent {
    /// What happened, as in `data`.
    #[serde(rename = "type")]
    #[schema(value_type = EventType)]
    kind: String,
    /// The time of the change, as in `data`.
    timestamp: Timestamp,
    /// The event, as in `GET /v1/events`.
    data: Event,
}

/// The body of the request that an administrator sends to try a webhook.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "type": "webhook.test", "timestamp": "2026-03-02T14:00:00Z", "data": {"webhook_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55"}
}))]
pub struct WebhookTestEvent {
    /// `webhook.test`.
    #[serde(rename = "type")]
    #[schema(value_type = String, max_length = 64)]
    kind: &'static str,
    /// The time of the request.
    timestamp: Timestamp,
    /// The webhook.
    data: TestedWebhook,
}

/// The webhook that is tried.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"webhook_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55"}))]
pub struct TestedWebhook {
    /// The id of the webhook.
    webhook_id: WebhookId,
}

/// A signed request.
pub struct SignedBody {
    /// `webhook-id`: the same for each attempt to deliver an event.
    pub id: String,
    /// `webhook-timestamp`: seconds since 1970.
    pub timestamp: i64,
    /// `webhook-signature`.
    pub signature: String,
    pub body: String,
}

impl SignedBody {
    /// Signs an event for an endpoint.
    pub fn of_event(endpoint: &Endpoint, secrets: &[String], event: &Event, now: Timestamp) -> Result<Self> {
        // With the time of the change, because a restored backup gives the numbers after it to other events.
        let id = format!("{}_{}_{}", endpoint.id.0.simple(), event.seq, event.occurred_at.as_micros());
        let body = WebhookEvent { kind: event.kind.clone(), timestamp: event.occurred_at, data: event.clone() };
        Self::new(id, secrets, &body, now)
    }

    /// Signs a test event for an endpoint.
    pub fn of_test(endpoint: &Endpoint, secrets: &[String], attempt: WebhookAttemptId, now: Timestamp) -> Result<Self> {
        let data = TestedWebhook { webhook_id: endpoint.id };
        let body = WebhookTestEvent { kind: "webhook.test", timestamp: now, data };
        Self::new(format!("{}_test_{}", endpoint.id.0.simple(), attempt.0.simple()), secrets, &body, now)
    }

    fn new(id: String, secrets: &[String], body: &impl Serialize, now: Timestamp) -> Result<Self> {
        let body = serde_json::to_string(body).map_err(|error| Error::internal("write a webhook's body", error))?;
        let timestamp = now.as_seconds();
        Ok(Self { signature: signing::signatures(secrets, &id, timestamp, &body), id, timestamp, body })
    }
}
