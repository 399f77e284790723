//! Pausing an endpoint whose receiver fails for long, with a mail to each administrator.

use super::model::{Endpoint, WebhookPauseReason, WebhookStatus};
use super::{endpoint_url, store};
use crate::accounts::store::admins;
use crate::audit;
use crate::audit_context::AuditContext;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::env::Env;
use crate::error::Result;
use crate::messages::model::{Envelope, Mail, WebhookPausedMail};
use crate::messages::outbox;

/// Pauses an active endpoint.
pub fn pause(tx: &mut Conn, env: &Env, endpoint: &Endpoint, reason: WebhookPauseReason, now: Timestamp) -> Result<()> {
    let paused = Endpoint {
        status: WebhookStatus::Paused,
        paused_reason: Some(reason),
        paused_at: Some(now),
        ..endpoint.clone()
    };
    store::update(tx, &paused, now)?;
    audit::record(tx, env, &AuditContext::of_command("pause_webhook"), endpoint.id.0)?;
    let host = endpoint_url::host(&endpoint.url);
    tracing::warn!(webhook = %endpoint.id, %host, %reason, "a webhook is paused");
    for admin in admins(tx)? {
        let mail = Mail::WebhookPaused(WebhookPausedMail {
            host: host.clone(),
            is_gone: reason == WebhookPauseReason::Gone,
            reference: endpoint.id.to_string(),
        });
        let envelope = Envelope { recipient: admin.recipient(), patient_id: None, appointment_id: None, mail };
        outbox::enqueue(tx, env, &envelope)?;
    }
    Ok(())
}
