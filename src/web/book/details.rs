//! The fourth step: who comes, and the decisions on the documents.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use minijinja::{Value, context};

use super::held::{self, Held};
use super::{Form, consents, fields, trouble};
use crate::error::Result;

/// Asks for the details. `wrong` are the fields with broken rules.
pub(super) async fn show(form: &Form, held: &Held, status: StatusCode, wrong: &[String]) -> Result<HttpResponse> {
    let shown = async {
        let hold = held.read(form).await?;
        Ok((held::facts(form, &hold).await?, consents::read(&form.visitor).await?))
    };
    let (facts, documents) = match shown.await {
        Ok(shown) => shown,
        Err(error) => return trouble::no_time(form, error).await,
    };
    let mut typed = fields::typed(&form.sent);
    if let Some(language) = typed.get_mut("language").filter(|language| language.is_empty()) {
        form.visitor.language.code().clone_into(language);
    }
    let documents: Vec<Value> = documents.iter().map(consents::shown).collect();
    let values = context! {
        held => facts,
        typed => typed,
        wrong => wrong.to_vec(),
        born_wrong => fields::born_mistake(&form.sent),
        languages => languages(form.visitor.language),
        documents => documents,
        fields => [form.search.fields(), held.fields()].concat(),
    };
    let mut response = form.visitor.answer("book-details", status, values).await?;
    // The answer to a form: a browser that did not keep it could not go back to it, and what was typed would be lost.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(response)
}

/// The names of the languages that the page offers, in alphabetical order.
fn languages(reader: text::Language) -> Vec<&'static str> {
    let mut names: Vec<_> = text::OFFERED_LANGUAGES.iter().map(|one| one.name(reader)).collect();
    names.sort_by_cached_key(|name| name.replace('Á', "A"));
    names
}

/// Shows the details again with what was typed: to correct them, or in the other language.
pub(super) async fn show_again(request: HttpRequest, body: Bytes) -> Result<HttpResponse> {
    let form = Form::read(&request, &body)?;
    show(&form, &Held::of(&form), StatusCode::OK, &[]).await
}

#[cfg(test)]
pub(super) fn examples(language: text::Language) -> Vec<(&'static str, Value)> {
    use super::super::form_post::Sent;
    use crate::patients::consents::ConsentType;

    let documents: Vec<Value> = ConsentType::ALL
        .iter()
        .map(|consent| {
            let [decision, version_field] = fields::consent_fields(*consent);
            context! {
                decision => decision, version_field => version_field, version => "1", language => "en", title => "Title", text => "Text",
            }
        })
        .collect();
    let page = |sent: &str, wrong: Vec<String>, renewable: bool| {
        let read = Sent::read(sent.as_bytes());
        let values = context! {
            root => "../", held => held::example_facts(renewable), typed => fields::typed(&read), wrong => wrong,
            born_wrong => fields::born_mistake(&read), languages => languages(language),
            documents => documents.clone(), fields => [("hold_id", "1")], framed => renewable,
        };
        ("book-details", values)
    };
    let chosen = |relation: &str, sex: &str, language: &str, decision: &str| {
        format!(
            "relation={relation}&administrative_sex={sex}&language={language}&mononym=yes&interpreter=yes&consent_treatment={decision}\
             &consent_privacy_notice={decision}"
        )
    };
    vec![
        page("", vec![], false),
        page("", fields::all().collect(), true),
        page(&chosen("self", "female", language.code(), "accepted"), vec![], true),
        page(&chosen("parent", "male", "en", "declined"), vec![], true),
        page(&chosen("guardian", "other", "es", "accepted"), vec![], true),
        page(&chosen("caregiver", "unknown", "other", "accepted"), vec![], true),
    ]
}
