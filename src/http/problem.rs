//! Problem documents (RFC 9457): the one place where the house's errors become HTTP answers.

use actix_web::http::StatusCode;
use actix_web::http::header::{ContentType, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde_json::{Map, Value, json};

use crate::actor::Role;
use crate::error::{Error, FieldError};

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What goes wrong, for a person and for a program (RFC 9457).
///
/// Some problems have further members, named with the operations that answer them. `slot_taken` and `hold_lapsed` have
/// `next_free`; a status move that is not allowed has `allowed`.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "type": "/problems/validation_failed", "title": "The input breaks rules", "status": 422,
    "detail": "See `errors`.", "instance": "/v1/registrations", "code": "validation_failed",
    "errors": [{"pointer": "/patient/date_of_birth", "code": "out_of_range", "detail": "must not be in the future"}],
    "request_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55"
}))]
pub struct Problem {
    /// A URI reference that names the kind of problem: `/problems/` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem in a few words; the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This occurrence, for a person.
    pub detail: String,
    /// The path of the request.
    pub instance: String,
    /// Stable, in snake case, for a program.
    pub code: String,
    /// The broken rules; there if the input is at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(nullable = false)]
    pub errors: Vec<FieldError>,
    /// With `role_forbidden`: the roles that may do this.
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Option<Vec<Role>>, nullable = false, max_items = 4)]
    pub allowed_roles: Value,
    /// The id under which the log holds this request.
    pub request_id: String,
    /// Members that belong to this kind of problem only.
    #[serde(flatten)]
    #[schema(ignore)]
    pub members: Map<String, Value>,
}

/// A problem before the middleware has added the path and the request id.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The HTTP status.
    pub status: StatusCode,
    /// Stable, in snake case.
    pub code: &'static str,
    /// The kind in a few words.
    pub title: &'static str,
    /// This occurrence.
    pub detail: String,
    /// The broken rules.
    pub errors: Vec<FieldError>,
    /// Further members.
    pub members: Map<String, Value>,
    /// Seconds for `Retry-After`.
    pub retry_after: Option<u32>,
}

impl Draft {
    /// A problem without further members.
    pub fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, title, detail: detail.into(), errors: Vec::new(), members: Map::new(), retry_after: None }
    }

    /// The whole document.
    pub fn complete(mut self, instance: &str, request_id: &str) -> Problem {
        Problem {
            kind: format!("/problems/{}", self.code),
            title: self.title.to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
            instance: instance.to_owned(),
            code: self.code.to_owned(),
            errors: self.errors,
            allowed_roles: self.members.remove("allowed_roles").unwrap_or_default(),
            request_id: request_id.to_owned(),
            members: self.members,
        }
    }

    /// The answer, with this problem attached for the middleware to write out.
    pub fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        response.insert_header(ContentType(mime()));
        if let Some(seconds) = self.retry_after {
            response.insert_header((RETRY_AFTER, HeaderValue::from(seconds)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        }
        let mut response = response.finish();
        response.extensions_mut().insert(self);
        response
    }
}

fn mime() -> actix_web::mime::Mime {
    MEDIA_TYPE.parse().unwrap_or(actix_web::mime::APPLICATION_JSON)
}

impl From<&Error> for Draft {
    fn from(error: &Error) -> Self {
        match error {
            Error::Invalid(errors) => Self {
                errors: errors.clone(),
                ..Self::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "validation_failed",
                    "The input breaks rules",
                    "The members of `errors` say where and why.",
                )
            },
            Error::NotFound => Self::new(
                StatusCode::NOT_FOUND,
                "not_found",
                "Not found",
                "There is nothing here, or nothing that you may see.",
            ),
            Error::Unauthenticated(refusal) => {
                Self::new(StatusCode::UNAUTHORIZED, refusal.code, "Not signed in", refusal.detail.clone())
            }
            Error::Forbidden(refusal) => {
                Self::new(StatusCode::FORBIDDEN, refusal.code, "Not allowed", refusal.detail.clone())
            }
            Error::RoleForbidden(roles) => Self::role_forbidden(roles),
            Error::Conflict(conflict) => Self {
                members: conflict.members.clone(),
                ..Self::new(
                    StatusCode::CONFLICT,
                    conflict.code,
                    "In conflict with what is there",
                    conflict.detail.clone(),
                )
            },
            Error::Stale => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "stale",
                "Changed in between",
                "It was changed since you read it. Read it again and decide anew.",
            ),
            Error::KeyReused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "Idempotency-Key used before",
                "This Idempotency-Key came with another request. Use a new key for a new request.",
            ),
            Error::Unavailable { retry_after, .. } => Self {
                retry_after: Some(*retry_after),
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "unavailable",
                    "Not available now",
                    "The service cannot do this at the moment. Try again after the time in Retry-After.",
                )
            },
            Error::TooMany { code, retry_after, detail } => Self {
                retry_after: Some(*retry_after),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, code, "Too many requests", detail.clone())
            },
            Error::StorageFull => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "storage_full",
                "No space left",
                "The service has no space left to store anything. Nothing was changed.",
            ),
            Error::Damaged => Self {
                retry_after: Some(60),
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "database_damaged",
                    "The database is damaged",
                    "The database file is damaged; restore a backup. Until then no request that needs it is served.",
                )
            },
            Error::Retry | Error::Internal(_) => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "A fault of the service",
                "Something went wrong on our side. Tell us the request_id.",
            ),
        }
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        Draft::from(self).status
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Internal(what) => tracing::error!(fault = %what, "fault"),
            Self::Retry => tracing::error!("a transaction asked to run again outside of Db::write"),
            Self::Unavailable { detail, .. } => tracing::warn!(%detail, "unavailable"),
            Self::StorageFull => tracing::error!("no space left"),
            _ => {}
        }
        Draft::from(self).into_response()
    }
}

