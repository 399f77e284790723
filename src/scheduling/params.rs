//! What the endpoints of this department share of their input.

use crate::actor::{Action, Actor};
use crate::error::{Check, FieldError, Result, Rule};
use crate::http::input::Change;
use crate::http::{Cursor, Limit};

/// The part of a list that is asked for.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    /// The `next_cursor` of the page before.
    #[param(max_length = 200)]
    cursor: Option<String>,
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
}

impl PageParams {
    /// Checks it for the list of this name.
    ///
    /// # Errors
    /// `Invalid` for a limit out of range or another list's cursor.
    pub fn read(&self, list: &str) -> Result<(Limit, Option<Cursor>)> {
        Ok((Limit::new(self.limit)?, Cursor::read(self.cursor.as_deref(), list)?))
    }
}

/// The part of a list that is asked for, and of which kind.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ActivePageParams {
    /// `false` for those that are out of use; for administrators.
    #[param(default = true)]
    active: Option<bool>,
    /// The `next_cursor` of the page before.
    #[param(max_length = 200)]
    cursor: Option<String>,
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
}

impl ActivePageParams {
    /// Checks it for the list of this name: whether the active ones are meant, and the page.
    ///
    /// # Errors
    /// `Unauthenticated` or `Forbidden` where others than an administrator ask for what is out of use; `Invalid`.
    pub fn read(&self, list: &str, actor: Result<Actor>) -> Result<(bool, Limit, Option<Cursor>)> {
        let active = self.active.unwrap_or(true);
        if !active {
            actor?.require(Action::ClinicSetUp)?;
        }
        Ok((active, Limit::new(self.limit)?, Cursor::read(self.cursor.as_deref(), list)?))
    }
}

/// Reads a member of a merge patch that cannot be taken away; `None` where it stays as it is, or where it broke a rule,
/// which `check` then knows.
pub fn changed<T, U>(
    check: &mut Check,
    pointer: &str,
    change: Change<T>,
    read: impl FnOnce(T) -> Result<U, Rule>,
) -> Option<U> {
    match change {
        Change::Keep => None,
        Change::Clear => {
            check.add(FieldError::new(pointer, "required", "cannot be taken away"));
            None
        }
        Change::Set(value) => check.field(pointer, read(value)),
    }
}
