//! What every request gets: an id, a log line, a duration, safe headers, and complete problem documents.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::{self, BodySize, BoxBody, EitherBody, MessageBody, SizedStream};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError, web};
use futures_util::FutureExt;
use tracing::Instrument;

use super::accept;
use super::address::ClientAddress;
use super::compression::{self, Coding};
use super::conditional::Known;
use super::connection::{self, Progress};
use super::deprecation::{self, DEPRECATED};
use super::fallback::{Operation, Routes, is_of_member, not_allowed, options};
use super::limits::Limiter;
use super::problem::{MEDIA_TYPE, ProblemBuilder};
use crate::actor::Actor;
use crate::audit_context::AuditContext;
use crate::db::budget;
use crate::env::Env;
use crate::error::FieldCode;
use crate::telemetry::RequestLabels;

/// The header with the request's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of the current request, stored in its extensions.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Returns the caller's own id if it is harmless, so that both logs can be joined. Otherwise creates one.
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
    request.set_payload(connection::with_time_limit(payload, progress.clone()));
    let (method, path) = (method_label(request.method()), request.path().to_owned());
    let span = tracing::info_span!("request", request_id = %id);
    let is_head = request.method() == Method::HEAD;
    if is_head {
        // The response to GET. Its body is not written to the socket.
        request.head_mut().method = Method::GET;
    }
    let operation = request.app_data::<web::Data<Routes>>().and_then(|it| it.operation(request.method(), &path));
    let deprecation = operation.as_ref().and_then(|operation| deprecation::find(DEPRECATED, &operation.id));
    if let Some(operation) = operation {
        request.extensions_mut().insert(operation);
    }

    let coding = (*request.method() == Method::GET && is_public(&request)).then(|| Coding::of(request.headers()));
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    let known = if reads { Known::of(request.headers()) } else { Known::default() };

    // The log line is inside the span. A panic ends one request and not the worker.
    let response = async move {
        // No copy of the request is kept for failures, because routing needs the only one.
        let (request, response) = if path.contains('%') {
            // Routing decodes the path, but the table of paths, the audit trail and the quotas do not. No path of this
            // service needs an escape, so paths with one are rejected and no path has a second spelling.
            (Some(request.into_parts().0), ProblemBuilder::no_route().into_response())
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
        let mut response = known.conclude(complete_problem(response, &path, &id));
        if let Some(coding) = coding {
            response = compression::encode(coding, response);
        }
        let mut response = in_pieces(response);
        if is_head {
            response = without_stream(response);
        }
        set_default_headers(response.headers_mut(), &id, env.config.settings.public_url.scheme() == "https");
        if let Some(deprecation) = deprecation {
            deprecation.tell(response.headers_mut());
        }
        let status = response.status().as_u16();
        // The pattern and not the path, because paths and queries name people.
        let route = request.as_ref().and_then(HttpRequest::match_pattern).unwrap_or_else(|| "(none)".into());
        let duration = started.elapsed();
        if status >= 500 {
            env.metrics.faults.inc();
        }
        let labels = RequestLabels { method, route: route.clone(), status };
        env.metrics.http_duration.get_or_create(&labels).observe(duration.as_secs_f64());
        // The account's id. A caller without a session is known by the address only.
        let account = request.as_ref().and_then(|request| request.extensions().get::<AuditContext>()?.notes().user);
        let account = account.map(tracing::field::display);
        // Of a flood of rejected requests, the log has the first ones of each minute and their number.
        let limiter = request.as_ref().and_then(HttpRequest::app_data::<web::Data<Limiter>>);
        if limiter.is_some_and(|limiter| !limiter.is_logged(status)) {
            env.metrics.requests_limited.inc();
        } else {
            tracing::info!(%method, %route, status, millis = millis(duration), client = %client.0, account, "request completed");
        }
        match request {
            Some(request) => Ok(ServiceResponse::new(request, response)),
            None => Err(InternalError::from_response("failed", response).into()),
        }
    }
    .instrument(span);
    budget::one_request(response).await
}

/// Returns whether the response to a read is the same for everyone. The address of a calendar feed is a secret, and the pages of signed-in
/// people have a secret of their session.
fn is_public(request: &ServiceRequest) -> bool {
    let is_alike = |operation: &Arc<Operation>| operation.is_public || operation.is_session_optional;
    request.extensions().get().is_some_and(is_alike)
        && !request.headers().contains_key(header::AUTHORIZATION)
        && !request.path().starts_with("/v1/calendar-feeds/")
        && !is_of_member(request.path())
}

/// Responses with a longer body are written in pieces of this size.
const PIECE: usize = 16 * 1024;

/// Writes a long body piece by piece, each when the last one has reached the socket. The server would otherwise copy the whole body into
/// the buffer of each connection, and many clients that read slowly would take its memory.
fn in_pieces(response: HttpResponse) -> HttpResponse {
    let BodySize::Sized(length) = response.body().size() else { return response };
    if length <= PIECE as u64 {
        return response;
    }
    response.map_body(|_, body| match body.try_into_bytes() {
        Ok(mut rest) => {
            let pieces = std::iter::from_fn(move || {
                (!rest.is_empty()).then(|| Ok::<_, Infallible>(rest.split_to(rest.len().min(PIECE))))
            });
            BoxBody::new(SizedStream::new(length, futures_util::stream::iter(pieces)))
        }
        Err(body) => body,
    })
}

