//! The page of a follow-up without a script: the person types in the code of the mail, and answers in a plain form. Each form carries the
//! code, so there is no cookie.

use std::collections::BTreeMap;

use actix_web::http::{StatusCode, header};
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse};
use minijinja::value::Serde;
use minijinja::{Value, context};
use rls::form::{FieldType, FormField, FormSettings};
use rls::{FormName, RedactedJson};
use serde_json::{Map, json};
use text::Language;

use super::form_post::Post;
use crate::accounts::origin::Origin;
use crate::context::{Anonymous, Context};
use crate::error::{Error, FieldError, Result};
use crate::http::fallback::not_allowed;
use crate::intake::follow_up::FollowUpStatus;
use crate::intake::follow_up::links::{self, LinkedFollowUp};

/// The page with the questions, which a script fills in and sends.
pub(super) const NAME: &str = "follow-up";
/// The template of the pages without a script.
const PLAIN: &str = "follow-up-plain";
/// The largest form. The answers need a tenth of it.
const MOST_BYTES: usize = 16 * 1024;

/// Registers the targets of the forms. `http::fallback::PAGE_FORMS` has their operations.
pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    let back = || async { HttpResponse::SeeOther().insert_header((header::LOCATION, NAME)).finish() };
    cfg.service(
        web::resource("/follow-up-answers")
            .app_data(web::PayloadConfig::new(MOST_BYTES))
            .get(back)
            .post(answer)
            .default_service(web::to(|| async { not_allowed("GET, HEAD, POST") })),
    );
}

/// The form of the follow-up with its texts in one language.
pub(super) fn form(language: Language) -> rls::Form {
    rls::form(FormName::FollowUp, Some(language), FormSettings::default())
}

/// The questions as the page with the script has them: without answers and errors. The script hides those that do not apply.
pub(super) fn empty_form(language: Language) -> Value {
    let nothing = BTreeMap::<String, String>::new();
    context! {
        form => Value::from(Serde(form(language))), plain => false, hidden => Vec::<String>::new(), given => &nothing, errors => &nothing,
        code => "", code_error => "", late => false,
    }
}

impl Post {
    /// Shows the questions with what is filled in already, or why the code does not work.
    async fn questions(&self, errors: &[FieldError]) -> Result<HttpResponse> {
        match links::view_by_code(&self.context, self.typed.clone()).await {
            Ok(found) if found.status == FollowUpStatus::Answered => {
                // Answers that were just sent are not stored a second time.
                let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::CONFLICT };
                self.thank(status, &[]).await
            }
            Ok(found) => self.show_questions(&found, errors).await,
            Err(error) => self.refuse(error).await,
        }
    }

    async fn show_questions(&self, found: &LinkedFollowUp, errors: &[FieldError]) -> Result<HttpResponse> {
        let form = form(self.language);
        let fields = || form.sections.iter().flat_map(|section| &section.fields);
        let given: BTreeMap<&str, Vec<&str>> =
            fields().map(|field| (field.link_id.as_str(), self.sent.all(&field.link_id).collect())).collect();
        let found_at = |field: &FormField| errors.iter().find(|error| is_about(error, &field.link_id));
        let shown: BTreeMap<&str, &str> =
            fields().filter_map(|field| Some((field.link_id.as_str(), found_at(field)?.code.as_str()))).collect();
        let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
        let values = context! {
            step => "questions", plain => true, code => &self.typed.code, given => Value::from(Serde(&given)), errors => Value::from(Serde(&shown)), hidden => &found.hidden,
            for_another => found.for_another, first_name => &found.first_name, form => Value::from(Serde(&form)),
        };
        self.render(status, values).await
    }

    /// Shows what the person who answered must see at once. A conflict means that these answers were not stored.
    async fn thank(&self, status: StatusCode, notices: &[&str]) -> Result<HttpResponse> {
        let late = status == StatusCode::CONFLICT;
        self.render(status, context! { step => "done", notices => Value::from(Serde(notices)), late => late }).await
    }

    /// Returns the answers as the API takes them.
    fn answers(&self) -> RedactedJson {
        let mut answers = Map::new();
        for field in form(self.language).sections.iter().flat_map(|section| &section.fields) {
            let Some((section, name)) = field.link_id.split_once('.') else { continue };
            let values: Vec<&str> = self.sent.all(&field.link_id).collect();
            let Some(first) = values.first() else { continue };
            let (name, answer) = match field.r#type {
                FieldType::Choices => (name.to_owned(), json!(values)),
                FieldType::Integer | FieldType::Decimal if *first == "unknown" => {
                    (format!("{name}_status"), json!("unknown"))
                }
                FieldType::Integer | FieldType::Decimal => {
                    (name.to_owned(), first.parse::<i64>().map_or_else(|_| json!(first), |number| json!(number)))
                }
                _ => (name.to_owned(), json!(first)),
            };
            let section = answers.entry(section).or_insert_with(|| json!({}));
            section.as_object_mut().map(|section| section.insert(name, answer));
        }
        RedactedJson(answers.into())
    }
}

