//! Cross-origin requests: the origins in `CORS_ORIGINS`, and none by default. A demo allows origins on the same
//! machine.

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
use super::problem::{ProblemBuilder, Rejected};
use crate::config::network::Origin;
use crate::env::Env;

/// How long a browser may cache a preflight response, in seconds.
const PREFLIGHT_SECONDS: usize = 3600;

/// Responds to preflights before authentication. The API uses no cookies, so credentials are not allowed.
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
            named("hold-secret"),
        ])
        .expose_headers([ETAG, LOCATION, RETRY_AFTER, REQUEST_ID, RATE_LIMIT, RATE_LIMIT_POLICY])
        .max_age(PREFLIGHT_SECONDS);
    let origins = origins.to_vec();
    cors.allowed_origin_fn(move |sent, _| {
        sent.to_str().is_ok_and(|sent| origins.iter().any(|origin| origin.admits(sent)))
    })
}

/// Rejects the preflight of an origin that is not allowed, and names the setting that would allow it, in the response
/// for developers and in the log for the operator.
pub async fn reject_unlisted_origin<B: MessageBody + 'static>(
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
            // An invalid origin is not logged, because it could be any text.
            let origin = sent.parse::<Origin>().map_or("none", |_| sent);
            tracing::info!(%origin, "a web client was rejected because CORS_ORIGINS does not list its origin");
            return Ok(request.error_response(Rejected(ProblemBuilder::origin())).map_into_right_body());
        }
    }
    next.call(request).await.map(ServiceResponse::map_into_left_body)
}
