//! The table of paths, and responses to requests without a route: 404, or 405 with `Allow` if the path exists for other
//! methods.
//!
//! The table decides which path of the document a request means, before actix-web looks for a handler. Of two matching
//! paths it takes the one with the fixed segment, whichever methods that has. actix-web alone would try a path with a
//! parameter if the fixed path lacks the method, and take `refresh` in `/v1/sessions/refresh` for an id.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::http::header::{ALLOW, HeaderValue};
use matchit::Router;

use super::input::shape::{Member, Shape, Shapes};
use super::problem::ProblemBuilder;
use crate::scopes::Scope;

/// The forms that the service's own pages send without a script, with the operation that each runs. Quotas and the audit trail treat them
/// like a call of the operation.
const PAGE_FORMS: [(&str, &str); 12] = [
    ("/book/holds", "create_hold"),
    ("/book/registrations", "create_registration"),
    ("/book/releases", "delete_hold"),
    ("/book/renewals", "renew_hold"),
    ("/follow-up", "view_follow_up_link"),
    ("/follow-up-answers", "answer_follow_up_link"),
    ("/reminders", "change_reminder_preference"),
    ("/sign-in", "create_session"),
    ("/verify-email", "verify_email"),
    ("/waitlist-offer", "view_waitlist_offer_link"),
    ("/waitlist-offer-claims", "claim_waitlist_offer_link"),
    ("/waitlist-offer-refusals", "decline_waitlist_offer_link"),
];

