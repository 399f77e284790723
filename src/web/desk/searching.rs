//! Finding a patient with one field: by name, birth date, telephone number or record number. The words are in the body of a form, so that no
//! name stands in an address. With the script, the patients are found as the words are typed.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use jiff::civil::Date as Day;
use minijinja::{Value, context};
use url::form_urlencoded::Serializer;

use super::super::form_post::Sent;
use super::clinic::{locations, phone};
use super::day::in_short;
use super::wanted::Wanted;
use super::{Member, MemberForm};
use crate::error::{Error, Result};
use crate::patients::records::model::PatientView;
use crate::patients::records::searching;
use crate::scheduling::setup::locations::LocationView;

/// Shows the empty field. If the desk has chosen a time, the page asks for whom it is.
pub(super) async fn ask(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    let wanted = Wanted::of(&Sent::read(request.query_string().as_bytes()));
    let time = wanted.in_words(&member).await?;
    let values = context! {
        asked => "", found => Vec::<Value>::new(), why => Value::from(()), time => time, ..wanted.values()
    };
    member.answer("desk-patients", StatusCode::OK, values).await
}

/// Shows the patients whom the words find.
pub(super) async fn find(form: MemberForm) -> Result<HttpResponse> {
    let member = &form.member;
    let asked = form.sent.first("q").trim().to_owned();
    // A form that only reads. The middleware notes its event.
    member.context.audit.note_unchanged();
    let wanted = Wanted::of(&form.sent);
    if asked.is_empty() {
        return Ok(member.go_to(&wanted.link("desk/patients")));
    }
    let (mut found, mut why) = (Vec::new(), None);
    match search(member, &asked).await {
        Ok(rows) => found = rows,
        Err(Error::Invalid(errors)) => why = errors.first().map(|one| format!("The search {}.", one.detail)),
        Err(other) => return Err(other),
    }
    let status = if why.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let time = wanted.in_words(member).await?;
    let values = context! { asked => asked, found => found, why => why, time => time, ..wanted.values() };
    member.answer("desk-patients", status, values).await
}

async fn search(member: &Member, asked: &str) -> Result<Vec<Value>> {
    const OPERATION: &str = "list_patients";
    let (name, value) = parameter(asked);
    let query = Serializer::new(String::new()).append_pair(name, &value).append_pair("limit", "30").finish();
    let (filter, page) = (member.parameters(OPERATION, &query)?, member.parameters(OPERATION, &query)?);
    let found = searching::search(&member.context, filter, page).await?;
    let locations = locations(member).await?;
    let is_near = |patient: &PatientView| found.near_matches.contains(&patient.id);
    Ok(found.items.iter().map(|patient| row(member, patient, &locations, is_near(patient))).collect())
}

/// A patient in a list.
pub(super) fn row(member: &Member, patient: &PatientView, locations: &[LocationView], is_near: bool) -> Value {
    context! {
        id => patient.id.to_string(),
        name => patient.display_name.as_str(),
        born => in_short(patient.date_of_birth.0, member.language),
        mrn => patient.mrn.as_str(),
        phone => patient.phone.as_ref().map(|number| phone(number, locations)),
        email => patient.email.as_deref(),
        near => is_near,
    }
}

/// The search parameter that fits the typed text, with its value.
pub(in crate::web) fn parameter(asked: &str) -> (&'static str, String) {
    let digits = asked.chars().filter(char::is_ascii_digit).count();
    if asked.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("lw")) && digits > 0 {
        return ("mrn", asked.to_owned());
    }
    let american = Day::strptime("%m/%d/%Y", asked);
    if let Ok(day) = asked.parse::<Day>().or(american) {
        return ("date_of_birth", day.to_string());
    }
    if digits >= 4 && asked.chars().all(|c| c.is_ascii_digit() || " ()+-./".contains(c)) {
        return ("phone", asked.to_owned());
    }
    ("q", asked.to_owned())
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let row = |all: bool| {
        context! {
            id => "1", name => "Ann <b>Example", born => "Sep 14, 1967", mrn => "LW-001001", phone => all.then_some("(212) 555-0100"),
            email => all.then_some("ann@example.org"), near => all,
        }
    };
    [
        (vec![row(true), row(false)], "ann", None),
        (vec![row(true)], "ann", None),
        (vec![], "ann", None),
        (vec![], "", None),
        (vec![], "1", Some("The search is wrong.")),
    ]
    .map(|(found, asked, why)| {
        let member = super::super::member::example(true);
        let time = why.map(|_| "Monday, March 9, 9:30 AM");
        let wanted = if found.len() > 1 { Wanted::default() } else { Wanted::default().with("location_id", "1") };
        let values = context! {
            root => "../", member => member, asked => asked, found => found, why => why, time => time, ..wanted.values()
        };
        ("desk-patients", values)
    })
    .into()
}

#[cfg(test)]
mod tests {
    use super::parameter;

    #[test]
    fn one_field_finds_names_birth_dates_numbers_and_records() {
        for (asked, name, value) in [
            ("garc ana", "q", "garc ana"),
            ("O'Hara", "q", "O'Hara"),
            ("Lw", "q", "Lw"),
            ("LW-001001", "mrn", "LW-001001"),
            ("lw1001", "mrn", "lw1001"),
            ("1967-09-14", "date_of_birth", "1967-09-14"),
            ("9/14/1967", "date_of_birth", "1967-09-14"),
            ("0123", "phone", "0123"),
            ("(202) 555-0123", "phone", "(202) 555-0123"),
            ("+1 202 555 0123", "phone", "+1 202 555 0123"),
            ("123", "q", "123"),
        ] {
            assert_eq!(parameter(asked), (name, value.to_owned()), "{asked}");
        }
    }
}
