//! The facts beside the answers that the rules depend on.

use jiff::civil::Date;

use super::answers::{Lab, MimicReview};
use super::due::IronIntervals;
use super::forms::FormName;
use super::review::Review;

/// Who fills in or submits the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilledBy {
    /// The patient.
    Patient,
    /// A guardian of the patient.
    Guardian,
    /// Staff other than practitioners, such as the front desk.
    Staff,
    /// A practitioner.
    Practitioner,
}

impl FilledBy {
    /// Returns whether it is staff, who may submit without answers to required questions.
    pub fn is_staff(self) -> bool {
        matches!(self, Self::Staff | Self::Practitioner)
    }
}

/// The facts beside the answers that the rules depend on. The caller supplies all of them, including the day.
#[derive(Debug, Clone)]
pub struct Context {
    /// The date of birth of the patient.
    pub date_of_birth: Date,
    /// The day of the answers in the local time of the clinic. Dates in the answers must not be later. Ages count up to
    /// it.
    pub authored_on: Date,
    /// The day of the computation, not before `authored_on`. Entered results count up to it, results age up to it, and
    /// deadlines come due by it.
    pub today: Date,
    /// Laboratory results that the clinic entered beside the answers. They form one series with those of the answers.
    pub entered_labs: Vec<Lab>,
    /// The form that the answers are given to.
    pub form: FormName,
    /// The 0 to 10 severity of the patient's answers before these, in any form. Only the follow-up compares with it.
    pub earlier_severity: Option<i64>,
    /// Who fills in or submits the form.
    pub filled_by: FilledBy,
    /// Setting: whether only clinicians ask about self-harm.
    pub self_harm_in_clinician_part: bool,
    /// Whether the clinic has loaded a licensed text of the IRLS. Without it, only clinicians answer the items.
    pub irls_licensed: bool,
    /// Settings: when a ferritin result is expected under iron treatment.
    pub iron_intervals: IronIntervals,
    /// The day on which the review of the answers wanted to look again.
    pub recheck_on: Option<Date>,
    /// The clinician's finding about conditions that mimic restless legs.
    pub mimic_review: MimicReview,
    /// Setting: the age in years below which a guardian or staff fill in the form, and private answers are hidden from
    /// guardians.
    pub adult_age: i16,
    /// Whether the record states male sex. A pregnancy then raises a warning; it is never rejected.
    pub recorded_male: bool,
}

/// The age in years from which bands and criteria for adults apply.
pub const ADULT_AGE: i16 = 18;

/// Returns the completed years of age on a day. A birthday on 29 February falls on 1 March in common years.
pub fn age(birth: Date, day: Date) -> i16 {
    let had_birthday = (day.month(), day.day()) >= (birth.month(), birth.day());
    day.year() - birth.year() - i16::from(!had_birthday)
}

impl Context {
    /// Builds a context with the default settings, before any review, as of the day of the answers.
    pub fn new(date_of_birth: Date, authored_on: Date, filled_by: FilledBy) -> Self {
        Self {
            date_of_birth,
            authored_on,
            today: authored_on,
            entered_labs: Vec::new(),
            form: FormName::History,
            earlier_severity: None,
            filled_by,
            self_harm_in_clinician_part: false,
            irls_licensed: false,
            iron_intervals: IronIntervals::default(),
            recheck_on: None,
            adult_age: ADULT_AGE,
            mimic_review: MimicReview::NotReviewed,
            recorded_male: false,
        }
    }

    /// Adds what a review of the answers says.
    #[must_use]
    pub fn reviewed(self, review: &Review) -> Self {
        Self { mimic_review: review.mimic_review.unwrap_or(self.mimic_review), recheck_on: review.recheck_on, ..self }
    }

    /// Returns the completed years of age on the day of the answers.
    pub fn age(&self) -> i16 {
        age(self.date_of_birth, self.authored_on)
    }

    /// Returns whether the patient was younger than [`Context::adult_age`] on the day of the answers.
    pub fn is_minor(&self) -> bool {
        self.age() < self.adult_age
    }

    /// Returns whether the patient was under 18 on the day of the answers, too young for bands and criteria for adults.
    /// It does not depend on the setting for the legal age.
    pub fn is_under_18(&self) -> bool {
        self.age() < ADULT_AGE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn an_age_grows_on_the_birthday() {
        let born = date(1967, 9, 14);
        assert_eq!(
            (age(born, date(2026, 9, 13)), age(born, date(2026, 9, 14)), age(born, date(1967, 9, 14))),
            (58, 59, 0)
        );
    }

    #[test]
    fn a_patient_is_an_adult_from_the_eighteenth_birthday() {
        let on = |day| Context::new(date(2008, 3, 2), day, FilledBy::Patient);
        assert!(on(date(2026, 3, 1)).is_minor());
        assert!(!on(date(2026, 3, 2)).is_minor());
        assert!(Context::new(date(2008, 2, 29), date(2026, 2, 28), FilledBy::Patient).is_minor());
        assert!(!Context::new(date(2008, 2, 29), date(2026, 3, 1), FilledBy::Patient).is_minor());
    }
}