/// The pages of people who are signed in by a cookie, and their forms, with the operation that each runs. A page that shows what several
/// operations read has the one that says most.
static MEMBER_PAGES: [(Method, &str, &str); 158] = [
    (Method::GET, "/account", "list_sessions"),
    (Method::GET, "/account/patients/{id}/uses", "list_patient_audit_events"),
    (Method::POST, "/account/sessions/{id}", "delete_session"),
    (Method::GET, "/admin", "list_users"),
    (Method::GET, "/admin/audit", "list_audit_events"),
    (Method::GET, "/admin/clients", "list_clients"),
    // Before the pages of a client, whose id it could be. So below for the other lists.
    (Method::GET, "/admin/clients/new", "list_clients"),
    (Method::POST, "/admin/clients/new", "create_client"),
    (Method::GET, "/admin/clients/{id}", "get_client"),
    (Method::POST, "/admin/clients/{id}", "update_client"),
    (Method::POST, "/admin/clients/{id}/revoke", "delete_client"),
    (Method::GET, "/admin/clients/{id}/secrets", "get_client"),
    (Method::POST, "/admin/clients/{id}/secrets", "create_client_secret"),
    (Method::POST, "/admin/clients/{id}/secrets/{secret_id}/end", "delete_client_secret"),
    (Method::POST, "/admin/closures/{id}/delete", "delete_closure"),
    (Method::GET, "/admin/documents", "list_consent_documents"),
    (Method::GET, "/admin/documents/{type}", "list_consent_documents"),
    (Method::POST, "/admin/documents/{type}", "create_consent_document"),
    (Method::GET, "/admin/health", "list_messages"),
    (Method::GET, "/admin/locations", "list_locations"),
    (Method::GET, "/admin/locations/new", "list_locations"),
    (Method::POST, "/admin/locations/new", "create_location"),
    (Method::GET, "/admin/locations/{id}", "get_location"),
    (Method::POST, "/admin/locations/{id}", "update_location"),
    (Method::GET, "/admin/locations/{id}/closures", "list_closures"),
    (Method::POST, "/admin/locations/{id}/closures", "create_closures"),
    (Method::GET, "/admin/practitioners", "list_practitioners"),
    (Method::GET, "/admin/practitioners/new", "list_practitioners"),
    (Method::POST, "/admin/practitioners/new", "create_practitioner"),
    (Method::GET, "/admin/practitioners/{id}", "get_practitioner"),
    (Method::POST, "/admin/practitioners/{id}", "update_practitioner"),
    (Method::GET, "/admin/practitioners/{id}/hours", "get_availability"),
    (Method::POST, "/admin/practitioners/{id}/hours", "replace_availability"),
    (Method::GET, "/admin/practitioners/{id}/time-off", "list_exceptions"),
    (Method::POST, "/admin/practitioners/{id}/time-off", "create_exception"),
    (Method::GET, "/admin/resources", "list_resources"),
    (Method::GET, "/admin/resources/new", "list_resources"),
    (Method::POST, "/admin/resources/new", "create_resource"),
    (Method::GET, "/admin/resources/{id}", "get_resource"),
    (Method::POST, "/admin/resources/{id}", "update_resource"),
    (Method::GET, "/admin/setup", "list_users"),
    (Method::GET, "/admin/staff", "list_users"),
    (Method::GET, "/admin/staff/new", "list_users"),
    (Method::POST, "/admin/staff/new", "create_user"),
    (Method::GET, "/admin/staff/{id}", "get_user"),
    (Method::POST, "/admin/staff/{id}", "update_user"),
    (Method::POST, "/admin/staff/{id}/second-factor", "delete_user_second_factor"),
    (Method::POST, "/admin/staff/{id}/sign-out", "delete_user_sessions"),
    (Method::POST, "/admin/time-off/{id}/delete", "delete_exception"),
    (Method::GET, "/admin/utilisation", "get_utilisation"),
    (Method::GET, "/admin/visit-types", "list_visit_types"),
    (Method::GET, "/admin/visit-types/new", "list_visit_types"),
    (Method::POST, "/admin/visit-types/new", "create_visit_type"),
    (Method::GET, "/admin/visit-types/{id}", "get_visit_type"),
    (Method::POST, "/admin/visit-types/{id}", "update_visit_type"),
    (Method::GET, "/admin/webhooks", "list_webhooks"),
    (Method::GET, "/admin/webhooks/new", "list_webhooks"),
    (Method::POST, "/admin/webhooks/new", "create_webhook"),
    (Method::GET, "/admin/webhooks/{id}", "get_webhook"),
    (Method::POST, "/admin/webhooks/{id}", "update_webhook"),
    (Method::POST, "/admin/webhooks/{id}/delete", "delete_webhook"),
    (Method::GET, "/admin/webhooks/{id}/log", "list_webhook_attempts"),
    (Method::POST, "/admin/webhooks/{id}/pause", "update_webhook"),
    (Method::POST, "/admin/webhooks/{id}/redeliveries", "create_webhook_redelivery"),
    (Method::POST, "/admin/webhooks/{id}/resume", "update_webhook"),
    (Method::POST, "/admin/webhooks/{id}/secrets", "create_webhook_secret"),
    (Method::POST, "/admin/webhooks/{id}/skip", "skip_webhook_events"),
    (Method::POST, "/admin/webhooks/{id}/test", "create_webhook_test_event"),
    (Method::GET, "/desk", "get_day_sheet"),
    (Method::GET, "/desk/calls", "list_messages"),
    (Method::GET, "/desk/events", "get_event_stream"),
    (Method::POST, "/desk/calls/{id}/complete", "complete_message"),
    (Method::POST, "/desk/calls/{id}/resend", "resend_message"),
    (Method::POST, "/desk/calls/told-times", "resolve_zone_changes"),
    // The empty field shows nobody.
    (Method::GET, "/desk/patients", "list_locations"),
    (Method::POST, "/desk/patients", "list_patients"),
    // Before the pages of a patient, whose id it could be. The empty form shows nobody.
    (Method::GET, "/desk/patients/new", "list_locations"),
    (Method::POST, "/desk/patients/new", "create_patient"),
    (Method::GET, "/desk/patients/{id}", "get_patient"),
    (Method::POST, "/desk/patients/{id}/consents", "create_consent"),
    (Method::GET, "/desk/patients/{id}/correct", "get_patient"),
    (Method::POST, "/desk/patients/{id}/correct", "update_patient"),
    (Method::GET, "/desk/patients/{id}/times", "get_patient"),
    (Method::POST, "/desk/patients/{id}/visits", "create_appointment"),
    (Method::POST, "/desk/patients/{id}/wait", "create_waitlist_entry"),
    (Method::GET, "/desk/time-off", "list_exceptions"),
    (Method::POST, "/desk/time-off", "create_exception"),
    (Method::GET, "/desk/time-off/{id}", "get_affected_appointments"),
    (Method::POST, "/desk/time-off/{id}/delete", "delete_exception"),
    (Method::POST, "/desk/time-off/{id}/moves", "reschedule_appointments"),
    (Method::GET, "/desk/visits/{id}", "get_appointment"),
    (Method::POST, "/desk/visits/{id}/accept-time", "accept_appointment_time"),
    (Method::POST, "/desk/visits/{id}/cancel", "cancel_appointment"),
    (Method::POST, "/desk/visits/{id}/check-in", "check_in_appointment"),
    (Method::POST, "/desk/visits/{id}/complete", "complete_appointment"),
    (Method::POST, "/desk/visits/{id}/confirm", "confirm_appointment"),
    (Method::POST, "/desk/visits/{id}/keep-told-time", "resolve_zone_changes"),
    (Method::POST, "/desk/visits/{id}/links", "renew_appointment_links"),
    (Method::POST, "/desk/visits/{id}/no-show", "mark_appointment_no_show"),
    (Method::POST, "/desk/visits/{id}/reschedule", "reschedule_appointment"),
    (Method::GET, "/desk/visits/{id}/times", "get_appointment"),
    (Method::POST, "/desk/visits/{id}/undo", "undo_appointment"),
    (Method::GET, "/desk/waitlist", "list_waitlist_entries"),
    (Method::POST, "/desk/waitlist/{id}/offers", "update_waitlist_entry"),
    (Method::POST, "/desk/waitlist/{id}/end", "cancel_waitlist_entry"),
    (Method::POST, "/desk/waitlist-offers/{id}/claim", "claim_waitlist_offer"),
    (Method::POST, "/desk/waitlist-offers/{id}/decline", "decline_waitlist_offer"),
    (Method::POST, "/desk/waitlist-offers/{id}/withdraw", "withdraw_waitlist_offer"),
    (Method::GET, "/doctor", "get_agenda"),
    (Method::GET, "/doctor/flags", "list_intake_flags"),
    (Method::POST, "/doctor/flags/{id}/acknowledge", "acknowledge_intake_flag"),
    (Method::GET, "/doctor/follow-ups", "list_follow_ups"),
    (Method::POST, "/doctor/follow-ups/{id}/cancel", "cancel_follow_up"),
    (Method::GET, "/doctor/intakes/{id}", "get_intake_summary"),
    (Method::GET, "/doctor/intakes/{id}/review", "get_intake"),
    (Method::POST, "/doctor/intakes/{id}/review", "review_intake"),
    (Method::GET, "/doctor/patients", "list_locations"),
    (Method::POST, "/doctor/patients", "list_patients"),
    (Method::GET, "/doctor/patients/{id}", "get_patient"),
    (Method::POST, "/doctor/patients/{id}/follow-ups", "create_follow_up"),
    (Method::POST, "/doctor/patients/{id}/forms", "create_intake"),
    (Method::GET, "/doctor/patients/{id}/open", "get_patient"),
    // Reads with the reason, which opens the record.
    (Method::POST, "/doctor/patients/{id}/open", "get_rls_timeline"),
    (Method::GET, "/doctor/patients/{id}/timeline", "get_rls_timeline"),
    (Method::GET, "/doctor/reviews", "list_intakes"),
    (Method::POST, "/doctor/visits/{id}/complete", "complete_appointment"),
    (Method::GET, "/forms/{id}", "get_intake"),
    // Before the subjects of a form, whose name it could be.
    (Method::GET, "/forms/{id}/check", "get_intake"),
    (Method::POST, "/forms/{id}/check", "submit_intake"),
    (Method::GET, "/forms/{id}/notices", "get_intake"),
    (Method::GET, "/forms/{id}/{subject}", "get_intake"),
    (Method::POST, "/forms/{id}/{subject}", "update_intake"),
    (Method::GET, "/forms/{id}/{subject}/{list}/{entry}", "get_intake"),
    (Method::POST, "/forms/{id}/{subject}/{list}/{entry}", "update_intake"),
    (Method::GET, "/second-factor", "get_second_factor"),
    (Method::POST, "/second-factor/code", "confirm_second_factor"),
    (Method::POST, "/second-factor/secret", "begin_second_factor"),
    (Method::POST, "/sign-out", "delete_current_session"),
    (Method::GET, "/visits", "list_appointments"),
    // Before the pages of a visit, whose id it could be.
    (Method::GET, "/visits/new", "get_current_user"),
    (Method::POST, "/visits/new", "create_appointment"),
    (Method::POST, "/visits/offers/{id}/claim", "claim_waitlist_offer"),
    (Method::POST, "/visits/offers/{id}/decline", "decline_waitlist_offer"),
    (Method::POST, "/visits/waiting/{id}/end", "cancel_waitlist_entry"),
    (Method::POST, "/visits/waiting/{id}/offers", "update_waitlist_entry"),
    (Method::GET, "/visits/{id}", "get_appointment"),
    (Method::GET, "/visits/{id}/calendar", "get_appointment_calendar"),
    (Method::GET, "/visits/{id}/cancel", "get_appointment"),
    (Method::POST, "/visits/{id}/cancel", "cancel_appointment"),
    (Method::POST, "/visits/{id}/confirmation", "confirm_appointment"),
    (Method::GET, "/visits/{id}/days", "get_appointment"),
    (Method::GET, "/visits/{id}/history", "get_appointment"),
    (Method::POST, "/visits/{id}/history", "create_intake"),
    (Method::GET, "/visits/{id}/move", "get_appointment"),
    (Method::POST, "/visits/{id}/move", "reschedule_appointment"),
    (Method::GET, "/visits/{id}/times", "get_appointment"),
    (Method::POST, "/visits/{id}/wait", "create_waitlist_entry"),
    (Method::POST, "/visits/{id}/wait-end", "cancel_waitlist_entry"),
];

