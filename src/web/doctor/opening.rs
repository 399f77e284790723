//! Opening the record of a patient whom the practitioner does not treat: the reason, which the API takes in `Access-Reason`, comes from a
//! form. The opening is stored and audited by the operation that reads with it.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use minijinja::{Value, context};
use url::form_urlencoded::Serializer;

use super::super::account::checked_next;
use super::super::form_post::Sent;
use super::{Member, MemberForm, person};
use crate::accounts::caller::{MAX_REASON, checked_reason};
use crate::error::{Error, FieldCode, ProblemCode, Result};
use crate::http::PathId;
use crate::ids::PatientId;
use crate::intake::timeline;
use crate::patients::records::updating;

/// The page that asks for the reason. `next` is the page to show afterwards.
pub(super) fn link(patient: PatientId, next: &str) -> String {
    let query = Serializer::new(String::new()).append_pair("next", next).finish();
    format!("doctor/patients/{patient}/open?{query}")
}

/// Says that a record is closed, with the way to give a reason. Shows nothing of the patient: the event of this request is a refusal.
///
/// # Errors
/// Every other error.
pub(super) async fn closed(member: &Member, page: &str, written: Vec<String>, error: Error) -> Result<HttpResponse> {
    let is_closed = matches!(&error, Error::Forbidden(refusal) if refusal.code == ProblemCode::ReasonRequired);
    // The operation has noted the patient before it refused.
    let Some(patient) = member.context.audit.notes().patient.filter(|_| is_closed) else { return Err(error) };
    let values = context! { open => link(patient, page), written => written };
    member.answer("doctor-closed", StatusCode::FORBIDDEN, values).await
}

/// Asks why the practitioner needs the record.
pub(super) async fn ask(member: Member, PathId(id): PathId<PatientId>, request: HttpRequest) -> Result<HttpResponse> {
    let sent = Sent::read(request.query_string().as_bytes());
    let patient = updating::read(&member.context, id).await?.object.patient;
    let who = person::shown(&member, id, &patient.display_name, patient.date_of_birth.0, &patient.mrn);
    let next = checked_next(sent.first("next")).unwrap_or_default().to_owned();
    answer(&member, StatusCode::OK, context! { patient => who, ..form(&member, id, &next, "", "") }).await
}

fn form(member: &Member, id: PatientId, next: &str, reason: &str, wrong: &str) -> Value {
    context! {
        id => id.to_string(), next => next, reason => reason, wrong => wrong, most => MAX_REASON,
        hours => member.context.env.config.settings.record_open_hours, form_key => member.form_key(),
    }
}

async fn answer(member: &Member, status: StatusCode, values: Value) -> Result<HttpResponse> {
    member.answer("doctor-open", status, values).await
}

/// Opens the record with the reason, and shows the page that was asked for.
pub(super) async fn open(form: MemberForm, PathId(id): PathId<PatientId>) -> Result<HttpResponse> {
    let member = &form.member;
    let (next, typed) = (checked_next(form.sent.first("next")).unwrap_or_default(), form.sent.first("reason"));
    let reason = match checked_reason(typed, "/reason") {
        Ok(reason) => reason,
        Err(Error::Invalid(errors)) => {
            let wrong = match errors.first().map(|one| one.code) {
                Some(FieldCode::TooLong) => "long",
                Some(FieldCode::Required | FieldCode::TooShort | FieldCode::WrongValue) => "short",
                _ => "line",
            };
            // Nothing was read of the patient.
            let values = context! { patient => Value::from(()), ..self::form(member, id, next, typed, wrong) };
            return answer(member, StatusCode::UNPROCESSABLE_ENTITY, values).await;
        }
        Err(other) => return Err(other),
    };
    let mut context = member.context.clone();
    context.actor.access_reason = Some(reason);
    timeline::read(&context, id).await?;
    // The opening has its event. The middleware notes that of the reading.
    context.audit.note_unchanged();
    let record = format!("doctor/patients/{id}");
    Ok(member.go_to(if next.is_empty() { &record } else { next }))
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let member = super::super::member::example_practitioner;
    let closed = |written: Vec<&'static str>| {
        let values = context! { root => "../../", member => member(), open => "doctor/patients/1/open?next=x", written => written };
        ("doctor-closed", values)
    };
    let form = |wrong: &str| {
        context! {
            root => "../../../", member => member(), id => "1", next => "doctor/flags", reason => "On <call>", wrong => wrong, most => 200, hours => 12,
            form_key => "k",
        }
    };
    let asked = context! { patient => person::example(), ..form("") };
    let again =
        ["long", "short", "line"].map(|wrong| ("doctor-open", context! { patient => Value::from(()), ..form(wrong) }));
    [vec![closed(vec![]), closed(vec!["Called <her>"]), ("doctor-open", asked)], again.to_vec()].concat()
}
