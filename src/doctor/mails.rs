//! Mails that do not leave.

use jiff::SignedDuration;

use super::{Finding, Severity};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::error::Result;
use crate::messages::queue;

/// A mail that has been due for this long is stuck: a running service sends it within seconds, or sets a later time for the next attempt.
const STUCK_AFTER: SignedDuration = SignedDuration::from_mins(15);

/// Reports mails that are overdue, and those that failed for good and wait for the front desk.
pub fn check(conn: &mut Conn, now: Timestamp) -> Result<Vec<Finding>> {
    let depth = queue::depth(conn, now)?;
    let mut findings = Vec::new();
    if let Some(waited) = depth.oldest_due.map(|due| now.since(due)).filter(|waited| *waited > STUCK_AFTER) {
        let text = format!("the oldest mail has been due for {} minutes: is the service running?", waited.as_mins());
        findings.push(Finding::new("mails", Severity::Failure, text));
    }
    if depth.failed > 0 {
        let text =
            format!("{} mails failed and wait for the front desk (GET /v1/messages?status=failed)", depth.failed);
        findings.push(Finding::new("mails", Severity::Warning, text));
    }
    if findings.is_empty() {
        findings.push(Finding::new("mails", Severity::Ok, "none is overdue or failed"));
    }
    Ok(findings)
}
