//! Correcting a patient's record: names, birth date, sex, language, and how to reach the patient. The form is that of a new record.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::{Value, context};
use serde_json::{Value as Json, json};

use super::super::form_post::Sent;
use super::clinic::{locations, phone};
use super::done::Done;
use super::registering::Fields;
use super::{Member, MemberForm, refuse, registering, spoken, version};
use crate::error::{Error, Result};
use crate::http::etag::IfMatch;
use crate::http::{PathId, input};
use crate::ids::PatientId;
use crate::patients::records::model::{PatientPatch, PatientView};
use crate::patients::records::updating;
use crate::scheduling::setup::locations::LocationView;

const PAGE: &str = "desk-correct";

/// The prefix of the hidden fields, which have the record as it was when the form was drawn.
const WAS: &str = "was_";

/// Shows the form with the record.
pub(super) async fn show(member: Member, PathId(id): PathId<PatientId>) -> Result<HttpResponse> {
    let found = updating::read(&member.context, id).await?;
    let patient = &found.object.patient;
    let stored = stored(patient, &locations(&member).await?);
    registering::answer(&member, PAGE, &stored, more(patient, found.version, &stored), (StatusCode::OK, &[])).await
}

/// What the form has beside its fields. `was` is the record as it was when the form was drawn.
fn more(patient: &PatientView, version: i32, was: &Fields) -> Value {
    let correcting = context! { id => patient.id.to_string(), name => patient.display_name.as_str() };
    let was: Vec<_> = was.iter().map(|(name, text)| (format!("{WAS}{name}"), text.clone())).collect();
    context! { correcting => correcting, version => version, was => was, changed => Value::from(()), alike => Value::from(()), time => Value::from(()) }
}

/// The record as it was when the form was drawn.
fn drawn(sent: &Sent) -> Fields {
    registering::FIELDS.into_iter().map(|name| (name, sent.first(&format!("{WAS}{name}")).to_owned())).collect()
}

/// The fields whose texts differ. A language that the desk types goes before the one of the list.
fn differing(one: &Fields, other: &Fields) -> Vec<&'static str> {
    let text = |fields: &Fields, name: &str| match name {
        "preferred_language" => registering::language(fields),
        _ => fields.get(name).map(|text| text.trim().to_owned()).unwrap_or_default(),
    };
    let fields = registering::FIELDS.into_iter().filter(|name| *name != "other_language");
    fields.filter(|name| text(one, name) != text(other, name)).collect()
}

/// Brings a stale form up to date: a field that the desk has not changed gets the record's present value.
fn renewed(typed: &Fields, was: &Fields, now: &Fields) -> Fields {
    let touched = differing(typed, was);
    let is_typed = |name: &str| touched.contains(&if name == "other_language" { "preferred_language" } else { name });
    now.iter().map(|(name, text)| (*name, if is_typed(name) { typed[name].clone() } else { text.clone() })).collect()
}

/// The fields of the form as the record has them.
fn stored(patient: &PatientView, locations: &[LocationView]) -> Fields {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let interpreter = if patient.interpreter_needed { "yes" } else { "" };
    BTreeMap::from([
        ("given_name", text(&patient.given_name)),
        ("family_name", patient.family_name.clone()),
        ("date_of_birth", patient.date_of_birth.0.to_string()),
        ("administrative_sex", patient.administrative_sex.as_str().to_owned()),
        ("phone", patient.phone.as_ref().map(|number| phone(number, locations)).unwrap_or_default()),
        ("email", text(&patient.email)),
        ("preferred_language", patient.preferred_language.clone()),
        ("other_language", String::new()),
        ("interpreter_needed", interpreter.to_owned()),
    ])
}

/// What the form changes. An address that is sent again would count as entered again, although nobody has.
fn patch(typed: &Fields, was: &Fields) -> Json {
    let mut built = json!({});
    for name in differing(typed, was) {
        let text = typed.get(name).map_or("", |text| text.trim());
        built[name] = match name {
            "preferred_language" => registering::language(typed).into(),
            "interpreter_needed" => (!text.is_empty()).into(),
            _ if text.is_empty() => Json::Null,
            _ => text.into(),
        };
    }
    if let Some(given) = built.get("given_name") {
        built["mononym"] = given.is_null().into();
    }
    built
}

/// Changes the record.
pub(super) async fn save(form: MemberForm, PathId(id): PathId<PatientId>) -> Result<HttpResponse> {
    let member = &form.member;
    let version = version(&form)?;
    let (typed, was) = (registering::typed(&form.sent), drawn(&form.sent));
    let built = patch(&typed, &was);
    let changed = match input::read_built::<PatientPatch>(&built, &*member.operation("update_patient")?) {
        Ok(body) => updating::update(&member.context, id, IfMatch::version(version), body.value).await,
        Err(error) => Err(error),
    };
    match changed {
        Ok(_) => Ok(member.go_to(&Done::Corrected.on(&format!("desk/patients/{id}")))),
        Err(Error::Invalid(errors)) => {
            let patient = updating::read(&member.context, id).await?.object.patient;
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            registering::answer(member, PAGE, &typed, more(&patient, version, &was), (status, &errors)).await
        }
        Err(Error::Stale) => show_stale(member, id, &typed, &was).await,
        Err(error) => refuse(&form, &format!("desk/patients/{id}/correct"), error).await,
    }
}

/// Shows the form once more, up to date, with what others have changed. The next press stores what the desk typed.
async fn show_stale(member: &Member, id: PatientId, typed: &Fields, was: &Fields) -> Result<HttpResponse> {
    let found = updating::read(&member.context, id).await?;
    let patient = &found.object.patient;
    let now = stored(patient, &locations(member).await?);
    let renewed = renewed(typed, was, &now);
    if differing(&renewed, &now).is_empty() {
        // The form was sent twice.
        member.context.audit.note_unchanged();
        return Ok(member.go_to(&Done::Corrected.on(&format!("desk/patients/{id}"))));
    }
    let word = |name: &str| match name {
        "preferred_language" => spoken::name(&now[name], member.language),
        _ => now[name].clone(),
    };
    let changed: BTreeMap<&str, String> = differing(&now, was).into_iter().map(|name| (name, word(name))).collect();
    let values = context! { changed => changed, ..more(patient, found.version, &now) };
    registering::answer(member, PAGE, &renewed, values, (StatusCode::PRECONDITION_FAILED, &[])).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(form: &str) -> Fields {
        registering::typed(&Sent::read(form.as_bytes()))
    }

    #[test]
    fn a_stale_form_keeps_what_was_typed_and_takes_over_what_others_have_changed() {
        let was = fields("given_name=Ann&family_name=Example&phone=1&preferred_language=en");
        let typed = fields("given_name=Ann&family_name=Samples&phone=1&preferred_language=en&other_language=hmn");
        let now = fields("given_name=Anna&family_name=Example&phone=2&preferred_language=es&interpreter_needed=yes");
        let renewed = renewed(&typed, &was, &now);
        let expected = "given_name=Anna&family_name=Samples&phone=2&preferred_language=en&other_language=hmn&interpreter_needed=yes";
        assert_eq!(renewed, fields(expected));
        assert_eq!(patch(&renewed, &now), json!({"family_name": "Samples", "preferred_language": "hmn"}));
        assert_eq!(differing(&now, &was), ["given_name", "phone", "preferred_language", "interpreter_needed"]);
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
