//! Compression of what everyone may read: style, scripts, pages that are the same for everyone, the document and public reads. Pages with
//! the secret of a hold beside typed text, and everything of a caller, are not compressed: the length of a compressed page can reveal a
//! secret that stands beside text of an attacker (BREACH).

use std::io::Write;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, HeaderMap, HeaderValue, VARY};
use actix_web::{HttpRequest, HttpResponse};
use flate2::Compression;
use flate2::write::GzEncoder;

/// A shorter body is sent as it is.
const LEAST: u64 = 1024;
/// The effort of brotli, of 11. More would take longer than sending the saved bytes.
const EFFORT: u32 = 4;
/// The window of brotli, as a power of two. Larger than most bodies.
const WINDOW: u32 = 20;

/// A coding that the server writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// RFC 7932.
    Brotli,
    /// RFC 1952.
    Gzip,
}

impl Coding {
    /// Returns the best coding that a client reads.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        [Self::Brotli, Self::Gzip].into_iter().find(|coding| coding.is_read(headers))
    }

    /// Whether a client reads this coding.
    pub fn is_read(self, headers: &HeaderMap) -> bool {
        let values = headers.get_all(ACCEPT_ENCODING).filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|coding| {
            let (name, quality) = coding.split_once(';').unwrap_or((coding, "q=1"));
            let quality = quality.trim().trim_start_matches("q=").parse::<f32>();
            name.trim().eq_ignore_ascii_case(self.name()) && quality.is_ok_and(|quality| quality > 0.0)
        })
    }

    /// The name in `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// Compresses a body.
    ///
    /// # Errors
    /// Never in memory; the encoders are writers.
    pub fn encode(self, plain: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Brotli => {
                let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, EFFORT, WINDOW);
                encoder.write_all(plain)?;
                Ok(encoder.into_inner())
            }
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(plain)?;
                encoder.finish()
            }
        }
    }
}

/// Compresses the body if the client reads a coding.
pub fn public(request: &HttpRequest, response: HttpResponse) -> HttpResponse {
    encode(Coding::of(request.headers()), response)
}

/// Compresses a long body with this coding. A strong `ETag` names the bytes, so a response with one stays as it is.
pub fn encode(coding: Option<Coding>, mut response: HttpResponse) -> HttpResponse {
    let is_long = matches!(response.body().size(), BodySize::Sized(length) if length >= LEAST);
    if !is_long || response.headers().contains_key(ETAG) || response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    response.headers_mut().append(VARY, HeaderValue::from_static("Accept-Encoding"));
    let Some(coding) = coding else { return response };
    response.map_body(|head, body| match body.try_into_bytes() {
        Ok(plain) => match coding.encode(&plain) {
            Ok(small) => {
                head.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
                BoxBody::new(small)
            }
            Err(_) => BoxBody::new(plain),
        },
        Err(body) => body,
    })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_coding_is_sent_only_to_clients_that_read_it() {
        for (accepted, sent) in [
            ("gzip, deflate, br", Some("br")),
            ("br;q=1.0, gzip;q=0.8", Some("br")),
            ("gzip", Some("gzip")),
            ("br;q=0, gzip", Some("gzip")),
            ("identity", None),
            ("gzip; q=0", None),
            ("", None),
        ] {
            let request = TestRequest::get().insert_header((ACCEPT_ENCODING, accepted)).to_http_request();
            let response = public(&request, HttpResponse::Ok().body("a".repeat(2000)));
            let coding = response.headers().get(CONTENT_ENCODING).map(|value| value.to_str().expect("a name"));
            assert_eq!(coding, sent, "{accepted}");
            let length = response.into_body().try_into_bytes().expect("a body").len();
            assert_eq!(length < 100, sent.is_some(), "{accepted}");
        }
        let request = TestRequest::get().insert_header((ACCEPT_ENCODING, "br")).to_http_request();
        for response in
            [HttpResponse::Ok().body("short"), HttpResponse::Ok().insert_header((ETAG, "\"1\"")).body("a".repeat(2000))]
        {
            assert!(!public(&request, response).headers().contains_key(CONTENT_ENCODING));
        }
    }
}
