//! Registering a patient at the counter. The card that follows shows other records that may be of the same person.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use jiff::SignedDuration;
use minijinja::{Value, context};
use serde_json::json;

use super::super::form_post::Sent;
use super::clinic::locations;
use super::done::Done;
use super::searching::row;
use super::spoken;
use super::wanted::Wanted;
use super::{Member, MemberForm};
use crate::error::{Error, FieldCode, FieldError, Result};
use crate::http::input;
use crate::patients::records::model::PatientView;
use crate::patients::records::{creating, searching};

/// The fields of the form in its order, named as the members of the API. `other_language` is a language that the list does not have.
pub(super) const FIELDS: [&str; 9] = [
    "family_name",
    "given_name",
    "date_of_birth",
    "administrative_sex",
    "phone",
    "email",
    "preferred_language",
    "other_language",
    "interpreter_needed",
];

const PAGE: &str = "desk-register";

/// The texts of the fields.
pub(super) type Fields = BTreeMap<&'static str, String>;

pub(super) async fn show(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    let wanted = Wanted::of(&Sent::read(request.query_string().as_bytes()));
    answer(
        &member,
        PAGE,
        &typed(&Sent::read(b"preferred_language=en")),
        more(&member, &wanted).await?,
        (StatusCode::OK, &[]),
    )
    .await
}

/// The languages to choose from: the common ones, and the one that the record has.
fn languages(member: &Member, typed: &Fields) -> Vec<Value> {
    let of_record = typed.get("preferred_language").filter(|tag| !tag.is_empty() && !spoken::is_common(tag));
    let of_record = of_record.map(|tag| context! { code => tag, name => spoken::name(tag, member.language) });
    of_record.into_iter().chain(spoken::choices(member.language)).collect()
}

/// The fields of the form as they were sent.
pub(super) fn typed(sent: &Sent) -> Fields {
    FIELDS.into_iter().map(|name| (name, sent.first(name).to_owned())).collect()
}

/// What the form of a new record has beside its fields: the time for which the desk registers the patient, if it has chosen one.
async fn more(member: &Member, wanted: &Wanted) -> Result<Value> {
    let none = || Value::from(());
    let time = wanted.in_words(member).await?;
    Ok(
        context! { correcting => none(), alike => none(), was => none(), changed => none(), time => time, ..wanted.values() },
    )
}

/// Draws the form on a page: of a new record, or of one that is corrected.
pub(super) async fn answer(
    member: &Member,
    page: &str,
    typed: &Fields,
    more: Value,
    (status, errors): (StatusCode, &[FieldError]),
) -> Result<HttpResponse> {
    let wrong: BTreeMap<String, String> =
        errors.iter().map(|one| (one.pointer.trim_start_matches('/').to_owned(), one.detail.clone())).collect();
    let mut in_order: Vec<String> = wrong.keys().cloned().collect();
    in_order.sort_by_key(|name| FIELDS.iter().position(|field| field == name).unwrap_or(FIELDS.len()));
    let values = context! {
        typed => typed.clone(), wrong => wrong, in_order => in_order, languages => languages(member, typed), form_key => member.form_key(), ..more
    };
    member.answer(page, status, values).await
}

/// The language that the fields name. One that is typed goes before the list.
pub(super) fn language(typed: &Fields) -> String {
    let text = |name: &str| typed.get(name).map_or("", |text| text.trim());
    let other = text("other_language");
    let named = if other.is_empty() { text("preferred_language") } else { other };
    named.to_owned()
}

/// The records that may be of the same person: born on that day, with one of the names or the number.
async fn alike(member: &Member, typed: &Fields) -> Result<Vec<Value>> {
    const OPERATION: &str = "list_patients";
    let query = format!("date_of_birth={}&limit=50", typed["date_of_birth"].trim());
    let (filter, page) = (member.parameters(OPERATION, &query)?, member.parameters(OPERATION, &query)?);
    // Aside, because the response shows only those who are alike.
    let aside = member.context.aside(OPERATION, uuid::Uuid::nil());
    let found = searching::search(&aside, filter, page).await?.items;
    let locations = locations(member).await?;
    let is_same =
        |name: &str, stored: &str| !name.trim().is_empty() && name.trim().to_lowercase() == stored.to_lowercase();
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    // A form that is sent twice finds what it has just registered, and gets the same response.
    let before = member.context.env.now().minus(SignedDuration::from_mins(2));
    let is_alike = |patient: &&PatientView| {
        let number = digits(&typed["phone"]);
        patient.created_at < before
            && (is_same(&typed["family_name"], &patient.family_name)
                || patient.given_name.as_deref().is_some_and(|given| is_same(&typed["given_name"], given))
                || (!number.is_empty()
                    && patient.phone.as_deref().is_some_and(|stored| digits(stored).ends_with(&number))))
    };
    let alike: Vec<&PatientView> = found.iter().filter(is_alike).collect();
    member.context.audit.note_shown(alike.iter().map(|patient| patient.id));
    Ok(alike.into_iter().map(|patient| row(member, patient, &locations, false)).collect())
}

