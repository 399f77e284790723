//! The texts to consent to. Version 1 of each is part of the program; administrators publish the later ones.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, get};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ConsentType;
use crate::clock::Timestamp;
use crate::context::{Anonymous, Context};
use crate::db::Conn;
use crate::db::schema::consent_documents;
use crate::error::{Check, Error, FieldCode, Result};
use crate::http::{Params, response};
use crate::ids::UserId;

/// The version of the texts that are part of the program.
const BUILT_IN_VERSION: i32 = 1;

/// The most digits of a version.
const MAX_VERSION: usize = 10;

/// The texts that are part of the program; each is in English, too.
const BUILT_IN: &[(ConsentType, &str, &str)] = &[
    (ConsentType::Treatment, "en", include_str!("texts/treatment.en.md")),
    (ConsentType::Treatment, "es", include_str!("texts/treatment.es.md")),
    (ConsentType::PrivacyNotice, "en", include_str!("texts/privacy_notice.en.md")),
    (ConsentType::PrivacyNotice, "es", include_str!("texts/privacy_notice.es.md")),
];

/// SQL of the current version of the document that a row of `consents` is about, as the row stores versions.
pub const CURRENT_VERSION_OF_ROW: &str = "(SELECT CAST(COALESCE(MAX(d.version), 1) AS text) FROM consent_documents d \
    WHERE d.consent_type = consents.consent_type)";

/// A text to consent to.
#[derive(Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "type": "treatment", "version": "1", "language": "en", "text": "# Consent to examination and treatment\n…", "published_at": null
}))]
pub struct ConsentDocument {
    /// The subject.
    #[serde(rename = "type")]
    pub consent_type: ConsentType,
    /// The version. Send it when you record the decision.
    pub version: String,
    /// The language of the text (BCP 47).
    pub language: String,
    /// The text in Markdown.
    pub text: String,
    /// The time from which it was the current version. Null for version 1, which is part of the service.
    pub published_at: Option<Timestamp>,
}

/// A row of the published texts.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = consent_documents)]
pub(super) struct PublishedText {
    pub(super) consent_type: ConsentType,
    pub(super) version: i32,
    pub(super) language: String,
    pub(super) text: String,
    pub(super) published_at: Timestamp,
    pub(super) published_by: UserId,
}

impl From<PublishedText> for ConsentDocument {
    fn from(row: PublishedText) -> Self {
        Self {
            consent_type: row.consent_type,
            version: row.version.to_string(),
            language: row.language,
            text: row.text,
            published_at: Some(row.published_at),
        }
    }
}

/// The current versions of the documents. A document that administrators never published has [`BUILT_IN_VERSION`].
#[derive(Debug, Clone)]
pub struct CurrentVersions(BTreeMap<ConsentType, i32>);

impl CurrentVersions {
    /// Reads them.
    pub fn read(conn: &mut Conn) -> Result<Self> {
        let newest = diesel::dsl::max(consent_documents::version).assume_not_null();
        let published: Vec<(ConsentType, i32)> = consent_documents::table
            .group_by(consent_documents::consent_type)
            .select((consent_documents::consent_type, newest))
            .load(conn)?;
        Ok(Self(published.into_iter().collect()))
    }

    /// The versions if administrators published nothing.
    #[cfg(test)]
    pub fn built_in() -> Self {
        Self(BTreeMap::new())
    }

    /// The current version of a document.
    pub fn of(&self, consent_type: ConsentType) -> i32 {
        self.0.get(&consent_type).copied().unwrap_or(BUILT_IN_VERSION)
    }

    /// Returns whether this is the current or an earlier version. Versions are numbered from 1, without gaps.
    pub fn include(&self, consent_type: ConsentType, version: &str) -> bool {
        (BUILT_IN_VERSION..=self.of(consent_type)).any(|known| known.to_string() == version)
    }
}

/// Reads a version of a document in a language, chosen by the first part of its tag, or else in English.
fn read_version(conn: &mut Conn, consent_type: ConsentType, version: i32, language: &str) -> Result<ConsentDocument> {
    let mut texts: Vec<ConsentDocument> = if version == BUILT_IN_VERSION {
        built_in(consent_type).collect()
    } else {
        let rows: Vec<PublishedText> = consent_documents::table
            .filter(consent_documents::consent_type.eq(consent_type))
            .filter(consent_documents::version.eq(version))
            .select(PublishedText::as_select())
            .load(conn)?;
        rows.into_iter().map(Into::into).collect()
    };
    let chosen = [language, primary(language), "en"]
        .into_iter()
        .find_map(|wanted| texts.iter().position(|it| it.language == wanted || primary(&it.language) == wanted));
    chosen.map(|index| texts.swap_remove(index)).ok_or_else(|| Error::fault("a consent document has no English text"))
}

