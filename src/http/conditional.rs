//! Reads that the caller has already: `If-None-Match` (RFC 9110, 13.1.2).

use actix_web::HttpResponse;
use actix_web::body::{self, BoxBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH};

/// The ETags that the caller has.
#[derive(Debug, Default)]
pub struct Known(Vec<String>);

impl Known {
    /// Reads `If-None-Match`.
    pub fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
        Self(values.flat_map(|value| value.split(',')).map(|tag| tag.trim().to_owned()).collect())
    }

    /// Responds with 304 and no body if the caller has what the response carries. Its tags are compared weakly, because a read
    /// changes nothing.
    pub fn conclude(&self, response: HttpResponse) -> HttpResponse {
        let is_known = |tag: &str| self.0.iter().any(|known| known == "*" || opaque(known) == opaque(tag));
        let sent = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok());
        if response.status() != StatusCode::OK || !sent.is_some_and(is_known) {
            return response;
        }
        let mut response = response.map_body(|_, _| BoxBody::new(body::None::new()));
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response.headers_mut().remove(CONTENT_TYPE);
        response
    }
}

fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use actix_web::body::MessageBody;
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn what_the_caller_has_is_not_sent_again() {
        for (sent, status, expected) in [
            ("\"3\"", 200, 304),
            ("W/\"3\"", 200, 304),
            ("\"1\", \"3\"", 200, 304),
            ("*", 200, 304),
            ("\"1\"", 200, 200),
            ("3", 200, 200),
            ("\"3\"", 201, 201),
        ] {
            let request = TestRequest::get().insert_header((IF_NONE_MATCH, sent)).to_http_request();
            let status = StatusCode::from_u16(status).expect("a status");
            let response = HttpResponse::build(status).insert_header((ETAG, "\"3\"")).body("body");
            let response = Known::of(request.headers()).conclude(response);
            assert_eq!(response.status().as_u16(), expected, "{sent}");
            let length = response.into_body().try_into_bytes().map(|body| body.len());
            assert_eq!(length.unwrap_or(0), if expected == 304 { 0 } else { 4 }, "{sent}");
        }
    }
}
