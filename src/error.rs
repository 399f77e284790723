//! The one error of the house. It knows nothing of HTTP; `http/problem.rs` turns it into an answer.

use std::fmt;

use crate::actor::Role;

/// A result with the house's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input breaks rules; each with the place it stands at.
    #[error("the input is not valid: {}", .0.iter().map(|e| format!("{} {}", e.pointer, e.code)).collect::<Vec<_>>().join(", "))]
    Invalid(Vec<FieldError>),

    /// It does not exist, or the caller may not know that it does.
    #[error("not found")]
    NotFound,

    /// Nobody is signed in, or what they showed is not good.
    #[error("not signed in: {0}")]
    Unauthenticated(Refusal),

    /// The caller may not do this at all, whatever it is done to.
    #[error("forbidden: {0}")]
    Forbidden(Refusal),

    /// The caller's role may not do this at all; these roles may.
    #[error("forbidden for this role")]
    RoleForbidden(Vec<Role>),

    /// The request is right in itself but does not fit what is there.
    #[error("conflict: {}", .0.code)]
    Conflict(Box<Conflict>),

    /// The object was changed since the caller read it.
    #[error("the object was changed in between")]
    Stale,

    /// The same Idempotency-Key came with another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,

    /// The service cannot do it now; the caller may try again after so many seconds.
    #[error("not available now: {detail}")]
    Unavailable {
        /// Seconds after which a new try makes sense.
        retry_after: u32,
        /// What is missing, for the log.
        detail: String,
    },

    /// Too often; the caller may try again after so many seconds.
    #[error("too many: {code}")]
    TooMany {
        /// Stable, in snake case.
        code: &'static str,
        /// Seconds after which a new try is heard.
        retry_after: u32,
        /// For a person.
        detail: String,
    },

    /// There is no room left to store anything.
    #[error("no space is left to store it")]
    StorageFull,

    /// The database is damaged. Nothing is read from it or written to it until a backup is restored.
    #[error("the database file is damaged; restore a backup")]
    Damaged,

    /// The database asks for the whole transaction again (serialisation failure, deadlock). `Db::write` handles it.
    #[error("the transaction must run again")]
    Retry,

    /// A fault of ours. The text is for the log, and holds no patient's data.
    #[error("{0}")]
    Internal(String),
}

/// A stable code with a sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Stable, in snake case.
    pub code: &'static str,
    /// For a person.
    pub detail: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

/// What stands in the way.
#[derive(Debug, Clone)]
pub struct Conflict {
    /// Stable, in snake case.
    pub code: &'static str,
    /// For a person.
    pub detail: String,
    /// More members of the problem document, such as the next free slots.
    pub members: serde_json::Map<String, serde_json::Value>,
}

/// One rule that the input breaks.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Where: a JSON pointer (RFC 6901) into the body, or `?name` for a query parameter, or `name:` for a header.
    #[schema(examples("/patient/date_of_birth"))]
    pub pointer: String,
    /// Stable, in snake case.
    #[schema(examples("out_of_range"))]
    pub code: String,
    /// For a person.
    #[schema(examples("must be between 1900-01-01 and today"))]
    pub detail: String,
}

impl FieldError {
    /// `detail` is for a person and does not repeat the value.
    pub fn new(pointer: impl Into<String>, code: &str, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code: code.to_owned(), detail: detail.into() }
    }
}

impl Error {
    /// One broken rule.
    pub fn invalid(pointer: impl Into<String>, code: &str, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(pointer, code, detail)])
    }

    /// A conflict without further members.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::conflict_with(code, detail, serde_json::Map::new())
    }

    /// A conflict whose problem document has further members.
    pub fn conflict_with(
        code: &'static str,
        detail: impl Into<String>,
        members: serde_json::Map<String, serde_json::Value>,
    ) -> Self {
        Self::Conflict(Box::new(Conflict { code, detail: detail.into(), members }))
    }

    /// A refusal of what the caller may not do at all.
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Forbidden(Refusal { code, detail: detail.into() })
    }

    /// A refusal for want of a good credential.
    pub fn unauthenticated(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Unauthenticated(Refusal { code, detail: detail.into() })
    }

    /// Not now; again after some seconds.
    pub fn unavailable(retry_after: u32, detail: impl Into<String>) -> Self {
        Self::Unavailable { retry_after, detail: detail.into() }
    }

    /// A fault in words.
    pub fn fault(what: impl Into<String>) -> Self {
        Self::Internal(what.into())
    }

    /// A fault with its cause.
    pub fn internal(what: &str, cause: impl fmt::Display) -> Self {
        Self::Internal(format!("{what}: {cause}"))
    }
}

/// Collects every broken rule of an input, so that a person is told all of them at once.
#[derive(Debug, Default)]
pub struct Check(Vec<FieldError>);

impl Check {
    /// Nothing is broken yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a broken rule unless `holds`.
    pub fn require(&mut self, holds: bool, pointer: impl Into<String>, code: &str, detail: impl Into<String>) {
        if !holds {
            self.0.push(FieldError::new(pointer, code, detail));
        }
    }

    /// Notes a broken rule.
    pub fn add(&mut self, error: FieldError) {
        self.0.push(error);
    }

    /// Takes the value of a parsed field, or notes why it is none.
    pub fn field<T>(&mut self, pointer: &str, parsed: Result<T, Rule>) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(rule) => {
                self.0.push(FieldError::new(pointer, rule.code, rule.detail));
                None
            }
        }
    }

    /// Whether nothing has been noted.
    pub fn is_ok(&self) -> bool {
        self.0.is_empty()
    }

    /// Ends the check.
    ///
    /// # Errors
    /// [`Error::Invalid`] with all that was noted.
    pub fn done(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Invalid(self.0)) }
    }
}

/// Why a value is not what its type asks for; where it stood is known to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Stable, in snake case.
    pub code: &'static str,
    /// For a person.
    pub detail: String,
}

impl Rule {
    /// `detail` is for a person and does not repeat the value.
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}
