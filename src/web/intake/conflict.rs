//! The page on which a person chooses between what they typed and what was saved meanwhile by another page.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::value::Serde;
use minijinja::{Value, context};
use rls::form::{FieldType, FormField};
use serde_json::Value as Json;

use super::super::form_post::Sent;
use super::super::member::Member;
use super::draft::{Draft, companion, say};
use super::frame;
use super::question::{anchor, in_words};
use super::saving::Difference;
use crate::error::Result;

/// The fields that the page has itself. The others carry what was typed.
const OWN: [&str; 3] = ["base", "form_token", "go"];
/// The choice of what was saved meanwhile.
pub(super) const SAVED: &str = "saved";

/// The name of the choice about a field.
pub(super) fn choice(id: &str) -> String {
    format!("take.{id}")
}

/// Shows both versions of each answer that differs. Nothing is saved yet; the form carries everything that was typed.
pub(super) async fn show(
    member: &Member,
    draft: &Draft,
    page: &str,
    fields: &[FormField],
    differences: &[Difference],
    (base, sent): (String, &Sent),
) -> Result<HttpResponse> {
    let versions: Vec<Value> = differences.iter().map(|difference| version(draft, fields, difference)).collect();
    let values = context! { versions => versions, base => base, is_entry => false };
    answer(member, draft, page, sent, values).await
}

/// The saved answers of a section, from which its page is drawn.
pub(super) fn base(draft: &Draft, fields: &[FormField]) -> String {
    let ids = fields.iter().filter(|field| field.r#type != FieldType::Entries).map(|field| &field.link_id);
    let saved = ids.filter_map(|id| Some((id.clone(), draft.value(id)?.clone())));
    Json::Object(saved.collect()).to_string()
}

fn version(draft: &Draft, fields: &[FormField], difference: &Difference) -> Value {
    let field = fields.iter().find(|field| field.link_id == difference.id);
    let reason = field.and_then(|field| companion(fields, field));
    let words = |values: &Json| {
        let ids = [field, reason].into_iter().flatten().map(|one| one.link_id.clone());
        in_words(draft.language, &ids.zip(values.as_array().cloned().unwrap_or_default()).collect::<Vec<_>>())
    };
    context! {
        choice => choice(&difference.id),
        anchor => anchor(&difference.id),
        label => field.map(|field| say(&field.label, draft.language)),
        mine => words(&difference.mine),
        saved => words(&difference.saved),
    }
}

/// Answers with the page. `page` is the address of the form within the intake.
pub(super) async fn answer(
    member: &Member,
    draft: &Draft,
    page: &str,
    sent: &Sent,
    values: Value,
) -> Result<HttpResponse> {
    let kept = sent.fields().filter(|(name, _)| !OWN.contains(name) && !name.starts_with("take."));
    let typed: Vec<[&str; 2]> = kept.map(|(name, value)| [name, value]).collect();
    let values = context! { target => draft.page(page), typed => Value::from(Serde(typed)), ..values };
    let values = context! { ..frame(member, draft).await?, ..values };
    member.answer("form-conflict", StatusCode::CONFLICT, values).await
}