/// Where machine clients get access tokens.
pub const TOKEN_PATH: &str = "/oauth2/token";

/// Returns the operation that the form of a page runs.
fn page_form(path: &str) -> Option<&'static str> {
    PAGE_FORMS.iter().find(|(known, _)| *known == path).map(|(_, operation)| *operation)
}

/// Returns whether a path is that of a pattern, in which a name in braces stands for one segment.
fn is_at(path: &str, pattern: &str) -> bool {
    let mut given = path.split('/');
    let is_same = |part: &str| given.next().is_some_and(|it| it == part || (part.starts_with('{') && !it.is_empty()));
    pattern.split('/').all(is_same) && given.next().is_none()
}

/// Returns whether a path is a page or a form of people who are signed in by a cookie.
pub fn is_of_member(path: &str) -> bool {
    !path.starts_with("/v1/") && MEMBER_PAGES.iter().any(|(_, pattern, _)| is_at(path, pattern))
}

/// Returns whether a path is the sign-in, or a page or a form behind it.
pub fn is_sign_in_or_behind(path: &str) -> bool {
    path == "/sign-in" || is_of_member(path)
}

/// Returns whether a path is a page that people who are signed in can open.
pub fn is_member_page(path: &str) -> bool {
    MEMBER_PAGES.iter().any(|(method, pattern, _)| *method == Method::GET && is_at(path, pattern))
}