/// Returns whether an error is about a question. That a number is missing is an error of the number or of its status.
fn is_about(error: &FieldError, link_id: &str) -> bool {
    let pointer = format!("/answers/{}", link_id.replace('.', "/"));
    error.pointer == pointer
        || error.pointer.strip_prefix(&pointer).is_some_and(|rest| rest == "_status" || rest.starts_with('/'))
}

/// Shows the questions of a typed code.
pub(super) async fn show(
    context: Context<Anonymous>,
    origin: Origin,
    request: HttpRequest,
    body: Bytes,
) -> Result<HttpResponse> {
    Post::read(context, origin, &request, &body, PLAIN)?.questions(&[]).await
}

/// Stores the answers, or shows them again with their errors.
async fn answer(
    context: Context<Anonymous>,
    origin: Origin,
    request: HttpRequest,
    body: Bytes,
) -> Result<HttpResponse> {
    let post = Post::read(context, origin, &request, &body, PLAIN)?;
    match links::answer_by_code(&post.context, post.typed.clone(), post.answers(), post.language).await {
        Ok(done) => {
            let notices: Vec<&str> = done.notices.iter().map(|notice| notice.text.as_str()).collect();
            post.thank(StatusCode::OK, &notices).await
        }
        Err(Error::Conflict(_)) => post.thank(StatusCode::CONFLICT, &[]).await,
        Err(Error::Invalid(errors)) if errors.iter().all(|error| error.pointer.starts_with("/answers")) => {
            post.questions(&errors).await
        }
        Err(error) => post.refuse(error).await,
    }
}

/// What the pages without a script can show, for the test that renders every branch of their templates.
#[cfg(test)]
pub(super) fn examples(language: Language) -> Vec<Value> {
    let question = |given: Value, errors: Value, hidden: &[&'static str], for_another: bool| {
        context! {
            step => "questions", plain => true, code => "K7MP-3XWD-9CFH", given => given, errors => errors, hidden => hidden.to_vec(),
            for_another => for_another, first_name => "Leo", form => Value::from(Serde(form(language))),
        }
    };
    let all = Value::from(Serde(json!({
        "symptoms.severity_0_10": ["4"], "symptoms.days_per_week_treated": ["2"], "symptoms.usual_onset_time": ["21:00"],
        "follow_up.change": ["same"], "follow_up.has_side_effects": ["yes"], "follow_up.side_effects": ["nausea"],
    })));
    let unknown = Value::from(Serde(json!({"symptoms.severity_0_10": ["unknown"]})));
    let wrong = Value::from(Serde(json!({"follow_up.change": "required", "follow_up.side_effects": "not_an_option"})));
    let code = |error: &str| context! { step => "code", code => "K7MP", code_error => error, minutes => 3 };
    vec![
        question(context! {}, context! {}, &[], false),
        question(all, wrong, &["follow_up.urges"], true),
        question(unknown, context! {}, &[], false),
        code("wait"),
        code("wrong"),
        code("incomplete"),
        context! { step => "done", notices => ["Call us today."], late => false },
        context! { step => "done", notices => Vec::<String>::new(), late => true },
    ]
}
