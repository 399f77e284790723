//! Which web clients a browser lets in: those of the origins in `CORS_ORIGINS`, and none by default. A demo lets in those on
//! the same machine.

use actix_cors::Cors;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, LOCATION, ORIGIN,
    RETRY_AFTER,
};
use actix_web::middleware::Next;
use actix_web::{Error, web};

use super::limits::{RATE_LIMIT, RATE_LIMIT_POLICY};
use super::middleware::REQUEST_ID;
use super::problem::{Draft, Rejected};
use crate::config::edge::Origin;
use crate::env::Env;

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
    let origins = origins.to_vec();
    cors.allowed_origin_fn(move |sent, _| {
        sent.to_str().is_ok_and(|sent| origins.iter().any(|origin| origin.admits(sent)))
    })
}

/// Refuses the preflight of an origin that is not let in, and says which setting would let it in: to a developer who looks at
/// the answer, and to the operator in the log.
pub async fn refuse_unlisted<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if let (true, Some(sent), Some(env)) =
        (preflight, request.headers().get(ORIGIN), request.app_data::<web::Data<Env>>())
    {
        let sent = sent.to_str().unwrap_or_default();
        if !env.config.settings.cors_origins.iter().any(|origin| origin.admits(sent)) {
            // What is no origin is not repeated: it could be anything.
            let origin = sent.parse::<Origin>().map_or("none", |_| sent);
            tracing::info!(%origin, "a web client was not let in: CORS_ORIGINS does not list its origin");
            return Ok(request.error_response(Rejected(Draft::origin())).map_into_right_body());
        }
    }
    next.call(request).await.map(ServiceResponse::map_into_left_body)
}