fn member_page(method: &Method, path: &str) -> Option<&'static str> {
    let mut all = MEMBER_PAGES.iter();
    all.find(|(known, pattern, _)| known == method && is_at(path, pattern)).map(|(_, _, operation)| *operation)
}

/// Returns whether an operation is one of the API, issues access tokens, or runs as the form of a page.
pub fn is_audited(path: &str) -> bool {
    path.starts_with("/v1/") || path == TOKEN_PATH || page_form(path).is_some() || is_of_member(path)
}

/// All paths of the service with their methods, from the OpenAPI document.
#[derive(Default)]
pub struct Routes {
    paths: Router<Methods>,
    by_id: HashMap<String, Arc<Operation>>,
}

/// The methods of a path of the document.
struct Methods {
    operations: Vec<(Method, Arc<Operation>)>,
    /// The methods as `Allow` lists them.
    allowed: String,
}

/// What is known of an operation before its handler runs.
#[derive(Debug)]
pub struct Operation {
    /// The `operationId`.
    pub id: String,
    pub summary: String,
    /// The query parameters.
    pub parameters: Vec<Member>,
    /// The shape of the body, if the operation has one.
    pub body: Option<Shape>,
    /// Whether it works without a session and takes none.
    pub is_public: bool,
    /// Whether it works with and without a session.
    pub is_session_optional: bool,
    /// The media types of its successful responses. Empty if they have no body.
    pub produces: Vec<String>,
    /// The scope that a machine client needs. None if it is closed to machine clients.
    pub scope: Option<Scope>,
}

