//! A review as it is stored with the answers that it is about.

use serde_json::Value;

use super::store::{Intake, place};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::IntakeId;
use crate::sealed::Sealed;

/// Decrypts the review of an intake's current answers.
pub(super) fn open(env: &Env, intake: &Intake) -> Result<Option<rls::Review>> {
    intake.open_review(env)?.map(parse_stored).transpose()
}

/// Parses a stored review.
pub(super) fn parse_stored(value: Value) -> Result<rls::Review> {
    serde_json::from_value(value).map_err(|_| Error::fault("the form cannot read a stored review"))
}

/// Encrypts a review.
pub(super) fn seal(env: &Env, id: IntakeId, review: &rls::Review) -> Result<Sealed<Value>> {
    let value = serde_json::to_value(review).map_err(|error| Error::internal("write a review", error))?;
    env.sealer.seal(place("review", id), &value)
}
