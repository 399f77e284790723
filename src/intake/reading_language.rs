//! The language in which a reader wants a summary or a picture.

use serde::Deserialize;
use text::Language;
use utoipa::IntoParams;

use crate::actor::Role;
use crate::error::{Check, Result};
use crate::patients::model::Patient;

/// The language of a summary or a picture.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReadingLanguage {
    /// A language tag (BCP 47). The texts for patients are in this language, or in English if the service does not speak it. Without it
    /// they are in the language of the patient's record. The texts for practitioners are in English, but for the picture of the timeline.
    #[param(max_length = 35, example = "es")]
    pub language: Option<String>,
}

impl ReadingLanguage {
    /// Returns the language that the reader asks for.
    ///
    /// # Errors
    /// A broken rule if it is not a language tag.
    pub fn checked(&self) -> Result<Option<Language>> {
        let mut check = Check::new();
        let tag = self.language.as_deref().and_then(|tag| check.field("?language", text::language(tag)));
        check.done()?;
        Ok(tag.as_deref().map(Language::of_tag))
    }

    /// Returns the language of a reader who asks for none: staff read English, patients the language of their record.
    pub fn of_reader(role: Role, patient: &Patient) -> Language {
        if role.is_staff() { Language::English } else { Language::of_tag(&patient.preferred_language) }
    }
}
