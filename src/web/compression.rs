//! Compression of what everyone may read: style, scripts, and pages without a form. Pages with the secret of a hold beside typed text stay as
//! they are, because their compressed length would tell something about the secret.

use std::io::Write;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue, VARY};
use actix_web::{HttpRequest, HttpResponse};
use flate2::Compression;
use flate2::write::GzEncoder;

/// Compresses the body if the client reads gzip.
pub(super) fn public(request: &HttpRequest, mut response: HttpResponse) -> HttpResponse {
    response.headers_mut().append(VARY, HeaderValue::from_static("Accept-Encoding"));
    if !accepts_gzip(request) {
        return response;
    }
    response.map_body(|head, body| match body.try_into_bytes() {
        Ok(plain) => match gzip(&plain) {
            Ok(small) => {
                head.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                BoxBody::new(small)
            }
            Err(_) => BoxBody::new(plain),
        },
        Err(body) => body,
    })
}

fn accepts_gzip(request: &HttpRequest) -> bool {
    let accepted = request.headers().get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let quality = quality.trim().trim_start_matches("q=").parse::<f32>();
        name.trim() == "gzip" && quality.is_ok_and(|quality| quality > 0.0)
    })
}

fn gzip(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn gzip_is_sent_only_to_clients_that_read_it() {
        for (accepted, is_sent) in [
            ("gzip, deflate, br", true),
            ("br;q=1.0, gzip;q=0.8", true),
            ("identity", false),
            ("gzip; q=0", false),
            ("", false),
        ] {
            let request = TestRequest::get().insert_header((ACCEPT_ENCODING, accepted)).to_http_request();
            let response = public(&request, HttpResponse::Ok().body("a".repeat(1000)));
            assert_eq!(response.headers().contains_key(CONTENT_ENCODING), is_sent, "{accepted}");
            assert_eq!(response.into_body().try_into_bytes().is_ok_and(|body| body.len() < 100), is_sent, "{accepted}");
        }
    }
}
