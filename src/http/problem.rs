//! Problem documents (RFC 9457). The only place that turns errors into HTTP responses.

use actix_web::http::StatusCode;
use actix_web::http::header::{ContentType, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde_json::{Map, Value, json};

use crate::error::{Error, FieldError, ProblemCode};
use crate::role::Role;

pub const MEDIA_TYPE: &str = "application/problem+json";

/// An error response (RFC 9457).
///
/// The members after `request_id` exist only with some problems.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "type": "/problems/validation_failed", "title": "The input is invalid", "status": 422,
    "detail": "See `errors`.", "instance": "/v1/registrations", "code": "validation_failed",
    "errors": [{"pointer": "/patient/date_of_birth", "code": "out_of_range", "detail": "must not be in the future"}],
    "request_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55"
}))]
pub struct Problem {
    /// A URI reference of the kind of problem: `/problems/` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem in a few words. The same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request, and what to do.
    pub detail: String,
    /// The path of the request.
    pub instance: String,
    /// The kind of problem, for programs. Stable; new kinds may be added.
    pub code: ProblemCode,
    /// The broken rules, if the input is invalid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(nullable = false)]
    pub errors: Vec<FieldError>,
    /// The roles that may do this, with `role_forbidden`.
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Option<Vec<Role>>, nullable = false, max_items = 4)]
    pub allowed_roles: Value,
    /// The request's id in the server's log.
    pub request_id: String,
    /// Members of this kind of problem only.
    #[serde(flatten)]
    #[schema(ignore)]
    pub members: Map<String, Value>,
}

/// A problem before the middleware adds path and request id.
#[derive(Debug, Clone)]
pub struct ProblemBuilder {
    pub status: StatusCode,
    pub code: ProblemCode,
    /// The kind of problem in a few words.
    pub title: &'static str,
    /// What is wrong with this request.
    pub detail: String,
    /// The broken rules.
    pub errors: Vec<FieldError>,
    /// Further members.
    pub members: Map<String, Value>,
    /// Seconds for `Retry-After`.
    pub retry_after: Option<u32>,
}

impl ProblemBuilder {
    /// Creates a problem without further members.
    pub fn new(status: StatusCode, code: ProblemCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, title, detail: detail.into(), errors: Vec::new(), members: Map::new(), retry_after: None }
    }

    /// Returns the complete document.
    pub fn complete(mut self, instance: &str, request_id: &str) -> Problem {
        Problem {
            kind: format!("/problems/{}", self.code),
            title: self.title.to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
            instance: instance.to_owned(),
            code: self.code,
            errors: self.errors,
            allowed_roles: self.members.remove("allowed_roles").unwrap_or_default(),
            request_id: request_id.to_owned(),
            members: self.members,
        }
    }

    /// Returns the response, with this problem attached for the middleware to write.
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

impl From<&Error> for ProblemBuilder {
    fn from(error: &Error) -> Self {
        match error {
            Error::Invalid(errors) => Self {
                errors: errors.clone(),
                ..Self::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    ProblemCode::ValidationFailed,
                    "The input is invalid",
                    "See `errors` for the broken rules.",
                )
            },
            Error::NotFound => Self::new(
                StatusCode::NOT_FOUND,
                ProblemCode::NotFound,
                "Not found",
                "The object does not exist, or you may not see it.",
            ),
            Error::Unauthenticated(refusal) => {
                Self::new(StatusCode::UNAUTHORIZED, refusal.code, "Not signed in", refusal.detail.clone())
            }
            Error::Forbidden(refusal) => {
                Self::new(StatusCode::FORBIDDEN, refusal.code, "Not permitted", refusal.detail.clone())
            }
            Error::RoleForbidden(roles) => Self::role_forbidden(roles),
            Error::Conflict(conflict) => Self {
                members: conflict.members.clone(),
                ..Self::new(
                    StatusCode::CONFLICT,
                    conflict.code,
                    "Conflict with the current state",
                    conflict.detail.clone(),
                )
            },
            Error::Gone(gone) => Self {
                members: gone.members.clone(),
                ..Self::new(StatusCode::GONE, gone.code, "No longer kept", gone.detail.clone())
            },
            Error::Stale => Self::new(
                StatusCode::PRECONDITION_FAILED,
                ProblemCode::Stale,
                "Changed meanwhile",
                "The object was changed after you read it. Read it again and repeat your change.",
            ),
            Error::PreconditionRequired => Self::new(
                StatusCode::PRECONDITION_REQUIRED,
                ProblemCode::PreconditionRequired,
                "If-Match is missing",
                "Send the ETag of the version that you read as If-Match.",
            ),
            Error::KeyReused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                ProblemCode::IdempotencyKeyReused,
                "Idempotency-Key reused",
                "This Idempotency-Key was sent with another request. Use a new key for each new request.",
            ),
            Error::Unavailable { retry_after, .. } | Error::Busy { retry_after } => Self {
                retry_after: Some(*retry_after),
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    ProblemCode::Unavailable,
                    "Not available now",
                    "The service is not available at the moment. Retry after the number of seconds in Retry-After.",
                )
            },
            Error::TooMany { code, retry_after, detail } => Self {
                retry_after: Some(*retry_after),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, *code, "Too many requests", detail.clone())
            },
            Error::StorageFull => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                ProblemCode::StorageFull,
                "The disk is full",
                "The disk of the service is full. Nothing was changed.",
            ),
            Error::Damaged => Self {
                retry_after: Some(60),
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    ProblemCode::DatabaseDamaged,
                    "The database is damaged",
                    "The database file is damaged. The operator must restore a backup. Until then all requests that need it are rejected.",
                )
            },
            Error::Retry | Error::Internal(_) => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                ProblemCode::Internal,
                "Internal error",
                "The service failed. Report the request_id to the operator.",
            ),
        }
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        ProblemBuilder::from(self).status
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Internal(what) => tracing::error!(fault = %what, "fault"),
            Self::Retry => tracing::error!("a transaction asked to run again outside of Db::write"),
            Self::Unavailable { detail, .. } => tracing::warn!(%detail, "unavailable"),
            Self::StorageFull => tracing::error!("the disk is full"),
            _ => {}
        }
        ProblemBuilder::from(self).into_response()
    }
}

