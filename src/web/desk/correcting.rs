//! Correcting a patient's record: names, birth date, sex, language, and how to reach the patient. The form is that of a new record.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::{Value, context};
use serde_json::{Value as Json, json};

use super::clinic::{locations, phone};
use super::{Member, MemberForm, refuse, registering, spoken, version};
use crate::error::{Error, Result};
use crate::http::etag::IfMatch;
use crate::http::{PathId, input};
use crate::ids::PatientId;
use crate::patients::records::model::{PatientPatch, PatientView};
use crate::patients::records::updating;
use crate::scheduling::setup::locations::LocationView;

/// Shows the form with the record.
pub(super) async fn show(member: Member, PathId(id): PathId<PatientId>) -> Result<HttpResponse> {
    let found = updating::read(&member.context, id).await?;
    let patient = &found.object.patient;
    let typed = stored(patient, &locations(&member).await?);
    registering::answer(&member, &typed, more(patient, found.version), StatusCode::OK, &[]).await
}

/// What the form has beside its fields.
fn more(patient: &PatientView, version: i32) -> Value {
    let correcting = context! { id => patient.id.to_string(), name => patient.display_name.as_str() };
    context! { correcting => correcting, version => version }
}

/// The fields of the form as the record has them.
fn stored(patient: &PatientView, locations: &[LocationView]) -> BTreeMap<&'static str, String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let language = patient.preferred_language.clone();
    let (listed, other) =
        if spoken::is_common(&language) { (language, String::new()) } else { (String::new(), language) };
    let interpreter = if patient.interpreter_needed { "yes" } else { "" };
    BTreeMap::from([
        ("given_name", text(&patient.given_name)),
        ("family_name", patient.family_name.clone()),
        ("date_of_birth", patient.date_of_birth.0.to_string()),
        ("administrative_sex", patient.administrative_sex.as_str().to_owned()),
        ("phone", patient.phone.as_ref().map(|number| phone(number, locations)).unwrap_or_default()),
        ("email", text(&patient.email)),
        ("preferred_language", listed),
        ("other_language", other),
        ("interpreter_needed", interpreter.to_owned()),
    ])
}

/// What the form changes. An address that is sent again would count as entered again, although nobody has.
fn patch(typed: &BTreeMap<&'static str, String>, before: &BTreeMap<&'static str, String>) -> Json {
    let of = |fields: &BTreeMap<&'static str, String>, name: &str| {
        fields.get(name).map(|text| text.trim().to_owned()).unwrap_or_default()
    };
    let mut built = json!({});
    for name in ["given_name", "family_name", "date_of_birth", "administrative_sex", "phone", "email"] {
        let text = of(typed, name);
        if text != of(before, name) {
            built[name] = if text.is_empty() { Json::Null } else { text.into() };
        }
    }
    if built.get("given_name").is_some() {
        built["mononym"] = of(typed, "given_name").is_empty().into();
    }
    let language = registering::language(typed);
    if language != registering::language(before) {
        built["preferred_language"] = language.into();
    }
    let needs_interpreter = !of(typed, "interpreter_needed").is_empty();
    if needs_interpreter == of(before, "interpreter_needed").is_empty() {
        built["interpreter_needed"] = needs_interpreter.into();
    }
    built
}

/// Changes the record.
pub(super) async fn save(form: MemberForm, PathId(id): PathId<PatientId>) -> Result<HttpResponse> {
    let member = &form.member;
    let version = version(&form)?;
    let before = updating::read(&member.context, id).await?.object.patient;
    let typed = registering::typed(&form.sent);
    let built = patch(&typed, &stored(&before, &locations(member).await?));
    let changed = match input::read_built::<PatientPatch>(&built, &*member.operation("update_patient")?) {
        Ok(body) => updating::update(&member.context, id, IfMatch::version(version), body.value).await,
        Err(error) => Err(error),
    };
    match changed {
        Ok(_) => Ok(member.go_to(&format!("desk/patients/{id}"))),
        Err(Error::Invalid(errors)) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            registering::answer(member, &typed, more(&before, version), status, &errors).await
        }
        Err(error) => refuse(&form, &format!("desk/patients/{id}/correct"), error).await,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::form_post::Sent;
    use super::*;

    fn fields(form: &str) -> BTreeMap<&'static str, String> {
        registering::typed(&Sent::read(form.as_bytes()))
    }

    #[test]
    fn only_what_the_desk_has_changed_is_sent() {
        let before = fields("given_name=Ann&family_name=Example&phone=1&email=ann%40example.org&preferred_language=en");
        assert_eq!(patch(&before, &before), json!({}));
        let after = fields(
            "family_name=Example+&phone=2&email=ann%40example.org&preferred_language=en&other_language=hmn&interpreter_needed=yes",
        );
        let expected = json!({
            "given_name": null, "mononym": true, "phone": "2", "preferred_language": "hmn", "interpreter_needed": true,
        });
        assert_eq!(patch(&after, &before), expected);
        assert_eq!(patch(&before, &after)["mononym"], false);
    }
}
