//! A member of a merge patch (RFC 7396).

use crate::error::{FieldCode, Rule};

/// A member of a merge patch: absent, `null` or a value. Use with `#[serde(default)]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Change<T> {
    /// The member is absent: keeps the value.
    #[default]
    Keep,
    /// `null`: removes the value.
    Clear,
    /// The new value.
    Set(T),
}

impl<'de, T: serde::Deserialize<'de>> serde::Deserialize<'de> for Change<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

impl<T> Change<T> {
    /// Applies the change to an optional value.
    pub fn apply(self, to: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *to = None,
            Self::Set(value) => *to = Some(value),
        }
    }

    /// Applies the change to a required value.
    ///
    /// # Errors
    /// If it would be removed.
    pub fn apply_required(self, to: &mut T) -> Result<(), Rule> {
        match self {
            Self::Keep => {}
            Self::Clear => return Err(Rule::new(FieldCode::Required, "must not be removed")),
            Self::Set(value) => *to = value,
        }
        Ok(())
    }
}
