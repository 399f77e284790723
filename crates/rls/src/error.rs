//! The error of input that breaks rules.

use std::fmt;

/// One rule that the input breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The JSON pointer (RFC 6901) of the value, starting with the prefix that the caller gave.
    pub pointer: String,
    /// The kind of rule.
    pub code: text::FieldCode,
    /// A sentence for people. It does not repeat the value, which is patient data.
    pub detail: String,
}

impl FieldError {
    /// `detail` must not repeat the value.
    pub fn new(pointer: impl Into<String>, code: text::FieldCode, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code, detail: detail.into() }
    }
}

/// Input that breaks at least one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub Vec<FieldError>);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the input is not valid:")?;
        self.0.iter().try_for_each(|error| write!(f, " {} {};", error.pointer, error.code))
    }
}

impl std::error::Error for Invalid {}

impl Invalid {
    /// Fails with the errors, if there are any.
    ///
    /// # Errors
    /// [`Invalid`] with all of them.
    pub fn unless_empty(errors: Vec<FieldError>) -> Result<(), Self> {
        if errors.is_empty() { Ok(()) } else { Err(Self(errors)) }
    }
}
