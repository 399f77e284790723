//! Content negotiation of the operations that also return a page or a picture.

use actix_web::HttpRequest;
use actix_web::http::header::ACCEPT;

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
}
