//! What operations have in common: shared problems, and references to shared parameters and headers.

use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, ContentBuilder, Deprecated, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder};

use super::components::{self, SharedParameter};
use super::{nullable, problems, roles, schemas};
use crate::http::deprecation::{self, DEPRECATED, Deprecation};
use crate::http::fallback::TOKEN_PATH;
use crate::http::limits;
use crate::http::problem::MEDIA_TYPE;
use crate::patients::care;
use crate::scopes::Scope;

/// The security scheme of machine clients.
pub const CLIENT_CREDENTIALS: &str = "client_credentials";

/// A problem that all operations of a kind can return.
struct CommonProblem {
    status: &'static str,
    component: &'static str,
    description: &'static str,
    headers: &'static [&'static str],
    /// Whether an operation with this path can return it.
    applies: fn(&str, &Operation) -> bool,
}

const COMMON: &[CommonProblem] = &[
    CommonProblem {
        status: "400",
        component: "MalformedRequest",
        description: "`malformed_request`: the server cannot parse the request.",
        headers: &[],
        // OAuth has errors of its own.
        applies: |path, operation| {
            operation.request_body.is_some() && path != TOKEN_PATH || has_parameter(operation, "If-Match")
        },
    },
    CommonProblem {
        status: "401",
        component: "Unauthenticated",
        description: "`unauthenticated`: the access token is missing, expired, revoked or invalid.",
        headers: &["WWW-Authenticate"],
        applies: |_, operation| is_signed_in(operation),
    },
    CommonProblem {
        status: "403",
        component: "Forbidden",
        description: "`role_forbidden`: the caller's role may not do this; `allowed_roles` lists the roles that may. \
            `second_factor_required`: the account must set up its second factor first. \
            `insufficient_scope`: the operation is closed to machine clients, or the client's token lacks its scope.",
        headers: &["WWW-Authenticate"],
        applies: |_, operation| is_signed_in(operation) && !is_clinical(operation),
    },
    CommonProblem {
        status: "403",
        component: "ReasonRequired",
        description: "`role_forbidden`: the caller's role may not do this; `allowed_roles` lists the roles that may. \
            `second_factor_required`: the account must set up its second factor first. \
            `insufficient_scope`: the operation is closed to machine clients, or the client's token lacks its scope. \
            `reason_required`: a practitioner without a care relationship must give a reason in `Access-Reason`.",
        headers: &["WWW-Authenticate"],
        applies: |_, operation| is_clinical(operation),
    },
    CommonProblem {
        status: "404",
        component: "NotFound",
        description: "`not_found`: the object does not exist, or the caller may not see it.",
        headers: &[],
        applies: |_, operation| parameters(operation).any(|parameter| parameter.parameter_in == ParameterIn::Path),
    },
    CommonProblem {
        status: "406",
        component: "NotAcceptable",
        description: "`not_acceptable`: `Accept` excludes every media type of the response.",
        headers: &[],
        applies: |_, operation| has_body(operation),
    },
    CommonProblem {
        status: "409",
        component: "RequestInProgress",
        description: "`request_in_progress`: a request with the same `Idempotency-Key` is still running. Retry.",
        headers: &[],
        applies: |_, operation| has_parameter(operation, "Idempotency-Key"),
    },
    CommonProblem {
        status: "412",
        component: "Stale",
        description: "`stale`: `If-Match` names another version than the current one.",
        headers: &[],
        applies: |_, operation| has_parameter(operation, "If-Match"),
    },
    CommonProblem {
        status: "413",
        component: "BodyTooLarge",
        description: "`body_too_large`: the body is larger than 64 KiB.",
        headers: &[],
        applies: |_, operation| operation.request_body.is_some(),
    },
    CommonProblem {
        status: "415",
        component: "UnsupportedMediaType",
        description: "`unsupported_media_type`: the `Content-Type` is none of the operation's request body, or has another charset than UTF-8.",
        headers: &[],
        applies: |path, operation| operation.request_body.is_some() && path != TOKEN_PATH,
    },
    CommonProblem {
        status: "422",
        component: "ValidationFailed",
        description: "`validation_failed`: the input breaks rules; `errors` lists them. \
            `idempotency_key_reused`: the `Idempotency-Key` was sent before with another request.",
        headers: &[],
        // Every operation under /v1 rejects unknown query parameters.
        applies: |path, _| path.starts_with("/v1/"),
    },
    CommonProblem {
        status: "428",
        component: "PreconditionRequired",
        description: "`precondition_required`: `If-Match` is missing.",
        headers: &[],
        applies: |_, operation| {
            let required = |parameter: &&Parameter| matches!(parameter.required, Required::True);
            parameters(operation).filter(required).any(|parameter| parameter.name == "If-Match")
        },
    },
    CommonProblem {
        status: "429",
        component: "RateLimited",
        description: "`rate_limited`: the address or the account sent too many requests. Retry after the number of seconds in \
            `Retry-After`.",
        headers: &["Retry-After"],
        applies: |path, _| limits::is_limited(path),
    },
    CommonProblem {
        status: "500",
        component: "InternalError",
        description: "`internal`: the server failed. Its log has the details under the request's id.",
        headers: &[],
        applies: |_, _| true,
    },
    CommonProblem {
        status: "503",
        component: "Unavailable",
        description: "`unavailable`: the server cannot answer now. Retry after the number of seconds in `Retry-After`. A change may have \
            taken effect: retry it with the same `Idempotency-Key`. `database_damaged`: the database file is damaged; the operator \
            must restore a backup.",
        headers: &["Retry-After"],
        applies: |_, _| true,
    },
];

