//! What the rules need to know besides the answers.

use jiff::civil::Date;

use super::answers::MimicReview;

/// Who writes or submits the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilledBy {
    /// The patient.
    Patient,
    /// A guardian of the patient.
    Guardian,
    /// The desk or another member of staff who is no clinician.
    Staff,
    /// A practitioner.
    Practitioner,
}

impl FilledBy {
    /// Whether it is the clinic's staff, who may submit with required questions unanswered.
    pub fn is_staff(self) -> bool {
        matches!(self, Self::Staff | Self::Practitioner)
    }
}

/// What the rules need to know besides the answers. All of it is given; nothing is read from a clock.
#[derive(Debug, Clone)]
pub struct Context {
    /// The patient's birth.
    pub date_of_birth: Date,
    /// The day of the answers where the patient lives: no date in them lies after it, and ages are counted to it.
    pub authored_on: Date,
    /// Who writes or submits.
    pub filled_by: FilledBy,
    /// A setting: the question about self-harm is asked by clinicians only.
    pub self_harm_in_clinician_part: bool,
    /// Whether the clinic has loaded a licensed text of the IRLS: patients may then answer its items.
    pub irls_licensed: bool,
    /// A setting: within so many weeks of starting iron a ferritin should be there.
    pub monitoring_weeks: u8,
    /// What the clinician found about mimics.
    pub mimic_review: MimicReview,
    /// A setting: under so many years of age a guardian or staff fills the form in, and what is private is kept from guardians.
    pub adult_age: i16,
    /// The record says that the patient's sex is male: a pregnancy is then a mismatch to look at, never refused.
    pub recorded_male: bool,
}

/// The years of age from which the bands and criteria for adults hold.
pub const ADULT_AGE: i16 = 18;

impl Context {
    /// A context with the default settings, before any review.
    pub fn new(date_of_birth: Date, authored_on: Date, filled_by: FilledBy) -> Self {
        Self {
            date_of_birth,
            authored_on,
            filled_by,
            self_harm_in_clinician_part: false,
            irls_licensed: false,
            monitoring_weeks: 12,
            adult_age: ADULT_AGE,
            mimic_review: MimicReview::NotReviewed,
            recorded_male: false,
        }
    }

    /// Completed years of age on the day of the answers. Born on 29 February, one becomes older on 1 March in common years.
    pub fn age(&self) -> i16 {
        let (birth, day) = (self.date_of_birth, self.authored_on);
        let had_birthday = (day.month(), day.day()) >= (birth.month(), birth.day());
        day.year() - birth.year() - i16::from(!had_birthday)
    }

    /// Whether the patient was under age on the day of the answers: others decide for them.
    pub fn is_minor(&self) -> bool {
        self.age() < self.adult_age
    }

    /// Whether the patient was under 18 on the day of the answers: too young for the bands and criteria for adults, wherever
    /// the law sets the full age.
    pub fn is_under_18(&self) -> bool {
        self.age() < ADULT_AGE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn one_is_an_adult_from_the_eighteenth_birthday() {
        let on = |day| Context::new(date(2008, 3, 2), day, FilledBy::Patient);
        assert!(on(date(2026, 3, 1)).is_minor());
        assert!(!on(date(2026, 3, 2)).is_minor());
        assert!(Context::new(date(2008, 2, 29), date(2026, 2, 28), FilledBy::Patient).is_minor());
        assert!(!Context::new(date(2008, 2, 29), date(2026, 3, 1), FilledBy::Patient).is_minor());
    }
}
