//! Settings that suit a trial and not a clinic.

use super::{Finding, Severity};
use crate::config::{RequireTotp, Settings};

/// Checks the settings that decide which clients reach the service, and over which protocol.
pub fn check(settings: &Settings) -> Vec<Finding> {
    let mut warnings = Vec::new();
    let mut warn = |applies: bool, text: &str| {
        if applies {
            warnings.push(Finding::new("settings", Severity::Warning, text));
        }
    };
    warn(settings.public_url.scheme() != "https", "PUBLIC_URL is not https, so the links in mails are not encrypted");
    warn(settings.behind_proxy.is_none(), "BEHIND_PROXY is not set: without a proxy there is no TLS");
    warn(settings.smtp_url.is_none(), "SMTP_URL is not set, so mails are written to files and are not sent");
    warn(settings.require_totp == RequireTotp::Off, "REQUIRE_TOTP is off, so a stolen password opens a staff account");
    warn(settings.rate_limits.quotas().is_none(), "RATE_LIMITS is off");
    warn(
        settings.health_addr.is_none(),
        "HEALTH_ADDR is not set, so a flood of requests can delay the supervisor's probes",
    );
    if warnings.is_empty() {
        warnings.push(Finding::new("settings", Severity::Ok, "they suit production"));
    }
    warnings
}
