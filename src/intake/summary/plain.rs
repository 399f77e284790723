//! The summary of an intake for its patient, in plain language.

use serde::Serialize;
use text::Language;
use utoipa::ToSchema;

use super::answer_text::{self, AnswerTextSection, Wording};
use super::material::Material;
use crate::clock::Timestamp;
use crate::ids::IntakeId;
use crate::intake::model::IntakeStatus;

/// The summary of an intake for its patient.
#[derive(Serialize, ToSchema)]
#[schema(as = IntakePlainSummary)]
pub struct PlainSummary {
    /// The intake.
    pub intake_id: IntakeId,
    /// The status.
    pub status: IntakeStatus,
    /// The language of the texts.
    #[schema(examples("en"))]
    pub language: String,
    /// When the answers were last changed.
    pub authored_at: Timestamp,
    /// The result of the answers in plain language.
    pub sentences: Vec<String>,
    /// The answers by section.
    pub sections: Vec<AnswerTextSection>,
    /// States that it is a summary and not a diagnosis.
    pub disclaimer: String,
}

/// Builds the summary for the patient. `material` has only the answers that its reader may see.
pub(super) fn plain(material: &Material<'_>, language: Language) -> PlainSummary {
    PlainSummary {
        intake_id: material.intake.id,
        status: material.intake.status,
        language: language.code().to_owned(),
        authored_at: material.intake.authored_at,
        sentences: rls::patient_summary(material.answers, material.computed, language),
        sections: answer_text::by_section(material.raw, Wording::Question(language)),
        disclaimer: rls::NOT_A_DIAGNOSIS.text(language).to_owned(),
    }
}
