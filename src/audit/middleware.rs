//! Gives each request its audit context, and notes the events that no transaction has recorded.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpResponse, web};

use super::model::{AuditOutcome, Event, READS};
use super::queue::Queue;
use crate::audit_context::AuditContext;
use crate::env::Env;
use crate::error::{Error, FieldCode};
use crate::http::ClientAddress;
use crate::http::fallback::{Operation, Routes, is_audited, is_of_member};
use crate::http::limits::Limiter;
use crate::http::middleware::RequestId;
use crate::http::problem::ProblemBuilder;
use crate::ids::{AuditEventId, PatientId};

/// Records the event of a request. Wraps everything that authenticates callers.
pub async fn record_request(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let (Some(env), Some(queue), Some(limiter)) = (
        request.app_data::<web::Data<Env>>().cloned(),
        request.app_data::<web::Data<Queue>>().cloned(),
        request.app_data::<web::Data<Limiter>>().cloned(),
    ) else {
        return Err(Error::fault("the application has no environment, queue or limiter").into());
    };
    let operation = is_audited(request.path()).then(|| request.extensions().get::<Arc<Operation>>().cloned()).flatten();
    let Some(operation) = operation else { return next.call(request).await.map(ServiceResponse::map_into_boxed_body) };
    let changes = request.method() != Method::GET && !READS.contains(&operation.id.as_str());
    let request_id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
    let read = operation_of_page(&request);
    let audit = AuditContext::of_request(&operation.id, request_id, address(&request));
    request.extensions_mut().insert(audit.clone());

    let response = next.call(request).await;
    let status = match &response {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    let replayed = audit.notes().replayed;
    let path_id: Option<uuid::Uuid> =
        response.as_ref().ok().and_then(|response| response.request().match_info().get("id")?.parse().ok());
    if let Some(id) = path_id.filter(|_| audit.notes().object.is_none()) {
        audit.note_object(id);
    }
    // A role is rejected before the patient is looked up.
    if status == StatusCode::FORBIDDEN
        && audit.notes().patient.is_none()
        && let Ok(response) = &response
        && response.request().match_pattern().is_some_and(|pattern| pattern.starts_with("/v1/patients/{id}"))
        && let Some(id) = path_id
    {
        audit.note_patient(PatientId(id));
    }
    let notes = audit.notes();
    let is_flood =
        status == StatusCode::TOO_MANY_REQUESTS && !limiter.is_audited(notes.user, audit.address(), notes.object);
    let wrong_secret = || response.as_ref().is_ok_and(|response| has_wrong_secret(response.response()));
    let outcome = outcome(&operation, changes, status, replayed, &audit);
    let outcome = outcome.or_else(|| wrong_secret().then_some(AuditOutcome::Refused));
    // A form that is refused is drawn again, with what it was drawn from.
    let shown_again =
        read.filter(|_| outcome.is_none() && SHOWN_AGAIN.contains(&status) && audit.patients() != (None, Vec::new()));
    let (audit, outcome) = match shown_again {
        Some(read) => (audit.of_read(&read), Some(AuditOutcome::Success)),
        None => (audit, outcome),
    };
    if let Some(outcome) = outcome.filter(|_| !is_flood) {
        let mut event = Event::new(env.new_id::<AuditEventId>(), env.now(), &env.signer, &audit, outcome);
        if outcome == AuditOutcome::Refused || outcome == AuditOutcome::Failed {
            event.status = Some(status.as_u16().into());
            // A caller without a session may send any id. Events that differ only by it would not be counted as one.
            if event.actor_id.is_none() && event.object_id.is_some_and(|object| Some(object.0) == path_id) {
                event.object_id = None;
            }
            event = event.signed(&env.signer);
        }
        match queue.note(&env, event).await {
            Ok(()) => {}
            // A response whose audit event cannot be stored is not sent.
            Err(error) if status.is_success() => return Err(error.into()),
            Err(error) => tracing::error!(%error, "an audit event was lost"),
        }
    }
    response.map(ServiceResponse::map_into_boxed_body)
}

/// How the service refuses a form and shows it again.
const SHOWN_AGAIN: [StatusCode; 3] =
    [StatusCode::CONFLICT, StatusCode::PRECONDITION_FAILED, StatusCode::UNPROCESSABLE_ENTITY];

/// The operation that the page of a form reads. Forms of people who are signed in show patients' data, problem documents do not.
fn operation_of_page(request: &ServiceRequest) -> Option<String> {
    if request.method() != Method::POST || !is_of_member(request.path()) {
        return None;
    }
    let routes = request.app_data::<web::Data<Routes>>()?;
    let page = routes.operation(&Method::GET, request.path()).filter(|page| !page.is_public);
    Some(page.map_or_else(|| "list_patients".to_owned(), |page| page.id.clone()))
}

/// Broken rules that mean a wrong secret: a password, a code or the token of a link.
const SECRET_RULES: [FieldCode; 3] = [FieldCode::WrongPassword, FieldCode::WrongCode, FieldCode::InvalidToken];

/// Returns whether the response says that a secret was wrong, because the caller may be guessing.
fn has_wrong_secret(response: &HttpResponse<impl MessageBody>) -> bool {
    let extensions = response.extensions();
    extensions
        .get::<ProblemBuilder>()
        .is_some_and(|problem| problem.errors.iter().any(|error| SECRET_RULES.contains(&error.code)))
}

/// Returns the outcome to record, if any.
///
/// Invalid input and conflicts have none here, because they change nothing.
/// Responses of an overloaded service (503) are not recorded, because that would add to the load.
fn outcome(
    operation: &Operation,
    changes: bool,
    status: StatusCode,
    replayed: bool,
    audit: &AuditContext,
) -> Option<AuditOutcome> {
    let notes = audit.notes();
    // What is read with or without a session is public, but for a few details: free slots, practitioners, holds.
    let needs_session = !operation.is_public && !operation.is_session_optional;
    let is_personal = needs_session || notes.patient.is_some() || READS.contains(&operation.id.as_str());
    match status {
        _ if status.as_u16() < 400 && replayed => Some(AuditOutcome::Replayed),
        _ if status.as_u16() < 400 && changes => {
            // A missing event is recorded here after all, but not in the transaction of the effect. Tests must not pass
            // like this.
            debug_assert!(
                notes.recorded || notes.unchanged,
                "{} changes something and records no audit event with it",
                operation.id
            );
            (!notes.recorded).then_some(AuditOutcome::Success)
        }
        _ if status.as_u16() < 400 => is_personal.then_some(AuditOutcome::Success),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => Some(AuditOutcome::Refused),
        StatusCode::NOT_FOUND => (is_personal || changes).then_some(AuditOutcome::Refused),
        StatusCode::INTERNAL_SERVER_ERROR => Some(AuditOutcome::Failed),
        _ => None,
    }
}

/// Returns the client's address.
fn address(request: &ServiceRequest) -> Option<IpAddr> {
    request.extensions().get().map(|ClientAddress(address)| *address)
}