/// Problems that handlers do not raise through [`Error`].
impl ProblemBuilder {
    /// 400: the request cannot be parsed.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ProblemCode::MalformedRequest, "The request cannot be read", detail)
    }

    /// 403 for a role that may not do this.
    fn role_forbidden(roles: &[Role]) -> Self {
        let names: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
        let names = match names.as_slice() {
            [] => "none".to_owned(),
            [only] => (*only).to_owned(),
            [others @ .., last] => format!("{} and {last}", others.join(", ")),
        };
        let detail = format!("Your role may not do this. Allowed roles: {names}.");
        let mut problem = Self::new(StatusCode::FORBIDDEN, ProblemCode::RoleForbidden, "Not permitted", detail);
        problem.members.insert("allowed_roles".into(), json!(roles));
        problem
    }

    /// 413.
    pub fn too_large(limit: usize) -> Self {
        let mut problem = Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            ProblemCode::BodyTooLarge,
            "The body is too large",
            format!("A body must be at most {limit} bytes."),
        );
        problem.members.insert("limit".into(), json!(limit));
        problem
    }

    /// 415: the body is in another charset than UTF-8.
    pub fn charset() -> Self {
        Self { detail: "Send the body in UTF-8, which needs no charset parameter.".to_owned(), ..Self::media_type("") }
    }

    /// 415.
    pub fn media_type(expected: &str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ProblemCode::UnsupportedMediaType,
            "Unsupported media type",
            format!("Send the body as {expected}."),
        )
    }

    /// 404 for a path without a route.
    pub fn no_route() -> Self {
        Self::from(&Error::NotFound)
    }

    /// 405.
    pub fn method(allowed: &str) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            ProblemCode::MethodNotAllowed,
            "Method not allowed",
            format!("This path allows {allowed}."),
        )
    }

    /// 403: the preflight of an origin that is not allowed.
    pub fn origin() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            ProblemCode::OriginNotAllowed,
            "Origin not allowed",
            "The server does not accept web clients of this origin. The operator can allow an origin with the setting \
             CORS_ORIGINS, for example CORS_ORIGINS=https://app.clinic.example.",
        )
    }

    /// 406.
    pub fn not_acceptable(offered: &[String]) -> Self {
        Self::new(
            StatusCode::NOT_ACCEPTABLE,
            ProblemCode::NotAcceptable,
            "No media type that you accept",
            format!("The operation responds with {}. Accept it, or send no Accept.", offered.join(", ")),
        )
    }

    /// 408.
    pub fn timed_out() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            ProblemCode::RequestTimeout,
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
                ProblemCode::RateLimited,
                "Too many requests",
                "Rate limit exceeded. Retry after the number of seconds in Retry-After.",
            )
        }
    }

    /// 503 of the readiness check, with the reason.
    pub fn not_ready(reason: impl Into<String>) -> Self {
        Self {
            retry_after: Some(5),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, ProblemCode::Unavailable, "Not available now", reason)
        }
    }

    /// 500 for other failures of the framework.
    pub fn framework(status: StatusCode) -> Self {
        match status {
            StatusCode::REQUEST_TIMEOUT => Self::timed_out(),
            StatusCode::NOT_FOUND => Self::no_route(),
            status if status.is_client_error() => Self { status, ..Self::malformed("The request cannot be parsed.") },
            _ => Self::from(&Error::fault("framework")),
        }
    }
}

/// A problem as an error, for problems that [`Error`] does not have.
#[derive(Debug)]
pub struct Rejected(pub ProblemBuilder);

impl std::fmt::Display for Rejected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.code.as_str())
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
