//! Webhooks whose receivers fail.

use super::{Finding, Severity};
use crate::db::Conn;
use crate::error::Result;
use crate::webhooks::summary;

/// Reports webhooks that the service paused, and those that fail.
pub fn check(conn: &mut Conn) -> Result<Vec<Finding>> {
    let summary = summary::read(conn)?;
    let mut findings = Vec::new();
    let mut warn = |count: i64, text: &str| {
        if count > 0 {
            findings.push(Finding::new("webhooks", Severity::Warning, format!("{count} {text}")));
        }
    };
    warn(summary.paused_by_service, "were paused because their receivers failed (GET /v1/webhooks)");
    warn(summary.failing, "fail now (GET /v1/webhooks/{id}/attempts)");
    if findings.is_empty() {
        findings.push(Finding::new("webhooks", Severity::Ok, "none fails"));
    }
    Ok(findings)
}
