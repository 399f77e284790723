//! The texts to which patients consent: the current versions, and publishing new ones.

use actix_web::{HttpRequest, HttpResponse, web};
use rls::form_dsl::Bilingual;
use serde_json::{Value as Json, json};

use super::super::account::zone;
use super::super::form_post::Sent;
use super::super::language::both;
use super::edit::Edit;
use super::fields::{Draft, Field, Form, Kind, Values, wrong};
use super::list::{List, Row};
use super::{Member, MemberForm};
use crate::error::{Error, FieldCode, FieldError, Result};
use crate::http::input;
use crate::messages::times::Moment;
use crate::patients::consents::ConsentType;
use crate::patients::consents::documents::{self, ConsentDocument};
use crate::patients::consents::publishing;

const LIST: &str = "admin/documents";
/// The most characters of a text.
const MOST: usize = 20_000;

const FIELDS: [Field; 4] = [
    Field::new("en", Kind::Text, "Text in English", "Texto en inglés").most(MOST).hint(
        "In Markdown. The first line, after #, is the title.",
        "En Markdown. La primera línea, después de #, es el título.",
    ),
    Field::new("es", Kind::Text, "Text in Spanish", "Texto en español")
        .most(MOST)
        .optional()
        .hint("Without it, patients see the English text.", "Sin él, los pacientes ven el texto en inglés."),
    Field::new("other_language", Kind::Line, "Another language", "Otro idioma").most(35).optional().hint(
        "Its code, such as pt. A new version has the languages that are on this page.",
        "Su código, por ejemplo pt. La nueva versión tiene los idiomas de esta página.",
    ),
    Field::new("other_text", Kind::Text, "Text in this language", "Texto en ese idioma").most(MOST).optional(),
];

fn title(consent: ConsentType) -> Bilingual {
    match consent {
        ConsentType::Treatment => {
            both("Consent to examination and treatment", "Consentimiento para el examen y el tratamiento")
        }
        ConsentType::PrivacyNotice => both("Privacy notice", "Aviso de privacidad"),
    }
}

/// The current text in a language, or in English.
async fn current(member: &Member, consent: ConsentType, language: &str) -> Result<ConsentDocument> {
    let query = format!("type={}&language={language}", consent.as_str());
    let found = documents::list(&member.public(), member.parameters("list_consent_documents", &query)?).await?.items;
    found.into_iter().next().ok_or(Error::NotFound)
}

/// The current version with its texts.
async fn stored(member: &Member, consent: ConsentType) -> Result<(i32, Values)> {
    let [english, spanish] = [current(member, consent, "en").await?, current(member, consent, "es").await?];
    let has_spanish = spanish.language.starts_with("es");
    let values =
        Values::from([("en", vec![english.text]), ("es", has_spanish.then_some(spanish.text).into_iter().collect())]);
    Ok((english.version.parse().unwrap_or_default(), values))
}

fn edit(member: &Member, consent: ConsentType) -> Edit<'_> {
    Edit {
        member,
        form: Form::new(&FIELDS, member.language),
        title: title(consent),
        intro: both(
            "A new version is in force at once. Every patient is asked to decide on it again. Earlier decisions keep the text that was read.",
            "Una versión nueva rige enseguida. A cada paciente se le pide decidir de nuevo. Las decisiones anteriores conservan el texto leído.",
        ),
        action: format!("{LIST}/{}", consent.as_str()),
        back: LIST.to_owned(),
        is_setup: false,
        submit: both("Publish the new version", "Publicar la versión nueva"),
        links: Vec::new(),
        actions: Vec::new(),
    }
}

fn read(path: &str) -> Result<ConsentType> {
    ConsentType::ALL.iter().copied().find(|one| one.as_str() == path).ok_or(Error::NotFound)
}

/// Lists the documents with their current versions.
pub(super) async fn list(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    let zone = zone(&member).await?;
    let say = |en, es| both(en, es).text(member.language);
    let mut rows = Vec::new();
    for consent in ConsentType::ALL {
        let document = current(&member, *consent, "en").await?;
        let since = match document.published_at {
            Some(at) => format!("{} {}", say("since", "desde:"), Moment::new(at, &zone, member.language).date()),
            None => say("as it comes with the service", "tal como viene con el servicio").to_owned(),
        };
        rows.push(Row {
            page: format!("{LIST}/{}", consent.as_str()),
            title: title(*consent).text(member.language).to_owned(),
            lines: vec![format!("{} {}, {since}", say("Version", "Versión"), document.version)],
            is_ended: false,
        });
    }
    let list = List {
        title: both("Consent texts", "Consentimientos"),
        intro: both("What patients agree to.", "A qué dan su acuerdo los pacientes."),
        add: None,
        rows,
    };
    list.show(&member, &Sent::read(request.query_string().as_bytes())).await
}

