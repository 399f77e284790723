//! Types of an intake, and the rule which intake counts for a visit.

use jiff::SignedDuration;
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::db::types::text_enum;
use crate::error::{Error, ProblemCode, Result};
use crate::ids::IntakeId;

/// Answers as they are stored. [`rls::Answers`] gives them types.
pub type Answers = Map<String, Value>;

text_enum! {
    /// The status of an intake (FHIR `questionnaire-answers-status`).
    IntakeStatus {
        /// A draft. It can be changed, submitted and discarded.
        InProgress = "in-progress",
        /// Submitted.
        Completed = "completed",
        /// Submitted and corrected afterwards. The replaced versions are kept.
        Amended = "amended",
        /// Entered in error, such as in the record of another patient. Its answers no longer count.
        EnteredInError = "entered-in-error",
    }
}

impl IntakeStatus {
    /// Whether it was submitted and not entered in error.
    pub fn is_submitted(self) -> bool {
        matches!(self, Self::Completed | Self::Amended)
    }
}

text_enum! {
    /// How soon staff must act on a flag.
    FlagUrgency {
        /// Now. The patient is told to call the emergency number.
        Emergency = "emergency",
        /// Today.
        SameDay = "same_day",
        /// Before the visit.
        Prompt = "prompt",
        /// At the visit.
        Routine = "routine",
    }
}

impl FlagUrgency {
    /// Whether the clinic gets a mail about it, and the front desk may see it.
    pub fn is_urgent(self) -> bool {
        matches!(self, Self::Emergency | Self::SameDay)
    }
}

impl From<rls::Urgency> for FlagUrgency {
    fn from(urgency: rls::Urgency) -> Self {
        match urgency {
            rls::Urgency::Emergency => Self::Emergency,
            rls::Urgency::SameDay => Self::SameDay,
            rls::Urgency::Prompt => Self::Prompt,
            rls::Urgency::Routine => Self::Routine,
        }
    }
}

impl From<FlagUrgency> for rls::Urgency {
    fn from(urgency: FlagUrgency) -> Self {
        match urgency {
            FlagUrgency::Emergency => Self::Emergency,
            FlagUrgency::SameDay => Self::SameDay,
            FlagUrgency::Prompt => Self::Prompt,
            FlagUrgency::Routine => Self::Routine,
        }
    }
}

text_enum! {
    /// The state of the intake for a visit.
    IntakeStanding {
        /// No intake counts for the visit.
        Missing = "missing",
        /// A draft.
        InProgress = "in-progress",
        /// Submitted.
        Completed = "completed",
        /// Submitted and reviewed by a practitioner.
        Reviewed = "reviewed",
    }
}

text_enum! {
    /// The status of a laboratory result (FHIR `observation-status`).
    LabResultStatus {
        /// As it was entered.
        Final = "final",
        /// Corrected afterwards. The replaced versions are kept.
        Corrected = "corrected",
        /// Entered in error, such as in the record of another patient. It counts nowhere.
        EnteredInError = "entered-in-error",
    }
}

/// What decides whether an intake counts for a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authored {
    pub id: IntakeId,
    pub status: IntakeStatus,
    /// When the answers were given.
    pub at: Timestamp,
    /// Whether it was reviewed.
    pub reviewed: bool,
}

/// Returns the intake that counts for a visit: the newest one whose answers were given before the visit's end, and not longer than
/// `valid` before its start. The end counts, because some patients fill in the form in the waiting room.
pub fn standing(
    intakes: &[Authored],
    (starts_at, ends_at): (Timestamp, Timestamp),
    valid: SignedDuration,
) -> (Option<IntakeId>, IntakeStanding) {
    let counts = |intake: &&Authored| {
        intake.status != IntakeStatus::EnteredInError && intake.at <= ends_at && intake.at >= starts_at.minus(valid)
    };
    match intakes.iter().filter(counts).max_by_key(|intake| (intake.at, intake.id)) {
        None => (None, IntakeStanding::Missing),
        Some(intake) if intake.status == IntakeStatus::InProgress => (Some(intake.id), IntakeStanding::InProgress),
        Some(intake) if intake.reviewed => (Some(intake.id), IntakeStanding::Reviewed),
        Some(intake) => (Some(intake.id), IntakeStanding::Completed),
    }
}

/// The stage of an intake that a change requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntakeStage {
    /// Not submitted.
    Draft,
    /// Submitted and not entered in error.
    Submitted,
}

impl IntakeStage {
    /// Requires that an intake of this status is in the stage.
    ///
    /// # Errors
    /// The conflict `status_conflict`.
    pub fn check(self, status: IntakeStatus) -> Result<()> {
        let (is_in, detail) = match self {
            Self::Draft => (status == IntakeStatus::InProgress, "Only a draft can be saved, submitted or discarded."),
            Self::Submitted => (
                status.is_submitted(),
                "Only a submitted intake can be reviewed, amended or marked as entered in error.",
            ),
        };
        if is_in {
            return Ok(());
        }
        let members = Map::from_iter([("intake_status".to_owned(), Value::from(status.as_str()))]);
        Err(Error::conflict_with(ProblemCode::StatusConflict, detail, members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn intake(number: u128, status: IntakeStatus, on: &str, reviewed: bool) -> Authored {
        Authored { id: IntakeId(uuid::Uuid::from_u128(number)), status, at: at(on), reviewed }
    }

    #[test]
    fn the_newest_intake_of_the_ninety_days_before_a_visit_counts_for_it() {
        let visit = (at("2026-06-01T13:00:00Z"), at("2026-06-01T14:00:00Z"));
        let days = |days: i64| SignedDuration::from_hours(24 * days);
        let old = intake(1, IntakeStatus::Completed, "2026-02-01T00:00:00Z", true);
        let reviewed = intake(2, IntakeStatus::Amended, "2026-04-01T00:00:00Z", true);
        let begun = intake(3, IntakeStatus::InProgress, "2026-05-01T00:00:00Z", false);
        let wrong = intake(4, IntakeStatus::EnteredInError, "2026-05-02T00:00:00Z", false);
        let waiting = intake(5, IntakeStatus::Completed, "2026-06-01T13:10:00Z", false);
        let later = intake(6, IntakeStatus::Completed, "2026-06-02T00:00:00Z", false);
        for (intakes, expected) in [
            (vec![], (None, IntakeStanding::Missing)),
            (vec![old, later, wrong], (None, IntakeStanding::Missing)),
            (vec![old, reviewed, wrong], (Some(reviewed.id), IntakeStanding::Reviewed)),
            (vec![begun, reviewed], (Some(begun.id), IntakeStanding::InProgress)),
            (vec![reviewed, waiting], (Some(waiting.id), IntakeStanding::Completed)),
        ] {
            assert_eq!(standing(&intakes, visit, days(90)), expected, "{intakes:?}");
        }
        assert_eq!(standing(&[old], visit, days(200)).0, Some(old.id));
    }
}