/// Drops the body of a response to HEAD if it is a stream. The server reads also a body that it does not write to its end, and takes no other
/// request on the connection until then; a stream of events has no end.
fn without_stream(response: HttpResponse) -> HttpResponse {
    match response.body().size() {
        BodySize::Stream => response.map_body(|_, _| BoxBody::new(body::None::new())),
        BodySize::None | BodySize::Sized(_) => response,
    }
}

/// Returns milliseconds with microsecond precision, which is as exact as the measurement.
fn millis(duration: Duration) -> f64 {
    f64::from(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)) / 1000.0
}

/// Writes the problem document of an error response, including those that the framework makes by itself.
fn complete_problem(response: HttpResponse, path: &str, id: &str) -> HttpResponse {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let problem = response.extensions().get::<ProblemBuilder>().cloned();
    let is_document = || {
        let media_type = response.headers().get(header::CONTENT_TYPE);
        let written = |value: &HeaderValue| {
            // The framework itself writes plain text. HTML is a page that says what is wrong.
            [&b"application/"[..], b"text/html"].iter().any(|start| value.as_bytes().starts_with(start))
        };
        media_type.is_some_and(written)
    };
    let Some(problem) = problem.or_else(|| (!is_document()).then(|| ProblemBuilder::framework(status))) else {
        return response;
    };
    let body = serde_json::to_vec(&problem.complete(path, id)).unwrap_or_default();
    response.map_body(|head, _| {
        head.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        actix_web::body::BoxBody::new(body)
    })
}

/// Rejects methods that a path of the document does not have, before actix-web looks for another path with that method.
/// Answers `OPTIONS` with the methods. Rejects an `Accept` that excludes every media type of the operation.
///
/// Rejects query parameters of operations that have none; other operations check their parameters themselves.
///
/// A caller who must sign in first gets that error first. The request then continues to the handler, which rejects it.
pub async fn reject_unknown_methods_and_parameters<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let operation = request.extensions().get::<Arc<Operation>>().cloned();
    if operation.is_none()
        && let Some(allowed) = request.app_data::<web::Data<Routes>>().and_then(|it| it.allowed(request.path()))
    {
        let rejection = if *request.method() == Method::OPTIONS { options(allowed) } else { not_allowed(allowed) };
        return Ok(request.into_response(rejection).map_into_right_body());
    }
    if let Some(operation) = &operation
        && request.app_data::<web::Data<Routes>>().is_some_and(|routes| routes.allowed(request.path()).is_some())
        && !accept::admits(request.headers(), &operation.produces)
    {
        let rejection = ProblemBuilder::not_acceptable(&operation.produces).into_response();
        return Ok(request.into_response(rejection).map_into_right_body());
    }
    if let Some(operation) = operation
        && !request.query_string().is_empty()
        && request.path().starts_with("/v1/")
        && operation.parameters.is_empty()
        && (operation.is_public
            || (operation.is_session_optional && !request.headers().contains_key(header::AUTHORIZATION))
            || Actor::extract(request.request()).await.is_ok())
    {
        let name = url::form_urlencoded::parse(request.query_string().as_bytes()).next();
        let name = name.map(|(name, _)| name.into_owned()).unwrap_or_default();
        let rejection =
            crate::error::Error::invalid(format!("?{name}"), FieldCode::UnknownParameter, "there is no such parameter");
        return Ok(request.error_response(rejection).map_into_right_body());
    }
    next.call(request).await.map(ServiceResponse::map_into_left_body)
}

/// What a page may load that says nothing else: it is data.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Returns the method's name for metrics. All unknown methods share one label.
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

/// Sets the headers of every response, unless its handler has set them.
fn set_default_headers(headers: &mut HeaderMap, id: &str, is_https: bool) {
    let mut default = |name: HeaderName, value: &'static str| {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    default(header::CACHE_CONTROL, "no-store");
    default(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    default(header::REFERRER_POLICY, "no-referrer");
    default(header::CONTENT_SECURITY_POLICY, POLICY);
    if is_https {
        default(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
}

#[cfg(test)]
mod tests {
    use actix_web::web::Bytes;

    use super::*;

    #[actix_web::test]
    async fn a_long_body_is_written_in_pieces_and_a_short_one_at_once() {
        for length in [0, 1, PIECE, PIECE + 1, 5 * PIECE + 7] {
            let sent: Bytes = (0..length).map(|position| u8::try_from(position % 251).expect("small")).collect();
            let mut body = in_pieces(HttpResponse::Ok().body(sent.clone())).into_body();
            assert_eq!(body.size(), BodySize::Sized(length as u64));
            let mut received = Vec::new();
            while let Some(piece) = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_next(cx)).await {
                let piece = piece.expect("a piece");
                assert!(piece.len() <= PIECE, "{}", piece.len());
                received.extend_from_slice(&piece);
            }
            assert_eq!(received, sent);
        }
    }
}
