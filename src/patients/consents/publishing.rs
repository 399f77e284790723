//! Publishing a new version of a text to consent to.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, post};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ConsentType;
use super::documents::{ConsentDocument, CurrentVersions, PublishedText, primary};
use crate::actor::Action;
use crate::context::{Context, Once};
use crate::db::advisory_lock;
use crate::db::schema::consent_documents;
use crate::error::{Check, FieldCode, Result};
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey};

/// The most languages of a document.
const MAX_LANGUAGES: usize = 10;
/// The most characters of a text: some ten pages.
const MAX_TEXT: usize = 20_000;

/// A new version of a document.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"type": "treatment", "texts": [
    {"language": "en", "text": "# Consent to examination and treatment\n…"},
    {"language": "es", "text": "# Consentimiento para el examen y el tratamiento\n…"}
]}))]
pub struct NewConsentDocument {
    /// The subject.
    #[serde(rename = "type")]
    consent_type: ConsentType,
    /// The text in each language. One is in English: patients whose language is missing see it.
    #[schema(min_items = 1, max_items = 10)]
    texts: Vec<ConsentText>,
}

/// The text of a document in a language.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"language": "en", "text": "# Consent to examination and treatment\n…"}))]
pub struct ConsentText {
    /// The language tag (BCP 47).
    #[schema(min_length = 2, max_length = 35, examples("es"))]
    language: String,
    /// The text in Markdown.
    #[schema(min_length = 1, max_length = 20000)]
    text: String,
}

/// A published version of a document.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"type": "treatment", "version": "2", "texts": [{
    "type": "treatment", "version": "2", "language": "en", "text": "# Consent to examination and treatment\n…",
    "published_at": "2026-03-02T14:00:00Z"
}]}))]
pub struct PublishedConsentDocument {
    /// The subject.
    #[serde(rename = "type")]
    consent_type: ConsentType,
    /// The version, which is now the current one.
    version: String,
    /// Its text in each language.
    texts: Vec<ConsentDocument>,
}

impl NewConsentDocument {
    /// The texts by language, in the order of the body.
    fn checked(self) -> Result<(ConsentType, Vec<(String, String)>)> {
        let mut check = Check::new();
        check.require(
            self.texts.len() <= MAX_LANGUAGES,
            "/texts",
            FieldCode::TooMany,
            format!("must have at most {MAX_LANGUAGES} entries"),
        );
        let (mut texts, mut languages) = (Vec::new(), BTreeSet::new());
        for (index, ConsentText { language, text }) in self.texts.into_iter().take(MAX_LANGUAGES).enumerate() {
            let pointer = |member: &str| format!("/texts/{index}/{member}");
            let language = check.field(&pointer("language"), text::language(&language));
            let text = check.field(&pointer("text"), text::lines(&text, MAX_TEXT));
            let (Some(language), Some(text)) = (language, text) else { continue };
            let is_new = languages.insert(language.clone());
            check.require(is_new, pointer("language"), FieldCode::Duplicate, "is in the list twice");
            texts.push((language, text));
        }
        let has_english = languages.iter().any(|language| primary(language) == "en");
        check.require(has_english, "/texts", FieldCode::Required, "must have a text in English");
        check.done()?;
        Ok((self.consent_type, texts))
    }
}

/// Publishes the next version of a document.
///
/// # Errors
/// Every broken rule.
pub async fn publish(
    context: &Context,
    once: Once,
    new: NewConsentDocument,
) -> Result<Versioned<PublishedConsentDocument>> {
    context.require(Action::ClinicSetUp)?;
    let (consent_type, texts) = new.checked()?;
    context
        .change_once(once, move |tx| {
            // The next version is one more than the newest, so publications wait for each other.
            advisory_lock::wait_for_key(tx.conn, advisory_lock::CONSENT_DOCUMENTS)?;
            let version = CurrentVersions::read(tx.conn)?.of(consent_type) + 1;
            let mut documents = Vec::new();
            for (language, text) in &texts {
                let row = PublishedText {
                    consent_type,
                    version,
                    language: language.clone(),
                    text: text.clone(),
                    published_at: tx.now,
                    published_by: tx.actor.user_id,
                };
                diesel::insert_into(consent_documents::table).values(&row).execute(tx.conn)?;
                documents.push(row.into());
            }
            let published = PublishedConsentDocument { consent_type, version: version.to_string(), texts: documents };
            // A published version never changes.
            Ok(Versioned { version: 1, object: published })
        })
        .await
}

/// Publish a new version of a text to consent to
///
/// Administrators only. The new version is the current one at once: the consent is outstanding again for each patient until the patient decides
/// on it (`consents_outstanding`). Sends no mail. Does not change the version or `updated_at` of patients.
#[utoipa::path(
    tag = "patients",
    operation_id = "create_consent_document",
    security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = NewConsentDocument,
    responses((status = 201, description = "The published version", body = PublishedConsentDocument)),
)]
#[post("/v1/consent-documents")]
pub(in crate::patients) async fn create_consent_document(
    context: Context,
    key: IdempotencyKey,
    body: Body<NewConsentDocument>,
) -> Result<HttpResponse> {
    let published = publish(&context, key.once(&body.raw), body.value).await?;
    let PublishedConsentDocument { consent_type, version, .. } = &published.object;
    let location = format!("/v1/consent-documents?type={}&version={version}", consent_type.as_str());
    Ok(response::created(location, &published))
}
