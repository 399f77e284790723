//! The RLS history: what its answers mean, and everything that follows from them. Pure: no database, no HTTP, no clock.
//!
//! The way of a draft: [`StrictJson`] reads the body, [`refuse_clinician_only`] looks at what is sent, [`apply_patch`] puts it
//! into the stored JSON, [`parse`] makes [`Answers`] of it or tells every wrong type and range (422), [`compute`] gives
//! [`Computed`] with its issues and flags, [`notices`] what to say at once. On submission [`submittable`] refuses errors
//! among the issues, after [`mark_not_asked`] where staff submit. [`view`] leaves out what somebody may not see. What is stored
//! is what [`Answers`] writes, not what was sent: blanks are gone from it.
//!
//! Everything computed is a summary of answers for a clinician's review, never a diagnosis. Nothing is guessed from missing
//! answers.

pub mod answers;
pub mod computed;
pub mod context;
pub mod criteria;
pub mod factors;
pub mod flags;
pub mod form;
pub mod iron;
pub mod issues;
pub mod json;
pub mod kit;
pub mod medicines;
pub mod notices;
pub mod pregnancy;
pub mod read;
pub mod review;
pub mod schema;
pub mod severity;
pub mod summary;
pub mod text_pack;
pub mod views;

#[cfg(test)]
mod tests;

pub use answers::Answers;
pub use computed::{Computed, compute};
pub use context::{Context, FilledBy};
pub use flags::{Flag, Rule, Urgency};
pub use form::{Form, form};
pub use issues::{Issue, Severity, mark_not_asked, submittable};
pub use json::{StrictJson, apply_patch};
pub use notices::{Notice, Numbers, notices};
pub use read::{clinician_only_fields, parse, parse_lab, refuse_clinician_only};
pub use review::Review;
pub use summary::{OpenAnswer, guardian_summary, open_answers, patient_summary};
pub use text_pack::TextPack;
pub use views::{View, Viewer, copy_from, view};

/// The schemas whose values this module reads itself, since a part of a draft may be anything that the whole may become.
pub const OWN_READERS: &[&str] = &["RlsAnswers", "RlsLab", "RlsReview"];

/// The form's name in the API.
pub const FORM: &str = "rls-history";

/// The form's canonical address (FHIR `Questionnaire.url`); with the version it is `url|version`.
pub const FORM_URL: &str = "https://legwork.example/intake-forms/rls-history";

/// The version of the form: answers stay pinned to the one that they were given for. A newer one still reads the older.
pub const FORM_VERSION: &str = "1.0.0";

/// The version of the rules that computed something. It grows whenever a rule, a bound or the table of names changes.
pub const RULE_SET_VERSION: &str = "2026.1";

/// What everything computed is headed with.
pub const NOT_A_DIAGNOSIS: kit::Words = kit::Words {
    en: "A summary of answers for a clinician's review. It is not a diagnosis.",
    es: "Un resumen de respuestas para que lo revise un profesional. No es un diagnóstico.",
};

pub use crate::text::Language;

impl Language {
    /// One of the two texts.
    pub fn pick(self, words: kit::Words) -> &'static str {
        match self {
            Self::English => words.en,
            Self::Spanish => words.es,
        }
    }
}

/// Where the rules come from, for the summary's foot and the documentation.
pub const SOURCES: &[(&str, &str)] = &[
    ("criteria", "IRLSSG consensus 2014; PMC2769267 for the mimics' part"),
    ("irls", "IRLS rating scale, IRLSSG; total and bands only"),
    ("iron_review_band", "AASM guideline 2025, doi 10.5664/jcsm.11390; adults"),
    ("trimester", "up to 13, 14 to 27, from 28 weeks; symptoms peak in the third, doi 10.1186/s12883-020-01709-0"),
    ("veins", "IRLS after vein treatment: a series of 35 patients, PMC6551200"),
    ("clinical_significance", "cut-off \"moderate\" is this service's own"),
];
