//! The files of the documentation: the scripts of the examples, and the renderer of the reference.

use std::io::Read as _;
use std::sync::OnceLock;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use flate2::read::GzDecoder;

use crate::error::{Error, Result};
use crate::http::compression::{self, Coding};
use crate::http::fallback::not_allowed;

/// The scripts and receivers that the guides use.
const EXAMPLES: [(&str, &str); 5] = [
    ("api.sh", include_str!("../../../examples/api.sh")),
    ("book.sh", include_str!("../../../examples/book.sh")),
    ("stranger.sh", include_str!("../../../examples/stranger.sh")),
    ("webhooks/receive.mjs", include_str!("../../../examples/webhooks/receive.mjs")),
    ("webhooks/receive.py", include_str!("../../../examples/webhooks/receive.py")),
];

/// Redoc as it was published, compressed. `vendor/redoc/README.md` has its source.
static REDOC: &[u8] = include_bytes!("../../../vendor/redoc/redoc.standalone.js.gz");

/// Redoc for clients that do not read gzip.
static PLAIN: OnceLock<web::Bytes> = OnceLock::new();

/// Registers the files.
pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    let other = || web::to(|| async { not_allowed("GET, HEAD") });
    for (name, text) in EXAMPLES {
        let file = move |request: HttpRequest| async move { own(&request, "text/plain; charset=utf-8", text) };
        cfg.service(web::resource(format!("/docs/examples/{name}")).get(file).default_service(other()));
    }
    for (name, kind, text) in [
        ("reference.js", "text/javascript; charset=utf-8", include_str!("reference.js")),
        ("reference.css", "text/css; charset=utf-8", include_str!("reference.css")),
    ] {
        let file = move |request: HttpRequest| async move { own(&request, kind, text) };
        cfg.service(web::resource(format!("/docs/files/{name}")).get(file).default_service(other()));
    }
    cfg.service(web::resource("/docs/files/redoc-2.5.4.js").get(redoc).default_service(other()));
}

fn own(request: &HttpRequest, kind: &'static str, text: &'static str) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    // Short, because a page and its script must have the same version.
    response.insert_header((header::CONTENT_TYPE, kind)).insert_header((header::CACHE_CONTROL, "max-age=60"));
    compression::public(request, response.body(text))
}

async fn redoc(request: HttpRequest) -> Result<HttpResponse> {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, "text/javascript; charset=utf-8"))
        // Its address has the version.
        .insert_header((header::CACHE_CONTROL, "max-age=31536000, immutable"))
        .insert_header((header::VARY, "Accept-Encoding"));
    if Coding::Gzip.is_read(request.headers()) {
        return Ok(response.insert_header((header::CONTENT_ENCODING, "gzip")).body(web::Bytes::from_static(REDOC)));
    }
    if PLAIN.get().is_none() {
        let mut plain = Vec::new();
        GzDecoder::new(REDOC).read_to_end(&mut plain).map_err(|error| Error::internal("decompress Redoc", error))?;
        let _ = PLAIN.set(plain.into());
    }
    Ok(response.body(PLAIN.get().cloned().unwrap_or_default()))
}
