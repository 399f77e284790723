//! The endpoints.

mod drafts;
mod dto;
pub mod export;
mod flags;
mod forms;
mod labs;
mod lists;
mod submission;
mod summary;

pub use self::dto::{IntakeDto, IntakeVersionDto};
pub use self::flags::IntakeFlagDto;
pub use self::labs::LabResultDto;

use actix_web::HttpRequest;
use actix_web::http::header::ACCEPT;

use crate::http::Endpoints;

/// The endpoints of this department.
pub fn routes(endpoints: &mut Endpoints) {
    forms::routes(endpoints);
    drafts::routes(endpoints);
    lists::routes(endpoints);
    submission::routes(endpoints);
    flags::routes(endpoints);
    labs::routes(endpoints);
    summary::routes(endpoints);
}

/// Whether the caller asks for this media type rather than for JSON: it stands in `Accept`, before any `application/json`
/// of the same weight.
fn prefers(request: &HttpRequest, wanted: &str) -> bool {
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
    fn what_is_asked_for_is_given_and_json_otherwise() {
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
