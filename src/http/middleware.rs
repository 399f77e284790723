//! What happens to every request: an id, a log line, a duration, safe headers, and problems written out in full.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError, web};
use futures_util::FutureExt;
use tracing::Instrument;

use super::address::ClientAddress;
use super::connection::{self, Progress};
use super::fallback::{Operation, Routes, not_allowed};
use super::problem::{Draft, MEDIA_TYPE};
use crate::actor::Actor;
use crate::db::budget;
use crate::env::Env;
use crate::telemetry::RequestLabels;
use crate::trail::Trail;

/// The header that names a request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of the request at hand, kept in its extensions.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Takes a caller's own id where it is harmless, so that their log and ours can be joined.
fn request_id(request: &ServiceRequest, env: &Env) -> String {
    request
        .headers()
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| (8..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
        .map_or_else(|| env.entropy.uuid(env.clock.now()).to_string(), ToOwned::to_owned)
}

/// Wraps the whole service.
pub async fn wrap(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(env) = request.app_data::<web::Data<Env>>().cloned() else {
        return Err(crate::error::Error::fault("no Env").into());
    };
    let started = Instant::now();
    let id = request_id(&request, &env);
    let client = ClientAddress::of(&request, &env.config.settings);
    request.extensions_mut().insert(client);
    request.extensions_mut().insert(RequestId(id.clone()));
    let progress = request.conn_data::<Rc<Progress>>().cloned();
    let payload = request.take_payload();
    if let Some(progress) = &progress {
        progress.head_read(!matches!(payload, Payload::None));
    }
    request.set_payload(connection::timely(payload, progress.clone()));
    let (method, path) = (method_label(request.method()), request.path().to_owned());
    let span = tracing::info_span!("request", request_id = %id);
    if request.method() == Method::HEAD {
        // What GET would answer; the body is left out where the answer is written to the socket.
        request.head_mut().method = Method::GET;
    }
    let operation = request.app_data::<web::Data<Routes>>().and_then(|it| it.operation(request.method(), &path));
    if let Some(operation) = operation {
        request.extensions_mut().insert(operation);
    }

    // The log line stands inside the span, and a panic ends one request rather than the connection's worker.
    let answer = async move {
        // No copy of the request is kept for the failures: routing needs the only one.
        let (request, response) = if path.contains('%') {
            // Routing reads the path decoded, and what knows operations by their paths (the trail, the quotas) does not. No
            // path of ours needs an escape, so that none has a second spelling.
            (Some(request.into_parts().0), Draft::no_route().into_response())
        } else {
            match AssertUnwindSafe(next.call(request)).catch_unwind().await {
                Ok(Ok(response)) => {
                    let (request, response) = response.into_parts();
                    (Some(request), response.map_into_boxed_body())
                }
                Ok(Err(error)) => (None, error.error_response()),
                Err(_) => (None, crate::error::Error::fault("a handler panicked").error_response()),
            }
        };
        if let Some(progress) = progress {
            progress.answered();
        }
        let mut response = write_problem(response, &path, &id);
        harden(response.headers_mut(), &path, &id, env.config.settings.public_url.scheme() == "https");
        let status = response.status().as_u16();
        // The pattern, not the path: paths and queries name people.
        let route = request.as_ref().and_then(HttpRequest::match_pattern).unwrap_or_else(|| "(none)".into());
        let took = started.elapsed();
        if status >= 500 {
            env.metrics.faults.inc();
        }
        let labels = RequestLabels { method, route: route.clone(), status };
        env.metrics.http_duration.get_or_create(&labels).observe(took.as_secs_f64());
        // Whose session it was, by the id of the account. Who calls without one is known by the address only.
        let account = request.as_ref().and_then(|request| request.extensions().get::<Trail>()?.notes().user);
        let account = account.map(tracing::field::display);
        tracing::info!(%method, %route, status, millis = millis(took), client = %client.0, account, "answered");
        match request {
            Some(request) => Ok(ServiceResponse::new(request, response)),
            None => Err(InternalError::from_response("failed", response).into()),
        }
    }
    .instrument(span);
    budget::one_request(answer).await
}

/// Milliseconds to the microsecond, which is as exact as the measurement.
fn millis(took: Duration) -> f64 {
    f64::from(u32::try_from(took.as_micros()).unwrap_or(u32::MAX)) / 1000.0
}

/// Writes out a problem, be it ours or one that the framework made by itself.
fn write_problem(response: HttpResponse, path: &str, id: &str) -> HttpResponse {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let draft = response.extensions().get::<Draft>().cloned();
    let is_document = || {
        let media_type = response.headers().get(header::CONTENT_TYPE);
        media_type.is_some_and(|value| value.as_bytes().starts_with(b"application/"))
    };
    let Some(draft) = draft.or_else(|| (!is_document()).then(|| Draft::framework(status))) else { return response };
    let body = serde_json::to_vec(&draft.complete(path, id)).unwrap_or_default();
    response.map_body(|head, _| {
        head.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        actix_web::body::BoxBody::new(body)
    })
}

/// Refuses methods that a path of the document does not have, before actix-web looks for another path with that method; and
/// query parameters of operations that take none. Operations that take some refuse the others by themselves.
///
/// A caller who has to sign in first is told that first: then the request goes on to the handler, which says so.
pub async fn refuse_unknown_methods_and_parameters<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let operation = request.extensions().get::<Arc<Operation>>().cloned();
    if operation.is_none()
        && let Some(allowed) = request.app_data::<web::Data<Routes>>().and_then(|it| it.allowed(request.path()))
    {
        let refusal = not_allowed(allowed);
        return Ok(request.into_response(refusal).map_into_right_body());
    }
    if let Some(operation) = operation
        && !request.query_string().is_empty()
        && request.path().starts_with("/v1/")
        && operation.parameters.is_empty()
        && (operation.is_public || Actor::extract(request.request()).await.is_ok())
    {
        let name = url::form_urlencoded::parse(request.query_string().as_bytes()).next();
        let name = name.map(|(name, _)| name.into_owned()).unwrap_or_default();
        let refusal =
            crate::error::Error::invalid(format!("?{name}"), "unknown_parameter", "there is no such parameter");
        return Ok(request.error_response(refusal).map_into_right_body());
    }
    next.call(request).await.map(ServiceResponse::map_into_left_body)
}

/// What a page of ours may load. Everything but the documentation's page is data, not a page.
fn content_security_policy(path: &str) -> &'static str {
    if path.starts_with("/docs") {
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    } else {
        "default-src 'none'; frame-ancestors 'none'"
    }
}

/// The methods by name; whatever else a client makes up is one label, not one each.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Headers that every answer carries unless its handler set them.
fn harden(headers: &mut HeaderMap, path: &str, id: &str, is_https: bool) {
    let mut default = |name: HeaderName, value: &'static str| {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    default(header::CACHE_CONTROL, "no-store");
    default(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    default(header::REFERRER_POLICY, "no-referrer");
    default(header::CONTENT_SECURITY_POLICY, content_security_policy(path));
    if is_https {
        default(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
}
