//! Content negotiation: what an operation can return, and what the caller reads.

use actix_web::HttpRequest;
use actix_web::http::header::{ACCEPT, HeaderMap};

/// Whether the caller prefers this media type to JSON: `Accept` names it, with at least the weight of `application/json`.
pub fn prefers(request: &HttpRequest, wanted: &str) -> bool {
    let Some(accept) = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()) else { return false };
    let weight = |media: &str| {
        accept.split(',').find_map(|part| {
            let mut parts = part.split(';').map(str::trim);
            let is_it = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(media));
            let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
            is_it.then_some(weight)
        })
    };
    weight(wanted).is_some_and(|wanted| wanted > 0.0 && weight("application/json").is_none_or(|json| wanted >= json))
}

/// Returns whether `Accept` admits one of the media types (RFC 9110, 12.5.1). Without a range that can be read it admits all.
pub fn admits(headers: &HeaderMap, offered: &[String]) -> bool {
    let values: Vec<_> = headers.get_all(ACCEPT).filter_map(|value| value.to_str().ok()).collect();
    let ranges: Vec<_> = values.iter().flat_map(|value| value.split(',')).filter_map(Range::read).collect();
    offered.is_empty() || ranges.is_empty() || offered.iter().any(|media| weight(&ranges, media) > 0.0)
}

/// A media range with its weight.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    weight: f32,
}

impl<'a> Range<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        Some(Self { kind, subtype, weight: weight.map_or(Some(1.0), |weight| weight.parse().ok())? })
    }

    /// How precisely the range names a media type, if it does.
    fn precision(&self, media: &str) -> Option<u8> {
        let (kind, subtype) = media.split_once('/')?;
        match (self.kind, self.subtype) {
            ("*", "*") => Some(0),
            (own, "*") if own.eq_ignore_ascii_case(kind) => Some(1),
            (own, of) if own.eq_ignore_ascii_case(kind) && of.eq_ignore_ascii_case(subtype) => Some(2),
            _ => None,
        }
    }
}

/// The weight of a media type: that of the range which names it most precisely.
fn weight(ranges: &[Range<'_>], media: &str) -> f32 {
    let fitting = ranges.iter().filter_map(|range| Some((range.precision(media)?, range.weight)));
    fitting.fold((0, 0.0), |best, next| if next.0 >= best.0 { next } else { best }).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_preferred_only_if_accept_names_it_with_the_weight_of_json() {
        let asks = |accept: &str| {
            let request = actix_web::test::TestRequest::default().insert_header((ACCEPT, accept)).to_http_request();
            prefers(&request, "text/html")
        };
        for accept in ["text/html", "TEXT/html; charset=utf-8", "text/html,application/xhtml+xml,*/*;q=0.8"] {
            assert!(asks(accept), "{accept}");
        }
        for accept in ["*/*", "application/json", "application/json, text/html;q=0.5", "text/html;q=0", "image/svg+xml"]
        {
            assert!(!asks(accept), "{accept}");
        }
        assert!(!prefers(&actix_web::test::TestRequest::default().to_http_request(), "text/html"));
    }

    #[test]
    fn a_media_type_is_admitted_by_the_range_that_names_it_most_precisely() {
        let admitted = |accept: &str, offered: &[&str]| {
            let request = actix_web::test::TestRequest::default().insert_header((ACCEPT, accept)).to_http_request();
            let offered: Vec<_> = offered.iter().map(|media| (*media).to_owned()).collect();
            admits(request.headers(), &offered)
        };
        for accept in ["*/*", "application/*", "APPLICATION/json", "text/html, application/json;q=0.1", "", "nonsense"]
        {
            assert!(admitted(accept, &["application/json"]), "{accept}");
        }
        for accept in ["text/html", "application/json;q=0", "*/*;q=0", "*/*, application/json;q=0", "application/xml"] {
            assert!(!admitted(accept, &["application/json"]), "{accept}");
        }
        assert!(admitted("text/csv", &["application/json", "text/csv"]));
        assert!(admits(actix_web::test::TestRequest::default().to_http_request().headers(), &[]));
    }
}
