//! The clinician's review: criterion 5, the CEAP class of the legs, confirmed contributors and the plan.

use jiff::civil::Date;
use serde_json::Value;

use super::answers::{CeapClass, CeapSuffix, Limb, MimicReview};
use super::context::Context;
use super::error::{FieldError, Invalid};
use super::factors::Factor;
use super::form_dsl::{LongText, ShortText, ask, section};
use super::forms::FormName;
use super::issues::Code;

section! {
    /// The clinician's review. The service adds who reviewed and when.
    Review {
        /// Criterion 5: whether other conditions alone explain the symptoms.
        mimic_review: MimicReview = ask(
            "Do other conditions alone explain the symptoms?",
            "¿Otras afecciones por sí solas explican los síntomas?",
        ).clinician_only().required(),
        /// The clinical class of each leg (CEAP 2020).
        ceap: Vec<Ceap> = ask("CEAP class of each leg", "Clase CEAP de cada pierna").clinician_only(),
        /// The confirmed contributors.
        contributors_confirmed: Vec<Factor> = ask("Confirmed contributors", "Factores confirmados").clinician_only(),
        /// The personal plan.
        plan_note: LongText<4000> = ask("Plan", "Plan").clinician_only(),
        /// The day on which to review the plan again.
        recheck_on: Date = ask("Look again on", "Volver a revisar el").clinician_only(),
    }
}

section! {
    /// The clinical class of a leg (CEAP 2020).
    Ceap {
        /// The leg.
        limb: Limb = ask("Leg", "Pierna").clinician_only().required(),
        /// The class.
        class: CeapClass = ask("Class", "Clase").clinician_only().required(),
        /// Whether the leg has symptoms.
        suffix: CeapSuffix = ask("Suffix", "Sufijo").clinician_only(),
        /// The person who assessed it.
        assessed_by: ShortText<200> = ask("Assessed by", "Evaluado por").clinician_only(),
        /// The day of the assessment.
        date: Date = ask("Day", "Día").clinician_only().in_past(),
    }
}

impl Review {
    /// Reads a review. `prefix` is the pointer to it in the body.
    ///
    /// # Errors
    /// [`Invalid`] with every wrong type, unknown option or field, missing member and date before the birth.
    pub fn parse(review: &Value, prefix: &str, context: &Context) -> Result<Self, Invalid> {
        let parsed: Self = super::read::parse_group(review, prefix)?;
        let mut errors = Vec::new();
        let mut add = |place: String, code: Code| {
            let detail = code.text(super::Language::English);
            errors.push(FieldError::new(format!("{prefix}{place}"), code.rule(), detail));
        };
        // A follow-up does not ask for the features that a mimic would explain.
        if parsed.mimic_review.is_none() && context.form == FormName::History {
            add("/mimic_review".to_owned(), Code::Required);
        }
        for (position, ceap) in parsed.ceap.iter().flatten().enumerate() {
            for (name, missing) in [("limb", ceap.limb.is_none()), ("class", ceap.class.is_none())] {
                if missing {
                    add(format!("/ceap/{position}/{name}"), Code::Required);
                }
            }
            let earlier = parsed.ceap.iter().flatten().take(position);
            if ceap.limb.is_some() && earlier.into_iter().any(|other| other.limb == ceap.limb) {
                add(format!("/ceap/{position}/limb"), Code::Duplicate);
            }
            if ceap.date.is_some_and(|date| date < context.date_of_birth) {
                add(format!("/ceap/{position}/date"), Code::BeforeBirth);
            }
        }
        let confirmed: Vec<Factor> = parsed.contributors_confirmed.iter().flatten().copied().collect();
        for (position, factor) in confirmed.iter().enumerate() {
            if confirmed[..position].contains(factor) {
                add(format!("/contributors_confirmed/{position}"), Code::Duplicate);
            }
        }
        Invalid::unless_empty(errors).map(|()| parsed)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::tests::adult;

    fn refused(review: &Value) -> Vec<String> {
        match Review::parse(review, "/review", &adult()) {
            Err(Invalid(errors)) => errors.iter().map(|error| format!("{} {}", error.pointer, error.code)).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn a_review_needs_the_fifth_criterion_and_names_each_leg_once() {
        let good = json!({
            "mimic_review": "not_solely_explained",
            "ceap": [
                {"limb": "left", "class": "C2r", "suffix": "s", "assessed_by": "Dr. Reed", "date": "2026-06-01"},
                {"limb": "right", "class": "C0"}
            ],
            "contributors_confirmed": ["iron_deficiency", "genetics"],
            "plan_note": "Iron, then look again.\nCompression on the left.",
            "recheck_on": "2026-09-01"
        });
        let read = Review::parse(&good, "", &adult()).expect("read");
        assert_eq!(serde_json::to_value(read).expect("written"), good);
        for (review, errors) in [
            (json!({}), vec!["/review/mimic_review required"]),
            (json!({"mimic_review": "maybe"}), vec!["/review/mimic_review not_an_option"]),
            (
                json!({"mimic_review": "not_reviewed", "ceap": [{"class": "C7"}, {"limb": "left"}]}),
                vec!["/review/ceap/0/class not_an_option"],
            ),
            (
                json!({"mimic_review": "not_reviewed", "ceap": [{"limb": "left", "class": "C1"}, {"limb": "left", "class": "C2", "date": "1960-01-01"}]}),
                vec!["/review/ceap/1/limb duplicate", "/review/ceap/1/date before_birth"],
            ),
            (
                json!({"mimic_review": "not_reviewed", "contributors_confirmed": ["diabetes", "diabetes"]}),
                vec!["/review/contributors_confirmed/1 duplicate"],
            ),
        ] {
            assert_eq!(refused(&review), errors, "{review}");
        }
    }
}
