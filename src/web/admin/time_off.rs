//! The time off and the extra hours of a practitioner: what there is, adding, and deleting.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use minijinja::{Value, context};
use text::Language;

use super::super::desk::{Clinic, absence};
use super::super::form_post::Sent;
use super::super::language::both;
use super::edit::{done, outcome, repeated};
use super::fields::{Choice, Draft, Field, Form, Kind};
use super::{Member, MemberForm};
use crate::error::{Error, Result};
use crate::http::PathId;
use crate::ids::{ExceptionId, PractitionerId};
use crate::scheduling::hours::exception::ExceptionKind;
use crate::scheduling::hours::exceptions::{self, ExceptionView};
use crate::scheduling::setup::practitioners;

const NAME: &str = "admin-time-off";

const FIELDS: [Field; 7] = [
    Field::new("kind", Kind::Choice, "What", "Qué"),
    Field::new("day", Kind::Day, "First day", "Primer día"),
    Field::new("last_day", Kind::Day, "Last day", "Último día").optional(),
    Field::new("from", Kind::Time, "From", "Desde")
        .optional()
        .hint("On the first day. Empty for the whole day.", "El primer día. Vacío para todo el día."),
    Field::new("to", Kind::Time, "Until", "Hasta").optional().hint("On the last day.", "El último día."),
    Field::new("location_id", Kind::Choice, "Place", "Lugar").optional().hint(
        "Needed for extra hours. Time off without a place is at all of them.",
        "Es necesario para horas extra. Sin lugar, la ausencia vale para todos.",
    ),
    Field::new("reason", Kind::Line, "Reason", "Motivo").most(500).hint("Staff see it.", "Lo ve el personal."),
];

fn form(clinic: &Clinic, language: Language) -> Form {
    let kinds = [
        (ExceptionKind::TimeOff, both("Time off", "Ausencia")),
        (ExceptionKind::ExtraHours, both("Extra hours", "Horas extra")),
    ];
    let kinds = kinds.map(|(kind, label)| Choice::new(kind.as_str(), label.text(language)));
    let places = clinic.locations.iter().map(|one| Choice::new(one.id, one.name.as_str()));
    Form::new(&FIELDS, language).with("kind", kinds.into()).with("location_id", places.collect())
}

fn page_of(practitioner: PractitionerId) -> String {
    format!("admin/practitioners/{practitioner}/time-off")
}

/// Shows what there is, with the form that adds more.
pub(super) async fn show(
    member: Member,
    PathId(id): PathId<PractitionerId>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let sent = Sent::read(request.query_string().as_bytes());
    let clinic = Clinic::read(&member).await?;
    answer(&member, id, &clinic, StatusCode::OK, &Draft::new(&[("kind", "time_off")]), &sent).await
}

async fn answer(
    member: &Member,
    id: PractitionerId,
    clinic: &Clinic,
    status: StatusCode,
    draft: &Draft,
    sent: &Sent,
) -> Result<HttpResponse> {
    let name = practitioners::read(&member.public(), None, id).await?.object.name;
    let rows: Vec<Value> = absence::of(member, id).await?.iter().map(|one| row(member, clinic, id, one)).collect();
    let values = context! {
        id => id.to_string(), name => name, rows => rows, setup => false, form_key => member.form_key(), conflict => Value::from(()),
        ..form(clinic, member.language).drawn(draft)
    };
    let values = context! { ..values, ..outcome(sent) };
    member.answer(NAME, status, values).await
}

fn row(member: &Member, clinic: &Clinic, practitioner: PractitionerId, one: &ExceptionView) -> Value {
    let zone = absence::zone(member, clinic, practitioner, one.location_id);
    context! {
        id => one.id.to_string(), is_time_off => one.kind == ExceptionKind::TimeOff, reason => one.reason.as_deref(),
        when => absence::when(one, &zone, member.language), place => one.location_id.map(|id| clinic.location(id)),
    }
}

/// Adds time off or extra hours.
pub(super) async fn create(sent: MemberForm, PathId(id): PathId<PractitionerId>) -> Result<HttpResponse> {
    let member = &sent.member;
    let clinic = Clinic::read(member).await?;
    let mut draft = form(&clinic, member.language).read(&sent.sent);
    match absence::add(&sent, &clinic, id, "exception").await {
        Ok(created) => Ok(done(member, &page_of(id), created.affected.affected_total)),
        Err(Error::Invalid(errors)) => {
            draft.errors = errors;
            answer(member, id, &clinic, StatusCode::UNPROCESSABLE_ENTITY, &draft, &Sent::read(b"")).await
        }
        Err(other) => Err(other),
    }
}

/// Deletes one. What is gone is deleted.
pub(super) async fn delete(form: MemberForm, PathId(id): PathId<ExceptionId>) -> Result<HttpResponse> {
    let practitioner: PractitionerId = form.sent.first("practitioner").parse().map_err(|_| Error::NotFound)?;
    match exceptions::remove(&form.member.context, id).await {
        Ok(affected) => Ok(done(&form.member, &page_of(practitioner), affected.affected_total)),
        Err(Error::NotFound) => Ok(repeated(&form.member, &page_of(practitioner))),
        Err(other) => Err(other),
    }
}

#[cfg(test)]
pub(super) fn examples(language: Language) -> Vec<(&'static str, Value)> {
    let clinic = Clinic::default();
    let form = form(&clinic, language);
    let row = |all: bool| {
        context! { id => "1", is_time_off => all, reason => all.then_some("<b>Ill"), when => "Monday", place => all.then_some("Elm") }
    };
    let page = |rows: Vec<Value>, draft: &Draft| {
        let values = context! {
            root => "../../../", member => super::super::member::example_admin(), id => "1", name => "Dr. <b>Osei", rows => rows, setup => false,
            form_key => "k", conflict => Value::from(()), ..form.drawn(draft)
        };
        (NAME, context! { ..values, ..outcome(&Sent::read(b"")) })
    };
    let wrong = vec![super::fields::wrong("day", crate::error::FieldCode::Required)];
    vec![
        page(vec![row(true), row(false)], &Draft::default()),
        page(vec![], &Draft { errors: wrong, ..Draft::default() }),
    ]
}
