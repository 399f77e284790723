//! The error type of all layers. It knows nothing of HTTP; `http/problem.rs` turns it into a response.

mod codes;

use std::fmt;

pub use self::codes::ProblemCode;
use crate::role::Role;
pub use text::{FieldCode, Rule};

/// A result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input breaks rules. Each error has its place in the input.
    #[error("the input is not valid: {}", .0.iter().map(|e| format!("{} {}", e.pointer, e.code)).collect::<Vec<_>>().join(", "))]
    Invalid(Vec<FieldError>),

    /// It does not exist, or the caller may not see it.
    #[error("not found")]
    NotFound,

    /// The caller is not signed in, or the credential is invalid.
    #[error("not signed in: {0}")]
    Unauthenticated(Refusal),

    /// The caller may not do this.
    #[error("forbidden: {0}")]
    Forbidden(Refusal),

    /// The caller's role may not do this. These roles may.
    #[error("forbidden for this role")]
    RoleForbidden(Vec<Role>),

    /// The request conflicts with the current state.
    #[error("conflict: {}", .0.code)]
    Conflict(Box<Conflict>),

    /// It existed, and is not kept any more. `detail` says how to go on.
    #[error("gone: {}", .0.code)]
    Gone(Box<Conflict>),

    /// The object was changed after the caller read it.
    #[error("the object was changed in between")]
    Stale,

    /// The change needs the version of the object that the caller read.
    #[error("the version is missing")]
    PreconditionRequired,

    /// The same Idempotency-Key was sent with another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,

    /// The service is not available now. The caller may retry.
    #[error("not available now: {detail}")]
    Unavailable {
        /// Seconds after which to retry.
        retry_after: u32,
        /// The reason, for the log.
        detail: String,
    },

    /// A limit is exceeded. The caller may retry later.
    #[error("too many: {code}")]
    TooMany {
        /// The kind of limit.
        code: ProblemCode,
        /// Seconds after which to retry.
        retry_after: u32,
        /// For a person.
        detail: String,
    },

    /// Too many requests wait already. Metrics count these, and the log has no line for each, because callers can cause any number.
    #[error("too many requests wait")]
    Busy {
        /// Seconds after which to retry.
        retry_after: u32,
    },

    /// The disk is full.
    #[error("no space is left to store it")]
    StorageFull,

    /// The database is damaged. Nothing is read or written until a backup is restored.
    #[error("the database file is damaged; restore a backup")]
    Damaged,

    /// The whole transaction must run again, after a serialisation failure or a deadlock. `Db::write` does that.
    #[error("the transaction must run again")]
    Retry,

    /// A fault of the service. The text is for the log and has no patient data.
    #[error("{0}")]
    Internal(String),
}

/// A stable code with a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: ProblemCode,
    /// For a person.
    pub detail: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.as_str())
    }
}

/// What the request conflicts with.
#[derive(Debug, Clone)]
pub struct Conflict {
    pub code: ProblemCode,
    /// For a person.
    pub detail: String,
    /// Further members of the problem document, such as the next free slots.
    pub members: serde_json::Map<String, serde_json::Value>,
}

/// A rule that the input breaks.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// The place: a JSON pointer (RFC 6901) into the body, `?name` for a query parameter, or `name:` for a header.
    #[schema(examples("/patient/date_of_birth"))]
    pub pointer: String,
    /// The kind of rule, for programs. Stable; new kinds may be added.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String, examples("out_of_range"))]
    pub code: FieldCode,
    /// For a person.
    #[schema(examples("must be between 1900-01-01 and today"))]
    pub detail: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn as_text<S: serde::Serializer>(code: &FieldCode, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(code.as_str())
}

impl FieldError {
    /// `detail` must not repeat the value.
    pub fn new(pointer: impl Into<String>, code: FieldCode, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code, detail: detail.into() }
    }
}

impl Error {
    /// One broken rule.
    pub fn invalid(pointer: impl Into<String>, code: FieldCode, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(pointer, code, detail)])
    }

    /// A conflict without further members.
    pub fn conflict(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self::conflict_with(code, detail, serde_json::Map::new())
    }

    /// A conflict whose problem document has further members.
    pub fn conflict_with(
        code: ProblemCode,
        detail: impl Into<String>,
        members: serde_json::Map<String, serde_json::Value>,
    ) -> Self {
        Self::Conflict(Box::new(Conflict { code, detail: detail.into(), members }))
    }

    /// The caller may not do this.
    pub fn forbidden(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self::Forbidden(Refusal { code, detail: detail.into() })
    }

    /// The caller is not signed in, or the credential is invalid.
    pub fn unauthenticated(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self::Unauthenticated(Refusal { code, detail: detail.into() })
    }

    /// Not available now; retry after some seconds.
    pub fn unavailable(retry_after: u32, detail: impl Into<String>) -> Self {
        Self::Unavailable { retry_after, detail: detail.into() }
    }

    /// Whether work on any other row would fail in the same way, for example because the database is unavailable.
    pub const fn concerns_all(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Busy { .. } | Self::StorageFull | Self::Damaged)
    }

    /// A fault of the service.
    pub fn fault(what: impl Into<String>) -> Self {
        Self::Internal(what.into())
    }

    /// A fault of the service with its cause.
    pub fn internal(what: &str, cause: impl fmt::Display) -> Self {
        Self::Internal(format!("{what}: {cause}"))
    }
}

/// Collects all broken rules of an input, so that one response reports all of them.
#[derive(Debug, Default)]
pub struct Check(Vec<FieldError>);

impl Check {
    /// An empty check.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a broken rule unless `holds`.
    pub fn require(&mut self, holds: bool, pointer: impl Into<String>, code: FieldCode, detail: impl Into<String>) {
        if !holds {
            self.0.push(FieldError::new(pointer, code, detail));
        }
    }

    /// Adds a broken rule.
    pub fn add(&mut self, error: FieldError) {
        self.0.push(error);
    }

    /// Returns the value of a parsed field, or adds its error.
    pub fn field<T>(&mut self, pointer: &str, parsed: Result<T, Rule>) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(rule) => {
                self.0.push(FieldError::new(pointer, rule.code, rule.detail));
                None
            }
        }
    }

    /// Returns whether no rule is broken.
    pub fn is_ok(&self) -> bool {
        self.0.is_empty()
    }

    /// Ends the check.
    ///
    /// # Errors
    /// [`Error::Invalid`] with all broken rules.
    pub fn done(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Invalid(self.0)) }
    }
}