/// The problems that the framework raises by itself, in our own form.
impl Draft {
    /// 400: the body is no JSON at all.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed_request", "The request cannot be read", detail)
    }

    /// 403 for a role that may not do this, whatever it is done to.
    fn role_forbidden(roles: &[Role]) -> Self {
        let names: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
        let names = match names.as_slice() {
            [] => "none".to_owned(),
            [only] => (*only).to_owned(),
            [others @ .., last] => format!("{} and {last}", others.join(", ")),
        };
        let detail = format!("Your role may not do this. Allowed roles: {names}.");
        let mut draft = Self::new(StatusCode::FORBIDDEN, "role_forbidden", "Not allowed", detail);
        draft.members.insert("allowed_roles".into(), json!(roles));
        draft
    }

    /// 413.
    pub fn too_large(limit: usize) -> Self {
        let mut draft = Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "The body is too large",
            format!("A body must be at most {limit} bytes."),
        );
        draft.members.insert("limit".into(), json!(limit));
        draft
    }

    /// 415.
    pub fn media_type(expected: &str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Unsupported media type",
            format!("Send the body as {expected}."),
        )
    }

    /// 404 for a path that leads nowhere.
    pub fn no_route() -> Self {
        Self::from(&Error::NotFound)
    }

    /// 405.
    pub fn method(allowed: &str) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "Method not allowed",
            format!("This path knows {allowed}."),
        )
    }

    /// 403: a browser asked for a web client whose origin is not let in.
    pub fn origin() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "origin_not_allowed",
            "Origin not allowed",
            "The server does not let web clients of this origin in. The operator admits an origin with the setting \
             CORS_ORIGINS, for example CORS_ORIGINS=https://app.clinic.example.",
        )
    }

    /// 408.
    pub fn timed_out() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "request_timeout",
            "The request took too long",
            "The request did not arrive in time.",
        )
    }

    /// 429.
    pub fn rate_limited(retry_after: u32) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                "Too many requests",
                "You have asked too often. Try again after the time in Retry-After; RateLimit says where you stand.",
            )
        }
    }

    /// 503 of the readiness check, with the reason.
    pub fn not_ready(reason: &'static str) -> Self {
        Self {
            retry_after: Some(5),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available now", reason)
        }
    }

    /// 428.
    pub fn precondition_required() -> Self {
        Self::new(
            StatusCode::PRECONDITION_REQUIRED,
            "precondition_required",
            "If-Match is missing",
            "Send the ETag of the version that you read as If-Match.",
        )
    }

    /// 500 for whatever the framework could not do.
    pub fn framework(status: StatusCode) -> Self {
        match status {
            StatusCode::REQUEST_TIMEOUT => Self::timed_out(),
            StatusCode::NOT_FOUND => Self::no_route(),
            status if status.is_client_error() => {
                Self { status, ..Self::malformed("The request could not be understood.") }
            }
            _ => Self::from(&Error::fault("framework")),
        }
    }
}

/// A draft is an error of its own where the house's error has no word for it.
#[derive(Debug)]
pub struct Rejected(pub Draft);

impl std::fmt::Display for Rejected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.code)
    }
}

impl ResponseError for Rejected {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        self.0.clone().into_response()
    }
}