/// The first part of a language tag.
pub(super) fn primary(language: &str) -> &str {
    language.split('-').next().unwrap_or_default()
}

fn built_in(consent_type: ConsentType) -> impl Iterator<Item = ConsentDocument> {
    let texts = BUILT_IN.iter().filter(move |(of_type, ..)| *of_type == consent_type);
    texts.map(|(consent_type, language, text)| ConsentDocument {
        consent_type: *consent_type,
        version: BUILT_IN_VERSION.to_string(),
        language: (*language).to_owned(),
        text: (*text).to_owned(),
        published_at: None,
    })
}

/// Consent documents.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [{
    "type": "treatment", "version": "1", "language": "en", "text": "# Consent to examination and treatment\n…", "published_at": null
}], "next_cursor": null}))]
pub struct ConsentDocumentPage {
    /// One document for each type.
    pub items: Vec<ConsentDocument>,
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
    /// Only the document of this type.
    #[serde(rename = "type")]
    #[param(example = "treatment")]
    pub consent_type: Option<ConsentType>,
    /// An earlier version, such as the one that a patient accepted. Needs `type`. The default is the current version.
    #[param(min_length = 1, max_length = 10, example = "1")]
    pub version: Option<String>,
}

/// Lists documents. Public.
///
/// # Errors
/// A broken rule at `language`, `type` or `version`.
pub async fn list(context: &Context<Anonymous>, filter: ConsentDocumentFilter) -> Result<ConsentDocumentPage> {
    let ConsentDocumentFilter { language, consent_type, version } = filter;
    let mut check = Check::new();
    let language = check.field("?language", text::language(language.as_deref().unwrap_or("en")));
    check.require(
        version.is_none() || consent_type.is_some(),
        "?type",
        FieldCode::Required,
        "must be sent with `version`",
    );
    let fits = version.as_ref().is_none_or(|version| (1..=MAX_VERSION).contains(&version.len()));
    check.require(fits, "?version", UNKNOWN_VERSION.0, UNKNOWN_VERSION.1);
    check.done()?;
    let language = language.unwrap_or_default();
    let wanted = consent_type.map_or_else(|| ConsentType::ALL.to_vec(), |consent_type| vec![consent_type]);
    context
        .read(move |tx| {
            let current = CurrentVersions::read(tx.conn)?;
            let document = |consent_type| {
                let version = match &version {
                    None => current.of(consent_type),
                    Some(version) if current.include(consent_type, version) => version.parse().unwrap_or_default(),
                    Some(_) => return Err(Error::invalid("?version", UNKNOWN_VERSION.0, UNKNOWN_VERSION.1)),
                };
                read_version(tx.conn, consent_type, version, &language)
            };
            Ok(ConsentDocumentPage {
                items: wanted.into_iter().map(document).collect::<Result<_>>()?,
                next_cursor: None,
            })
        })
        .await
}

/// The code and the text of the error for a version that no document has.
pub(super) const UNKNOWN_VERSION: (FieldCode, &str) =
    (FieldCode::UnknownVersion, "must be a version that GET /v1/consent-documents lists");

/// List the texts to consent to
///
/// Returns the current version of each text. Show it to a patient before the patient decides. With `type` and `version`, returns an earlier
/// version.
#[utoipa::path(
    tag = "patients",
    operation_id = "list_consent_documents",
    params(ConsentDocumentFilter),
    responses((status = 200, description = "The documents", body = ConsentDocumentPage)),
)]
#[get("/v1/consent-documents")]
pub(in crate::patients) async fn list_consent_documents(
    context: Context<Anonymous>,
    Params(filter): Params<ConsentDocumentFilter>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, filter).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_is_built_in_in_both_languages() {
        for consent_type in ConsentType::ALL {
            let texts: Vec<_> = built_in(*consent_type).collect();
            assert_eq!(texts.iter().map(|it| it.language.as_str()).collect::<Vec<_>>(), ["en", "es"]);
            assert!(texts.iter().all(|it| it.text.len() > 500));
        }
    }

    #[test]
    fn versions_are_numbers_up_to_the_current_one() {
        let versions = CurrentVersions([(ConsentType::Treatment, 3)].into());
        for known in ["1", "2", "3"] {
            assert!(versions.include(ConsentType::Treatment, known), "{known}");
        }
        for unknown in ["0", "4", "01", "+1", "", "one"] {
            assert!(!versions.include(ConsentType::Treatment, unknown), "{unknown}");
        }
        assert!(!versions.include(ConsentType::PrivacyNotice, "2"));
    }
}
