//! Deprecated operations. Each response of one says since when it is deprecated (RFC 9745), and from when it may be gone (RFC 8594).
//! docs/api/versions.md has the promise.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// A deprecated operation.
pub struct Deprecation {
    /// The `operationId`.
    pub operation: &'static str,
    /// The day of the release that deprecates it.
    pub since: Date,
    /// The first day on which it may be gone, at least six months later.
    pub gone: Date,
    /// What to use instead, for the description in the document.
    pub instead: &'static str,
}

/// All deprecated operations.
pub const DEPRECATED: &[Deprecation] = &[];

/// Finds the operation in a table.
pub fn find<'a>(table: &'a [Deprecation], operation: &str) -> Option<&'a Deprecation> {
    table.iter().find(|one| one.operation == operation)
}

impl Deprecation {
    /// Adds the headers `Deprecation`, an instant in seconds, and `Sunset`, a date of HTTP.
    pub fn tell(&self, headers: &mut HeaderMap) {
        let begins = |day: Date| day.to_zoned(TimeZone::UTC).ok();
        let since = begins(self.since).map(|day| format!("@{}", day.timestamp().as_second()));
        let gone = begins(self.gone).map(|day| day.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
        for (name, value) in [("deprecation", since), ("sunset", gone)] {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

#[cfg(test)]
pub const EXAMPLE: Deprecation = Deprecation {
    operation: "get_agenda",
    since: jiff::civil::date(2026, 3, 2),
    gone: jiff::civil::date(2026, 9, 2),
    instead: "Use `list_appointments`.",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_says_since_when_the_operation_is_deprecated_and_when_it_may_be_gone() {
        let found = find(&[EXAMPLE], "get_agenda").map(|one| {
            let mut headers = HeaderMap::new();
            one.tell(&mut headers);
            ["deprecation", "sunset"]
                .map(|name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned))
        });
        assert_eq!(found, Some([Some("@1772409600".to_owned()), Some("Wed, 02 Sep 2026 00:00:00 GMT".to_owned())]));
        assert!(find(&[EXAMPLE], "get_patient").is_none());
    }

    #[test]
    fn an_operation_stays_for_six_months_after_it_was_deprecated() {
        for one in DEPRECATED.iter().chain([&EXAMPLE]) {
            assert!(one.gone >= one.since.saturating_add(jiff::Span::new().months(6)), "{}", one.operation);
        }
    }
}
