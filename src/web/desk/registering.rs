//! Registering a patient at the counter. The card that follows shows other records that may be of the same person.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::context;
use serde_json::json;

use super::super::form_post::Sent;
use super::{Member, MemberForm};
use crate::error::{Error, FieldError, Result};
use crate::http::input;
use crate::patients::records::creating;

/// The fields of the form, named as the members of the API.
const FIELDS: [&str; 8] = [
    "given_name",
    "family_name",
    "date_of_birth",
    "administrative_sex",
    "phone",
    "email",
    "preferred_language",
    "interpreter_needed",
];

pub(super) async fn show(member: Member) -> Result<HttpResponse> {
    answer(&member, &Sent::read(b"preferred_language=en&administrative_sex=unknown"), StatusCode::OK, &[]).await
}

async fn answer(member: &Member, sent: &Sent, status: StatusCode, errors: &[FieldError]) -> Result<HttpResponse> {
    let typed: BTreeMap<&str, String> = FIELDS.into_iter().map(|name| (name, sent.first(name).to_owned())).collect();
    let wrong: BTreeMap<String, String> =
        errors.iter().map(|one| (one.pointer.trim_start_matches('/').to_owned(), one.detail.clone())).collect();
    let values = context! { typed => typed, wrong => wrong, form_key => member.form_key() };
    member.answer("desk-register", status, values).await
}

/// Creates the record, with the strict checks of the API.
pub(super) async fn register(form: MemberForm) -> Result<HttpResponse> {
    let member = &form.member;
    let text = |name: &str| form.sent.first(name).trim();
    let mut built = json!({
        "family_name": text("family_name"), "date_of_birth": text("date_of_birth"), "administrative_sex": text("administrative_sex"),
        "preferred_language": text("preferred_language"), "interpreter_needed": !text("interpreter_needed").is_empty(),
    });
    for name in ["given_name", "phone", "email"] {
        if !text(name).is_empty() {
            built[name] = text(name).into();
        }
    }
    if text("given_name").is_empty() {
        built["mononym"] = true.into();
    }
    let created = match input::read_built(&built, &*member.operation("create_patient")?) {
        Ok(body) => creating::create(&member.context, form.once("register"), body.value).await,
        Err(error) => Err(error),
    };
    match created {
        Ok(created) => Ok(member.go_to(&format!("desk/patients/{}", created.object.patient.id))),
        Err(Error::Invalid(errors)) => answer(member, &form.sent, StatusCode::UNPROCESSABLE_ENTITY, &errors).await,
        Err(other) => Err(other),
    }
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, minijinja::Value)> {
    let page = |all: bool| {
        let typed: BTreeMap<&str, &str> =
            FIELDS.into_iter().map(|name| (name, if all { "female" } else { "" })).collect();
        let wrong: BTreeMap<&str, &str> = FIELDS.into_iter().filter(|_| all).map(|name| (name, "is wrong")).collect();
        let member = super::super::member::example(true);
        (
            "desk-register",
            context! { root => "../../", member => member, typed => typed, wrong => wrong, form_key => "k" },
        )
    };
    vec![page(true), page(false)]
}