/// Shows the current version as the start of a new one.
pub(super) async fn show(member: Member, consent: web::Path<String>) -> Result<HttpResponse> {
    let consent = read(&consent)?;
    let (version, values) = stored(&member, consent).await?;
    edit(&member, consent).show(&Draft::stored(version, values)).await
}

/// The body of the operation: the texts in the order of the fields.
fn built(consent: ConsentType, draft: &Draft) -> Json {
    let first = |name: &str| draft.typed.get(name).and_then(|values| values.first()).map_or("", String::as_str);
    let texts = [("en", first("en")), ("es", first("es")), (first("other_language"), first("other_text"))];
    let texts = texts
        .into_iter()
        .enumerate()
        .filter(|(index, (language, text))| *index == 0 || !text.is_empty() || (*index == 2 && !language.is_empty()));
    let texts: Vec<Json> = texts.map(|(_, (language, text))| json!({"language": language, "text": text})).collect();
    json!({"type": consent.as_str(), "texts": texts})
}

/// The broken rules at the fields of the form.
fn at_fields(errors: &[FieldError], built: &Json) -> Vec<FieldError> {
    let field = |error: &FieldError| {
        let mut parts = error.pointer.strip_prefix("/texts/").unwrap_or_default().split('/');
        let index: Option<usize> = parts.next().and_then(|index| index.parse().ok());
        match (index.and_then(|index| built["texts"][index]["language"].as_str()), parts.next()) {
            (Some("en") | None, _) => "en",
            (Some("es"), Some("text")) => "es",
            (_, Some("language")) => "other_language",
            _ => "other_text",
        }
    };
    errors.iter().map(|error| wrong(field(error), error.code)).collect()
}

/// Publishes a new version.
pub(super) async fn publish(form: MemberForm, consent: web::Path<String>) -> Result<HttpResponse> {
    let (member, consent) = (&form.member, read(&consent)?);
    let edit = edit(member, consent);
    let draft = edit.form.read(&form.sent);
    let (version, values) = stored(member, consent).await?;
    if draft.version != Some(version) {
        return edit.overtaken(draft, version, values).await;
    }
    if edit.form.patch(&draft) == json!({}) {
        return edit.refuse(draft, Error::Invalid(vec![wrong("en", FieldCode::Unchanged)])).await;
    }
    let built = built(consent, &draft);
    let published = match input::read_built(&built, &*member.operation("create_consent_document")?) {
        Ok(body) => publishing::publish(&member.context, form.once("document"), body.value).await,
        Err(error) => Err(error),
    };
    match published {
        Ok(_) => Ok(edit.done(0)),
        Err(Error::Invalid(errors)) => edit.refuse(draft, Error::Invalid(at_fields(&errors, &built))).await,
        Err(error) => edit.refuse(draft, error).await,
    }
}

#[cfg(test)]
mod tests {
    use text::Language;

    use super::*;

    #[test]
    fn the_texts_that_are_there_are_published_and_mistakes_find_their_fields() {
        let read = |form: &str| Form::new(&FIELDS, Language::English).read(&Sent::read(form.as_bytes()));
        let all = built(ConsentType::Treatment, &read("en=%23+A&es=&other_language=pt&other_text=%23+B"));
        let texts = json!([{"language": "en", "text": "# A"}, {"language": "pt", "text": "# B"}]);
        assert_eq!(all, json!({"type": "treatment", "texts": texts}));
        let rule = |pointer: &str| FieldError::new(pointer, FieldCode::Required, "");
        let errors = ["/texts/0/text", "/texts/1/language", "/texts/1/text", "/texts"].map(rule);
        let found = at_fields(&errors, &all);
        assert_eq!(
            found.iter().map(|one| one.pointer.as_str()).collect::<Vec<_>>(),
            ["/en", "/other_language", "/other_text", "/en"]
        );
        assert_eq!(built(ConsentType::Treatment, &read("en="))["texts"], json!([{"language": "en", "text": ""}]));
    }
}