/// The headers of every response of an operation with a quota.
const QUOTA: &[&str] = &["RateLimit", "RateLimit-Policy"];

/// The objects whose version a response shows as its `ETag`.
const VERSIONED: &[&str] = &[
    "Appointment",
    "AppointmentSeries",
    "Availability",
    "CalendarFeed",
    "ChangedAvailability",
    "ChangedLocation",
    "ChangedPractitioner",
    "ChangedResource",
    "Client",
    "Consent",
    "FollowUp",
    "Hold",
    "Intake",
    "LabResult",
    "Location",
    "Patient",
    "PatientCard",
    "PatientMerge",
    "PatientRetirement",
    "Practitioner",
    "PractitionerException",
    "Resource",
    "User",
    "VisitType",
    "WaitlistEntry",
    "WaitlistOffer",
    "Webhook",
];

fn is_versioned(response: &Response) -> bool {
    response.content.values().any(|content| match content {
        RefOr::T(content) => match &content.schema {
            Some(RefOr::Ref(schema)) => {
                schema.ref_location.rsplit('/').next().is_some_and(|name| VERSIONED.contains(&name))
            }
            _ => false,
        },
        RefOr::Ref(_) => false,
    })
}

/// Returns the parameters that an operation itself declares.
fn parameters(operation: &Operation) -> impl Iterator<Item = &Parameter> {
    operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    })
}

fn has_parameter(operation: &Operation, name: &str) -> bool {
    parameters(operation).any(|parameter| parameter.name == name)
}

/// Whether an operation that is complete has a shared parameter.
pub fn has_shared_parameter(operation: &Operation, component: &str) -> bool {
    let location = format!("#/components/parameters/{component}");
    operation.parameters.iter().flatten().any(|parameter| match parameter {
        RefOr::T(_) => false,
        RefOr::Ref(shared) => shared.ref_location == location,
    })
}

fn is_signed_in(operation: &Operation) -> bool {
    operation.security.as_ref().is_some_and(|security| !security.is_empty())
}

/// Whether a successful response has a body.
fn has_body(operation: &Operation) -> bool {
    operation.responses.responses.iter().any(|(status, response)| match response {
        RefOr::T(response) => status.starts_with('2') && !response.content.is_empty(),
        RefOr::Ref(_) => false,
    })
}

