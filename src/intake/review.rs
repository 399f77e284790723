//! A practitioner's review of an intake, as it is kept. What it may say, the form decides: [`rls::Review`].

use serde_json::Value;

use super::rls;
use super::store::{Intake, place};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::sealed::Sealed;

/// The review of an intake's present answers.
///
/// # Errors
/// A fault, if it does not open.
pub fn of(env: &Env, intake: &Intake) -> Result<Option<rls::Review>> {
    intake.open_review(env)?.map(read).transpose()
}

/// A review as it was kept.
///
/// # Errors
/// A fault, if it is none.
pub fn read(value: Value) -> Result<rls::Review> {
    serde_json::from_value(value).map_err(|_| Error::fault("a kept review that the form cannot read"))
}

/// As it is kept.
///
/// # Errors
/// Only if it cannot be serialised, which is a fault.
pub fn seal(env: &Env, intake: &Intake, review: &rls::Review) -> Result<Sealed<Value>> {
    let value = serde_json::to_value(review).map_err(|error| Error::internal("write a review", error))?;
    env.sealer.seal(place("review", intake.id), &value)
}