impl Routes {
    /// Reads the table from the document. Handlers check the values of the schemas in `own_readers` themselves.
    ///
    /// # Errors
    /// If two paths are ambiguous or a schema is not supported. Both are faults.
    pub fn of(document: &utoipa::openapi::OpenApi, own_readers: &[&str]) -> Result<Self, String> {
        let mut routes = Self::default();
        let json = serde_json::to_value(document).map_err(|error| error.to_string())?;
        let mut shapes = Shapes::new(&json, own_readers);
        for (path, item) in &document.paths.paths {
            let methods = [
                (Method::GET, &item.get),
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            let mut operations = Vec::new();
            let mut allowed = Vec::new();
            for (method, operation) in methods {
                let Some(operation) = operation else { continue };
                let value = &json["paths"][path][method.as_str().to_ascii_lowercase()];
                let operation = Operation::of(operation, value, method == Method::GET, &mut shapes);
                let operation = Arc::new(operation.map_err(|error| format!("{method} {path}: {error}"))?);
                routes.by_id.insert(operation.id.clone(), Arc::clone(&operation));
                allowed.push(if method == Method::GET { "GET, HEAD".to_owned() } else { method.to_string() });
                operations.push((method, operation));
            }
            allowed.push("OPTIONS".to_owned());
            let methods = Methods { operations, allowed: allowed.join(", ") };
            routes.paths.insert(path, methods).map_err(|error| format!("{path}: {error}"))?;
        }
        Ok(routes)
    }

    /// Returns the operation of a request, if there is one. It is looked up once and then stored in the request's
    /// extensions.
    pub fn operation(&self, method: &Method, path: &str) -> Option<Arc<Operation>> {
        if let Some(form) = page_form(path).filter(|_| *method == Method::POST) {
            return self.by_id.get(form).cloned();
        }
        if !path.starts_with("/v1/")
            && let Some(page) = member_page(method, path)
        {
            return self.by_id.get(page).cloned();
        }
        let methods = self.paths.at(path).ok()?.value;
        let (_, operation) = methods.operations.iter().find(|(known, _)| known == method)?;
        Some(Arc::clone(operation))
    }

    /// Returns the methods of a path as `Allow` lists them, or none if the document has no such path.
    pub fn allowed(&self, path: &str) -> Option<&str> {
        Some(&self.paths.at(path).ok()?.value.allowed)
    }

    /// Returns an operation by its id.
    pub fn by_id(&self, id: &str) -> Option<Arc<Operation>> {
        self.by_id.get(id).cloned()
    }

    /// Returns the summary of an operation.
    pub fn summary(&self, id: &str) -> Option<&str> {
        self.by_id.get(id).map(|operation| operation.summary.as_str())
    }
}

impl Operation {
    /// Reads an operation from its entry in the document and from the same entry as JSON.
    fn of(
        operation: &utoipa::openapi::path::Operation,
        json: &serde_json::Value,
        reads: bool,
        shapes: &mut Shapes<'_>,
    ) -> Result<Self, String> {
        let id = operation.operation_id.as_deref().unwrap_or_default();
        Ok(Self {
            scope: Scope::of(id, operation.tags.as_deref().unwrap_or_default(), reads),
            id: operation.operation_id.clone().unwrap_or_default(),
            summary: operation.summary.clone().unwrap_or_default(),
            produces: produces(json),
            parameters: shapes.query(json)?,
            body: shapes.body(json)?,
            is_public: operation.security.as_ref().is_none_or(Vec::is_empty),
            // An empty requirement is one that every request meets.
            is_session_optional: json["security"].as_array().is_some_and(|all| all.contains(&serde_json::json!({}))),
        })
    }
}

/// The media types in which an operation responds.
fn produces(operation: &serde_json::Value) -> Vec<String> {
    let responses = operation["responses"].as_object().into_iter().flatten();
    let successful = responses.filter(|(status, _)| status.starts_with('2'));
    let mut media: Vec<_> = successful
        .flat_map(|(_, response)| response["content"].as_object().into_iter().flatten().map(|(media, _)| media.clone()))
        .collect();
    media.sort();
    media.dedup();
    media
}

/// The default service.
pub async fn fallback() -> HttpResponse {
    not_found()
}

/// 404: there is no operation with this path.
pub fn not_found() -> HttpResponse {
    ProblemBuilder::no_route().into_response()
}

/// 204 with the methods of a path, for `OPTIONS`.
pub fn options(allowed: &str) -> HttpResponse {
    let mut response = HttpResponse::NoContent().finish();
    if let Ok(value) = HeaderValue::from_str(allowed) {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}

/// 405: the path exists for these methods only.
pub fn not_allowed(allowed: &str) -> HttpResponse {
    let mut response = ProblemBuilder::method(allowed).into_response();
    if let Ok(value) = HeaderValue::from_str(allowed) {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_found_by_its_pattern() {
        let id = "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c77";
        for (path, pattern, is_there) in [
            ("/account", "/account", true),
            ("/account/", "/account", false),
            ("/accounts", "/account", false),
            (&*format!("/account/sessions/{id}"), "/account/sessions/{id}", true),
            ("/account/sessions/", "/account/sessions/{id}", false),
            (&*format!("/account/sessions/{id}/x"), "/account/sessions/{id}", false),
        ] {
            assert_eq!(is_at(path, pattern), is_there, "{path} {pattern}");
        }
        assert!(is_member_page("/account") && !is_member_page("/sign-out") && is_of_member("/sign-out"));
        assert!(!is_of_member("/v1/account"));
    }
}