fn is_clinical(operation: &Operation) -> bool {
    operation.operation_id.as_deref().is_some_and(|id| care::CLINICAL.contains(&id))
}

/// Completes the document of the routes.
pub fn complete(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        if let Some(read) = &mut item.get {
            admit_clients(read, true);
            read_again(read);
        }
        if let Some(patch) = &mut item.patch {
            accept_plain_json(patch);
        }
        for change in [&mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten() {
            admit_clients(change, false);
        }
        for operation in schemas::operations(item) {
            // An operation without a requirement says so, because no requirement of the whole document stands in for it.
            operation.security.get_or_insert_default();
            roles::name(operation);
            complete_operation(path, operation);
            mark_deprecated(operation, DEPRECATED);
        }
    }
    let components = document.components.get_or_insert_default();
    components.parameters.extend(components::parameters());
    let is_sent = |name: &String| !DEPRECATED.is_empty() || !["Deprecation", "Sunset"].contains(&name.as_str());
    components.headers.extend(components::headers().filter(|(name, _)| is_sent(name)));
    components.responses.extend(COMMON.iter().map(|common| {
        let mut response = ResponseBuilder::new().description(common.description).build();
        fill(&mut response, common.headers);
        add_headers(&mut response, QUOTA);
        (common.component.to_owned(), RefOr::T(response))
    }));
    for schema in components.schemas.values_mut() {
        nullable::describe_outside(schema);
    }
    problems::complete(document);
    schemas::complete(document);
}

/// Adds the response to a read whose version the caller has already.
fn read_again(operation: &mut Operation) {
    let Some(RefOr::T(found)) = operation.responses.responses.get("200") else { return };
    if !is_versioned(found) {
        return;
    }
    let mut response = ResponseBuilder::new().description("The caller has this version already.").build();
    add_headers(&mut response, &["ETag", "X-Request-Id"]);
    operation.responses.responses.insert("304".to_owned(), RefOr::T(response));
    operation.parameters.get_or_insert_default().push(SharedParameter::reference("IfNoneMatch"));
}

/// A merge patch is also accepted as plain JSON.
fn accept_plain_json(operation: &mut Operation) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    if let Some(patch) = body.content.get("application/merge-patch+json").cloned() {
        body.content.insert("application/json".to_owned(), patch);
    }
}

/// Adds the scope of an operation that needs a caller, unless it is closed to machine clients.
fn admit_clients(operation: &mut Operation, reads: bool) {
    let id = operation.operation_id.as_deref().unwrap_or_default();
    let Some(scope) = Scope::of(id, operation.tags.as_deref().unwrap_or_default(), reads) else { return };
    let is_open = reads && !roles::needs_session(operation);
    if let Some(security) = operation.security.as_mut().filter(|security| !security.is_empty()) {
        security.push(SecurityRequirement::new(CLIENT_CREDENTIALS, [scope.as_str()]));
        let text = if is_open {
            format!("A machine client without the scope `{scope}` gets the response for callers without a session.")
        } else {
            format!("Machine clients need the scope `{scope}`.")
        };
        roles::describe(operation, &text);
    }
}

