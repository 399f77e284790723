//! Types of an intake and its pure rules.

use jiff::SignedDuration;
use serde_json::{Map, Value};

use super::rls;
use crate::clock::Timestamp;
use crate::db::types::text_enum;
use crate::error::{Error, Result};
use crate::ids::IntakeId;

/// What was answered, as JSON; the form's own type gives it meaning.
pub type Answers = Map<String, Value>;

text_enum! {
    /// Where an intake stands (FHIR `questionnaire-answers-status`).
    IntakeStatus {
        /// A draft: it may be changed, submitted and discarded.
        InProgress = "in-progress",
        /// Submitted.
        Completed = "completed",
        /// Submitted, and corrected since; what was replaced is kept.
        Amended = "amended",
        /// It should never have been: of another patient, say. Its answers count for nothing.
        EnteredInError = "entered-in-error",
    }
}

impl IntakeStatus {
    /// Whether it was submitted and counts.
    pub fn is_submitted(self) -> bool {
        matches!(self, Self::Completed | Self::Amended)
    }
}

text_enum! {
    /// How soon a flag must be looked at.
    FlagUrgency {
        /// Now: the patient is told to call the emergency number.
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
    /// Whether the staff are mailed about it, and the desk may know of it.
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
    /// What has become of the intake for a visit.
    IntakeStanding {
        /// There is none that counts for the visit.
        Missing = "missing",
        /// Begun, not submitted.
        InProgress = "in-progress",
        /// Submitted.
        Completed = "completed",
        /// Submitted and reviewed by a practitioner.
        Reviewed = "reviewed",
    }
}

/// What tells how an intake stands to a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authored {
    /// The intake.
    pub id: IntakeId,
    /// Where it stands.
    pub status: IntakeStatus,
    /// When its answers were given.
    pub at: Timestamp,
    /// Whether it was reviewed.
    pub reviewed: bool,
}

/// The intake that counts for a visit: the newest that was authored before its end, and not longer than `valid` before
/// its start. Until its end, because some fill the form in while they wait.
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

/// Sees to it that an intake is a draft.
///
/// # Errors
/// The conflict `status_conflict`.
pub fn require_draft(status: IntakeStatus) -> Result<()> {
    match status {
        IntakeStatus::InProgress => Ok(()),
        other => Err(status_conflict(other, "Only a draft can be changed in this way.")),
    }
}

/// Sees to it that an intake was submitted and counts.
///
/// # Errors
/// The conflict `status_conflict`.
pub fn require_submitted(status: IntakeStatus) -> Result<()> {
    if status.is_submitted() {
        Ok(())
    } else {
        Err(status_conflict(status, "Only a submitted intake can be treated in this way."))
    }
}

fn status_conflict(status: IntakeStatus, detail: &str) -> Error {
    let members = Map::from_iter([("intake_status".to_owned(), Value::from(status.as_str()))]);
    Error::conflict_with("status_conflict", detail, members)
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
