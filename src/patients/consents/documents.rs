//! The texts to consent to.

use actix_web::{HttpResponse, get};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ConsentType;
use crate::error::{Check, Result};
use crate::http::{Params, response};

/// A text to consent to.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"type": "treatment", "version": "1", "language": "en", "text": "# Consent to examination and treatment\n…"}))]
pub struct ConsentDocument {
    /// The subject.
    #[serde(rename = "type")]
    pub consent_type: ConsentType,
    /// The version. Send it when you record the decision.
    pub version: &'static str,
    /// The language of the text.
    pub language: &'static str,
    /// The text in Markdown.
    pub text: &'static str,
}

/// The version of all current documents. A changed text needs a new version.
pub const VERSION: &str = "1";

/// Every document in every language; each has an English text.
pub const DOCUMENTS: &[ConsentDocument] = &[
    document(ConsentType::Treatment, "en", include_str!("texts/treatment.en.md")),
    document(ConsentType::Treatment, "es", include_str!("texts/treatment.es.md")),
    document(ConsentType::PrivacyNotice, "en", include_str!("texts/privacy_notice.en.md")),
    document(ConsentType::PrivacyNotice, "es", include_str!("texts/privacy_notice.es.md")),
];

const fn document(consent_type: ConsentType, language: &'static str, text: &'static str) -> ConsentDocument {
    ConsentDocument { consent_type, version: VERSION, language, text }
}

/// Returns the documents in a language (BCP 47), chosen by its first part, or in English.
pub fn documents(language: &str) -> Vec<&'static ConsentDocument> {
    let primary = language.split('-').next().unwrap_or_default();
    let known = DOCUMENTS.iter().any(|document| document.language == primary);
    let wanted = if known { primary } else { "en" };
    DOCUMENTS.iter().filter(|document| document.language == wanted).collect()
}

/// The current consent documents.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [{"type": "treatment", "version": "1", "language": "en", "text": "# Consent to examination and treatment\n…"}], "next_cursor": null}))]
pub struct ConsentDocumentPage {
    /// One document for each type.
    #[schema(value_type = Vec<ConsentDocument>)]
    items: Vec<&'static ConsentDocument>,
    /// Always null: the list has one page.
    next_cursor: Option<String>,
}

/// The filters of the consent documents.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ConsentDocumentFilter {
    /// A language tag (BCP 47). If there is no text in this language, the English one is returned.
    #[param(max_length = 35, example = "es", default = "en")]
    pub language: Option<String>,
}

/// Lists the current documents. Public.
///
/// # Errors
/// A broken rule at `language`.
pub fn list(filter: &ConsentDocumentFilter) -> Result<ConsentDocumentPage> {
    let mut check = Check::new();
    let language = check.field("?language", text::language(filter.language.as_deref().unwrap_or("en")));
    check.done()?;
    Ok(ConsentDocumentPage { items: documents(language.as_deref().unwrap_or("en")), next_cursor: None })
}

/// List the texts to consent to
///
/// Returns the current version of each text. Show it to a patient before the patient decides.
#[utoipa::path(
    tag = "patients",
    operation_id = "list_consent_documents",
    params(ConsentDocumentFilter),
    responses((status = 200, description = "The documents", body = ConsentDocumentPage)),
)]
#[get("/v1/consent-documents")]
pub(in crate::patients) async fn list_consent_documents(
    Params(filter): Params<ConsentDocumentFilter>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&filter)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_exists_in_english_and_in_the_other_languages() {
        for language in ["en", "es-MX", "es", "fr", "x-none", ""] {
            let found: Vec<_> = documents(language).iter().map(|it| it.consent_type).collect();
            assert_eq!(found, ConsentType::ALL, "{language}");
        }
        assert_eq!(documents("es-419")[0].language, "es");
        assert_eq!(documents("fr")[0].language, "en");
        assert!(DOCUMENTS.iter().all(|it| it.text.len() > 500));
    }
}