fn complete_operation(path: &str, operation: &mut Operation) {
    let common: Vec<_> = COMMON.iter().filter(|common| (common.applies)(path, operation)).collect();
    // A sign-in returns tokens, which have neither a path nor a version.
    let has_object = !path.starts_with("/v1/sessions");
    let is_signed_in = is_signed_in(operation);
    let responses = &mut operation.responses.responses;
    let is_conditional = responses.contains_key("304");
    for (status, response) in responses.iter_mut() {
        let RefOr::T(response) = response else { continue };
        match status.as_str() {
            "200" | "304" if is_conditional => add_headers(response, &["ETag", "X-Request-Id"]),
            "201" if has_object => add_headers(response, &["ETag", "Location", "X-Request-Id"]),
            "200" if is_versioned(response) => add_headers(response, &["ETag", "X-Request-Id"]),
            "429" | "503" => fill(response, &["Retry-After"]),
            status if status.starts_with(['4', '5']) => fill(response, &[]),
            _ => add_headers(response, &["X-Request-Id"]),
        }
        match status.as_str() {
            "401" => add_headers(response, &["WWW-Authenticate"]),
            "403" if is_signed_in => add_headers(response, &["WWW-Authenticate"]),
            _ => {}
        }
        if limits::is_limited(path) {
            add_headers(response, QUOTA);
        }
    }
    for common in common {
        match responses.get_mut(common.status) {
            Some(RefOr::T(own)) => {
                append(&mut own.description, common.description);
                own.content.entry(MEDIA_TYPE.to_owned()).or_insert_with(problem);
                add_headers(own, common.headers);
            }
            Some(RefOr::Ref(_)) => {}
            None => {
                responses.insert(common.status.to_owned(), RefOr::Ref(Ref::from_response_name(common.component)));
            }
        }
    }
    share_parameters(operation);
}

/// Marks a deprecated operation, and lists the headers that say so.
fn mark_deprecated(operation: &mut Operation, table: &[Deprecation]) {
    let Some(found) = deprecation::find(table, operation.operation_id.as_deref().unwrap_or_default()) else { return };
    operation.deprecated = Some(Deprecated::True);
    let paragraph =
        format!("Deprecated since {}. It may be gone from {} on. {}", found.since, found.gone, found.instead);
    roles::describe(operation, &paragraph);
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            add_headers(response, &["Deprecation", "Sunset"]);
        }
    }
}

/// Adds a common problem to an operation's own description of the same status, unless that description has it.
fn append(own: &mut String, common: &str) {
    let code = common.split(':').next().unwrap_or_default();
    if !own.contains(code) {
        let end = if own.ends_with('.') { " " } else { ". " };
        *own = format!("{own}{end}{common}");
    }
}

/// Replaces the operation's copies of shared parameters by references.
fn share_parameters(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(own) = parameter else { continue };
        if let Some(shared) = SharedParameter::of(own) {
            *parameter = SharedParameter::reference(shared.component);
        }
    }
    if is_clinical(operation) {
        operation.parameters.get_or_insert_default().push(SharedParameter::reference("AccessReason"));
    }
}

/// Makes a response a problem document with these headers.
fn fill(response: &mut Response, headers: &[&str]) {
    if response.content.is_empty() {
        response.content.insert(MEDIA_TYPE.to_owned(), problem());
    }
    add_headers(response, headers);
    add_headers(response, &["X-Request-Id"]);
}

fn problem() -> RefOr<Content> {
    ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build().into()
}

/// Adds shared headers, and replaces the response's copies of them by references.
fn add_headers(response: &mut Response, names: &[&str]) {
    for name in names {
        response.headers.extend(components::header(name).map(|header| ((*name).to_owned(), header)));
    }
    for (name, header) in &mut response.headers {
        if let Some(shared) = components::header(name) {
            *header = shared;
        }
    }
}

#[cfg(test)]
mod tests {
    use utoipa::openapi::path::OperationBuilder;

    use super::*;
    use crate::http::deprecation::EXAMPLE;

    #[test]
    fn the_document_marks_an_operation_that_will_go() {
        let response = ResponseBuilder::new().description("The agenda").build();
        let mut operation =
            OperationBuilder::new().operation_id(Some(EXAMPLE.operation)).response("200", response).build();
        mark_deprecated(&mut operation, &[EXAMPLE]);
        assert!(operation.deprecated == Some(Deprecated::True));
        let text = operation.description.as_deref().unwrap_or_default();
        assert_eq!(text, "Deprecated since 2026-03-02. It may be gone from 2026-09-02 on. Use `list_appointments`.");
        let RefOr::T(response) = &operation.responses.responses["200"] else { panic!("a response") };
        assert_eq!(response.headers.keys().collect::<Vec<_>>(), ["Deprecation", "Sunset"]);
    }
}
