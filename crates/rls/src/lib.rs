//! The RLS history and its follow-up: their forms, its answers, and everything that is computed from them. No database, no HTTP, no clock.
//!
//! How a draft is handled: [`RedactedJson`] takes the body, [`refuse_clinician_only`] checks which fields change,
//! [`apply_patch`] merges them into the stored JSON, [`parse`] returns [`Answers`] or every wrong type and range,
//! [`compute`] returns [`Computed`] with its issues and flags, and [`flag_notices`] the texts to show at once. On
//! submission, [`mark_not_asked`] fills in for staff, and [`submittable`] fails if an issue is an error. [`view`]
//! leaves out what the viewer may not see. The service stores what [`Answers`] serialises to, not what was sent, so
//! blank answers are dropped.
//!
//! Everything computed is a summary of answers for a clinician's review, never a diagnosis. Missing answers are never
//! guessed.

#![warn(missing_docs)]

pub mod answers;
pub mod choices;
pub mod computed;
pub mod context;
pub mod criteria;
pub mod due;
pub mod error;
pub mod factors;
pub mod field_access;
pub mod flag_texts;
pub mod flags;
pub mod form;
pub mod form_dsl;
pub mod forms;
pub mod guideline;
pub mod iron;
pub mod issues;
pub mod json;
pub mod json_schema;
pub mod lab_levels;
pub mod medicine_names;
pub mod medicines;

pub mod pregnancy;
pub mod read;
pub mod review;
pub mod rules;
pub mod severity;
pub mod sources;
mod string_enum;
pub mod summary;
pub mod text_pack;
pub mod views;

#[cfg(test)]
mod tests;

pub use answers::{Answers, AnswersPatch};
pub use computed::{Computed, compute};
pub use context::{Context, FilledBy};
pub use error::{FieldError, Invalid};
pub use field_access::{clinician_only_fields, refuse_clinician_only};
pub use flag_texts::{FlagNotice, PhoneNumbers, flag_notices};
pub use flags::{Flag, Rule, Urgency};
pub use form::{Form, form};
pub use forms::FormName;
pub use issues::{Issue, Severity, is_asked, mark_not_asked, submittable};
pub use json::{RedactedJson, apply_patch};
pub use read::{parse, parse_lab};
pub use review::Review;
pub use rules::{RuleDefinition, RuleStrength, rules};
pub use summary::{OpenAnswer, guardian_summary, open_answers, patient_summary};
pub use text_pack::TextPack;
pub use views::{View, Viewer, copy_from, view};

use text::Language;

/// The schemas whose values this crate checks itself.
pub const OWN_READERS: &[&str] = &["RlsAnswers", "RlsAnswersPatch", "RlsLab", "RlsReview"];

/// The name of the history in the API.
pub const FORM: &str = "rls-history";

/// The version of the history. Answers keep the version that they were given for. A newer version still reads them.
pub const FORM_VERSION: &str = "1.3.0";

/// The version of the rules. Increase it whenever a rule, a bound or the table of medicine names changes.
pub const RULE_SET_VERSION: &str = "2026.6";

/// Returns the version of the rules as a number that grows with it: 2026006 for 2026.6.
pub fn rule_set_number() -> i32 {
    let number = |text: &str| text.parse::<i32>().unwrap_or_default();
    let (year, count) = RULE_SET_VERSION.split_once('.').unwrap_or((RULE_SET_VERSION, "0"));
    number(year) * 1000 + number(count)
}

/// The disclaimer to show with everything computed.
pub const NOT_A_DIAGNOSIS: form_dsl::Bilingual = form_dsl::Bilingual {
    en: "A summary of answers for a clinician's review. It is not a diagnosis.",
    es: "Un resumen de respuestas para que lo revise un profesional. No es un diagnóstico.",
};