/// Creates the record, with the strict checks of the API, and leads to the times if the desk has chosen one. If a record may be of the same
/// person, the desk is asked before. Others that are less like it are on the card, which comes first then.
pub(super) async fn register(form: MemberForm) -> Result<HttpResponse> {
    let member = &form.member;
    let text = |name: &str| form.sent.first(name).trim();
    let wanted = Wanted::of(&form.sent);
    let mut built = json!({
        "family_name": text("family_name"), "date_of_birth": text("date_of_birth"), "administrative_sex": text("administrative_sex"),
        "preferred_language": language(&typed(&form.sent)), "interpreter_needed": !text("interpreter_needed").is_empty(),
    });
    for name in ["given_name", "phone", "email"] {
        if !text(name).is_empty() {
            built[name] = text(name).into();
        }
    }
    if text("given_name").is_empty() {
        built["mononym"] = true.into();
    }
    let body = input::read_built(&built, &*member.operation("create_patient")?);
    if body.is_ok() && text("another").is_empty() {
        let typed = typed(&form.sent);
        let alike = alike(member, &typed).await?;
        if !alike.is_empty() {
            let values = context! { alike => alike, ..more(member, &wanted).await? };
            return answer(member, PAGE, &typed, values, (StatusCode::CONFLICT, &[])).await;
        }
    }
    let created = match body {
        Ok(body) => creating::create(&member.context, form.once("register"), body.value).await,
        Err(error) => Err(error),
    };
    match created {
        Ok(created) => {
            let card = format!("desk/patients/{}", created.object.patient.id);
            let is_alone = created.object.duplicates.is_none_or(|found| found.is_empty());
            let page = if is_alone && wanted.has_time() { format!("{card}/times") } else { card };
            Ok(member.go_to(&Done::Registered.on(&wanted.link(&page))))
        }
        Err(Error::Invalid(mut errors)) => {
            if text("phone").is_empty() && text("email").is_empty() && errors.iter().all(|one| one.pointer != "/phone")
            {
                // The API looks at this rule after the others.
                errors.push(FieldError::new("/phone", FieldCode::Required, "is required without an email"));
            }
            answer(
                member,
                PAGE,
                &typed(&form.sent),
                more(member, &wanted).await?,
                (StatusCode::UNPROCESSABLE_ENTITY, &errors),
            )
            .await
        }
        Err(other) => Err(other),
    }
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    /// What every field has: a value of the field of the sex, too.
    const EXAMPLE: &str = "female";
    let page = |all: bool, is_wrong: bool| {
        let typed: BTreeMap<&str, &str> =
            FIELDS.into_iter().map(|name| (name, if all { EXAMPLE } else { "" })).collect();
        let wrong: BTreeMap<&str, &str> =
            FIELDS.into_iter().chain(["other"]).filter(|_| is_wrong).map(|name| (name, "is wrong")).collect();
        let member = super::super::member::example(true);
        let languages = [context! { code => EXAMPLE, name => "English" }, context! { code => "es", name => "Spanish" }];
        let wanted = if all { Wanted::default().with("location_id", "1") } else { Wanted::default() };
        let values = context! {
            root => "../../", member => member, typed => typed, wrong => wrong.clone(), in_order => wrong.into_keys().collect::<Vec<_>>(),
            languages => languages, form_key => "k", time => all.then_some("Monday, March 2, 9:45 AM, Dr. Osei"),
            correcting => (all && is_wrong).then(|| context! { id => "1", name => "Ann <b>Example" }),
            alike => (all && !is_wrong).then(|| [true, false].map(|all| context! {
                id => "1", name => "Ann", born => "Sep 14, 1967", mrn => "LW-001001", phone => all.then_some("(212) 555-0100"),
            })),
            was => all.then_some([("was_phone", "1")]), desk_place => if is_wrong { "1" } else { "" }, changed => all.then(|| context! {
                given_name => "Anna", email => "", administrative_sex => EXAMPLE, interpreter_needed => if is_wrong { "yes" } else { "" },
            }), ..wanted.values()
        };
        (if all && is_wrong { "desk-correct" } else { PAGE }, values)
    };
    let (name, alike) = page(true, false);
    let anywhere = context! { ..Wanted::default().values(), ..alike };
    vec![page(true, true), page(true, false), page(false, true), page(false, false), (name, anywhere)]
}
