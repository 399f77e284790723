//! Finding a patient with one field. The words are in the body of a form, so that no name stands in an address.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::{Value, context};
use url::form_urlencoded::Serializer;

use super::super::desk::search_parameter;
use super::{Member, MemberForm, person};
use crate::error::{Error, Result};
use crate::patients::records::searching;

const OPERATION: &str = "list_patients";

/// Shows the empty field.
pub(super) async fn ask(member: Member) -> Result<HttpResponse> {
    member.answer("doctor-patients", StatusCode::OK, context! { found => Vec::<Value>::new(), wrong => false }).await
}

/// Shows the patients whom the words find.
pub(super) async fn find(form: MemberForm) -> Result<HttpResponse> {
    let member = &form.member;
    let asked = form.sent.first("q").trim().to_owned();
    if asked.is_empty() {
        member.context.audit.note_unchanged();
        return Ok(member.go_to("doctor/patients"));
    }
    let (status, found) = match search(member, &asked).await {
        Ok(found) => (StatusCode::OK, found),
        Err(Error::Invalid(_)) => (StatusCode::UNPROCESSABLE_ENTITY, Vec::new()),
        Err(other) => return Err(other),
    };
    // A form that only reads. The middleware notes its event.
    member.context.audit.note_unchanged();
    let values = context! { asked => asked, found => found, wrong => status != StatusCode::OK };
    member.answer("doctor-patients", status, values).await
}

async fn search(member: &Member, asked: &str) -> Result<Vec<Value>> {
    let (name, value) = search_parameter(asked);
    let query = Serializer::new(String::new()).append_pair(name, &value).append_pair("limit", "30").finish();
    let (filter, page) = (member.parameters(OPERATION, &query)?, member.parameters(OPERATION, &query)?);
    let found = searching::search(&member.context, filter, page).await?;
    let row = |patient: &crate::patients::records::model::PatientView| {
        let who = person::shown(member, patient.id, &patient.display_name, patient.date_of_birth.0, &patient.mrn);
        context! { near => found.near_matches.contains(&patient.id), ..who }
    };
    Ok(found.items.iter().map(row).collect())
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let page = |found: Vec<Value>, asked: &str, wrong: bool| {
        let member = super::super::member::example_practitioner();
        (
            "doctor-patients",
            context! { root => "../", member => member, asked => asked, found => found, wrong => wrong },
        )
    };
    let row = |near: bool| context! { near => near, ..person::example() };
    let empty = context! {
        root => "../", member => super::super::member::example_practitioner(), found => Vec::<Value>::new(), wrong => false,
    };
    vec![
        page(vec![row(true), row(false)], "ann <b>", false),
        page(vec![], "ann", false),
        page(vec![], "1", true),
        ("doctor-patients", empty),
    ]
}
