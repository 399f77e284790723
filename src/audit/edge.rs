//! The edge of the service: gives each request its trail, and notes what no transaction of its own has written down.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpResponse, web};

use super::model::{AuditOutcome, Event, READS};
use super::queue::Queue;
use crate::env::Env;
use crate::error::Error;
use crate::http::ClientAddress;
use crate::http::fallback::Operation;
use crate::http::idempotency::Replayed;
use crate::http::limits::Limiter;
use crate::http::middleware::RequestId;
use crate::http::problem::Draft;
use crate::ids::AuditEventId;
use crate::trail::Trail;

/// Wraps everything that may ask who is there.
pub async fn note(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let (Some(env), Some(queue), Some(limiter)) = (
        request.app_data::<web::Data<Env>>().cloned(),
        request.app_data::<web::Data<Queue>>().cloned(),
        request.app_data::<web::Data<Limiter>>().cloned(),
    ) else {
        return Err(Error::fault("the application lacks its surroundings").into());
    };
    let operation =
        request.path().starts_with("/v1/").then(|| request.extensions().get::<Arc<Operation>>().cloned()).flatten();
    let Some(operation) = operation else { return next.call(request).await.map(ServiceResponse::map_into_boxed_body) };
    let changes = request.method() != Method::GET && !READS.contains(&operation.id.as_str());
    let request_id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
    let trail = Trail::of_request(&operation.id, request_id, address(&request));
    request.extensions_mut().insert(trail.clone());

    let answer = next.call(request).await;
    let (status, replayed) = match &answer {
        Ok(answer) => (answer.status(), answer.response().extensions().get::<Replayed>().is_some()),
        Err(error) => (error.as_response_error().status_code(), false),
    };
    if let Ok(answer) = &answer
        && trail.notes().object.is_none()
        && let Some(id) = answer.request().match_info().get("id").and_then(|id| id.parse().ok())
    {
        trail.note_object(id);
    }
    let is_flood =
        || status == StatusCode::TOO_MANY_REQUESTS && !limiter.is_first_refusal(trail.notes().user, trail.address());
    let wrong_proof = || answer.as_ref().is_ok_and(|answer| is_wrong_proof(answer.response()));
    let outcome = outcome(&operation, changes, status, replayed, &trail);
    if let Some(outcome) = outcome.or_else(|| wrong_proof().then_some(AuditOutcome::Refused))
        && !is_flood()
    {
        let mut event = Event::new(env.new_id::<AuditEventId>(), env.now(), &env.signer, &trail, outcome);
        if outcome == AuditOutcome::Refused || outcome == AuditOutcome::Failed {
            event.status = Some(status.as_u16().into());
            event = event.signed(&env.signer);
        }
        match queue.note(&env, event).await {
            Ok(()) => {}
            // Nobody reads what cannot be written down.
            Err(error) if status.is_success() => return Err(error.into()),
            Err(error) => tracing::error!(%error, "an audit event was lost"),
        }
    }
    answer.map(ServiceResponse::map_into_boxed_body)
}

/// Rules that are broken by who shows something of which only another knows: a password, a code, the token of a link.
const PROOFS: [&str; 3] = ["wrong_password", "wrong_code", "invalid_token"];

/// Whether the answer says that such a proof was wrong: somebody may be guessing.
fn is_wrong_proof(response: &HttpResponse<impl MessageBody>) -> bool {
    let extensions = response.extensions();
    extensions.get::<Draft>().is_some_and(|draft| draft.errors.iter().any(|error| PROOFS.contains(&&*error.code)))
}

/// What is to be noted of a request, if anything.
///
/// Wrong input and conflicts are not, unless it was a proof of who one is: they show and change nothing. Nor is it noted that
/// the service is overloaded, which would add to it.
fn outcome(
    operation: &Operation,
    changes: bool,
    status: StatusCode,
    replayed: bool,
    trail: &Trail,
) -> Option<AuditOutcome> {
    let notes = trail.notes();
    let is_personal = !operation.is_public || notes.patient.is_some() || READS.contains(&operation.id.as_str());
    match status {
        _ if status.as_u16() < 400 && replayed => Some(AuditOutcome::Replayed),
        _ if status.as_u16() < 400 && changes => {
            // Forgotten, it is noted after all, but not with its effect: no test may pass so.
            debug_assert!(notes.recorded, "{} changes something and records no audit event with it", operation.id);
            (!notes.recorded).then_some(AuditOutcome::Success)
        }
        _ if status.as_u16() < 400 => is_personal.then_some(AuditOutcome::Success),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => Some(AuditOutcome::Refused),
        StatusCode::NOT_FOUND => (is_personal || changes).then_some(AuditOutcome::Refused),
        StatusCode::INTERNAL_SERVER_ERROR => Some(AuditOutcome::Failed),
        _ => None,
    }
}

/// Where a request comes from.
fn address(request: &ServiceRequest) -> Option<IpAddr> {
    request.extensions().get().map(|ClientAddress(address)| *address)
}
