//! The state of all webhooks, for metrics and `legwork doctor`.

use diesel::prelude::*;

use super::model::{WebhookPauseReason, WebhookStatus};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::webhook_endpoints;
use crate::error::Result;
use crate::events::reading;

/// The number of webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Those whose last attempt did not fail.
    pub active: i64,
    /// Those whose last attempt failed.
    pub failing: i64,
    pub paused: i64,
    /// Those that the service paused.
    pub paused_by_service: i64,
    /// The events that the active one which is furthest behind does not have yet.
    pub lag: i64,
}

/// Counts the webhooks.
pub fn read(conn: &mut Conn) -> Result<Summary> {
    type Row = (WebhookStatus, Option<WebhookPauseReason>, Option<Timestamp>, i64);
    let rows: Vec<Row> = webhook_endpoints::table
        .select((
            webhook_endpoints::status,
            webhook_endpoints::paused_reason,
            webhook_endpoints::failing_since,
            webhook_endpoints::delivered_through_seq,
        ))
        .load(conn)?;
    let mut summary = Summary::default();
    if rows.is_empty() {
        return Ok(summary);
    }
    let newest = reading::newest(conn)?;
    for (status, reason, failing_since, delivered) in rows {
        if status == WebhookStatus::Paused {
            summary.paused += 1;
            summary.paused_by_service += i64::from(reason != Some(WebhookPauseReason::Administrator));
            continue;
        }
        let count = if failing_since.is_some() { &mut summary.failing } else { &mut summary.active };
        *count += 1;
        summary.lag = summary.lag.max(newest - delivered);
    }
    Ok(summary)
}
