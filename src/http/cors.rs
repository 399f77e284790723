//! Which web clients a browser lets in: those of the origins in `CORS_ORIGINS`, and none by default.

use actix_cors::Cors;
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, LOCATION, RETRY_AFTER};

use super::limits::{RATE_LIMIT, RATE_LIMIT_POLICY};
use super::middleware::REQUEST_ID;
use crate::config::edge::Origin;

/// How long a browser may remember what it was told, in seconds.
const REMEMBERED: usize = 3600;

/// Answers preflights, before anything asks who calls. No cookie is ever used, so credentials are not offered.
pub fn cors(origins: &[Origin]) -> Cors {
    let named = |name| HeaderName::from_static(name);
    let cors = Cors::default()
        .allowed_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allowed_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            IF_MATCH,
            REQUEST_ID,
            named("idempotency-key"),
            named("access-reason"),
        ])
        .expose_headers([ETAG, LOCATION, RETRY_AFTER, REQUEST_ID, RATE_LIMIT, RATE_LIMIT_POLICY])
        .max_age(REMEMBERED);
    origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin.as_str()))
}
