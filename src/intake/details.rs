//! An intake with everything that operations on it need, and the steps with which every change of an intake begins.

use super::model::IntakeStage;
use super::reading_context::ReadingContext;
use super::store::{self, Intake};
use crate::context::Tx;
use crate::error::Result;
use crate::http::IfMatch;
use crate::ids::IntakeId;
use crate::patients::model::Patient;

/// An intake, its patient, and the circumstances in which the actor fills it in or reads it.
pub struct IntakeDetails {
    pub intake: Intake,
    pub patient: Patient,
    /// The circumstances.
    pub reading: ReadingContext,
}

impl IntakeDetails {
    /// Loads an intake.
    ///
    /// # Errors
    /// Those of [`store::find`].
    pub fn load(tx: &mut Tx, id: IntakeId) -> Result<Self> {
        let (intake, patient) = store::find(tx, id)?;
        let reading = ReadingContext::of(tx, &patient, &intake)?;
        Ok(Self { intake, patient, reading })
    }

    /// Locks an intake for a change.
    ///
    /// # Errors
    /// Those of [`lock_for_change`].
    pub fn lock(tx: &mut Tx, id: IntakeId, stage: IntakeStage, if_match: &IfMatch) -> Result<Self> {
        let (intake, patient) = lock_for_change(tx, id, stage, if_match)?;
        let reading = ReadingContext::of(tx, &patient, &intake)?;
        Ok(Self { intake, patient, reading })
    }
}

/// Locks an intake and checks that it is in the stage that the change requires, and in the version that the caller knows.
///
/// # Errors
/// Those of [`store::find`]; the conflict `status_conflict`; [`Error::Stale`](crate::error::Error::Stale).
pub fn lock_for_change(tx: &mut Tx, id: IntakeId, stage: IntakeStage, if_match: &IfMatch) -> Result<(Intake, Patient)> {
    let (intake, patient) = store::lock(tx, id)?;
    stage.check(intake.status)?;
    if_match.check(intake.version)?;
    Ok((intake, patient))
}
