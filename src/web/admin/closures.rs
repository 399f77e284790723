//! The days and times at which a location is closed, such as holidays: the list, adding, and deleting.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use jiff::ToSpan;
use jiff::civil::{Date as Day, Time};
use jiff::tz::TimeZone;
use minijinja::{Value, context};
use serde_json::{Value as Json, json};
use text::Language;

use super::super::form_post::Sent;
use super::edit::{SETUP, done, is_setup, outcome, repeated};
use super::fields::{Draft, Field, Form, Kind, wrong};
use super::words;
use super::{Member, MemberForm};
use crate::error::{Error, FieldCode, FieldError, ProblemCode, Result};
use crate::http::paging::to_end;
use crate::http::{PathId, input};
use crate::ids::{ClosureId, LocationId};
use crate::messages::times::Moment;
use crate::scheduling::hours::closures::{self, ClosureView};
use crate::scheduling::setup::locations;

const NAME: &str = "admin-closures";
/// The most days of one form.
const MOST_DAYS: usize = 92;

const FIELDS: [Field; 5] = [
    Field::new("name", Kind::Line, "What for", "Motivo")
        .hint("Such as Independence Day. Staff see it.", "Por ejemplo, Día de la Independencia. Lo ve el personal."),
    Field::new("day", Kind::Day, "Day", "Día"),
    Field::new("last_day", Kind::Day, "Last day", "Último día")
        .optional()
        .hint("Of several days in a row.", "Si son varios días seguidos."),
    Field::new("from", Kind::Time, "Closed from", "Cerrado desde")
        .optional()
        .hint("Empty for the whole day.", "Vacío para todo el día."),
    Field::new("to", Kind::Time, "Closed until", "Cerrado hasta").optional(),
];

fn page_of(place: LocationId) -> String {
    format!("admin/locations/{place}/closures")
}

/// Shows the closures with the form that adds some.
pub(super) async fn show(member: Member, PathId(id): PathId<LocationId>, request: HttpRequest) -> Result<HttpResponse> {
    let sent = Sent::read(request.query_string().as_bytes());
    answer(&member, id, StatusCode::OK, &Draft::default(), &sent, None).await
}

async fn answer(
    member: &Member,
    id: LocationId,
    status: StatusCode,
    draft: &Draft,
    sent: &Sent,
    conflict: Option<ProblemCode>,
) -> Result<HttpResponse> {
    const LIST: &str = "list_closures";
    let place = locations::read(&member.public(), id).await?.object;
    let zone = member.zone(&place.time_zone);
    let found = to_end(async |page| {
        let found = closures::list(&member.context, id, member.parameters(LIST, "")?, page).await?;
        Ok((found.items, found.next_cursor))
    });
    let found = found.await?;
    let setup = is_setup(sent);
    let rows: Vec<Value> = found.iter().map(|one| row(one, &zone, member.language)).collect();
    let values = context! {
        id => id.to_string(), place => place.name, closures => rows, setup => setup, form_key => member.form_key(),
        conflict => conflict.map(|code| words::conflict(code).text(member.language)), ..Form::new(&FIELDS, member.language).drawn(draft)
    };
    let values = context! { ..values, ..outcome(sent) };
    member.answer(NAME, status, values).await
}

fn row(closure: &ClosureView, zone: &TimeZone, language: Language) -> Value {
    let hours = || {
        let [from, to] = [closure.starts_at, closure.ends_at].map(|at| Moment::new(at, zone, language));
        let end = if from.date() == to.date() { to.time() } else { format!("{}, {}", to.date(), to.time()) };
        format!("{}, {} – {end}", from.date(), from.time())
    };
    let when = closure.date.map_or_else(hours, |day| Moment::of_day(day.0, language).date());
    context! { id => closure.id.to_string(), name => closure.name.as_str(), when => when }
}

/// The body of the operation: each day, or a part of one day.
fn built(typed: &Sent, zone: &TimeZone) -> Result<Json, Vec<FieldError>> {
    let text = |name: &str| typed.first(name).trim();
    let day = |name: &str| text(name).parse::<Day>().map_err(|_| vec![wrong(name, FieldCode::NotADate)]);
    if text("day").is_empty() {
        return Err(vec![wrong("day", FieldCode::Required)]);
    }
    let first = day("day")?;
    let last = if text("last_day").is_empty() { first } else { day("last_day")? };
    if last < first {
        return Err(vec![wrong("last_day", FieldCode::OutOfOrder)]);
    }
    let name = text("name");
    if !text("from").is_empty() || !text("to").is_empty() {
        if last != first {
            return Err(vec![wrong("last_day", FieldCode::Contradiction)]);
        }
        let at = |name: &str| {
            let time = text(name).parse::<Time>().map_err(|_| vec![wrong(name, FieldCode::NotATime)])?;
            let at = first.to_datetime(time).to_zoned(zone.clone());
            at.map(|at| at.timestamp().to_string()).map_err(|_| vec![wrong(name, FieldCode::InvalidTime)])
        };
        return Ok(json!({"closures": [{"name": name, "starts_at": at("from")?, "ends_at": at("to")?}]}));
    }
    let days: Vec<Json> = first
        .series(1.day())
        .take_while(|day| *day <= last)
        .take(MOST_DAYS + 1)
        .map(|day| json!({"name": name, "date": day.to_string()}))
        .collect();
    if days.len() > MOST_DAYS {
        return Err(vec![wrong("last_day", FieldCode::OutOfRange)]);
    }
    Ok(json!({"closures": days}))
}

/// The broken rules at the fields of the form.
fn at_fields(errors: Vec<FieldError>) -> Vec<FieldError> {
    let mut found: Vec<FieldError> = Vec::new();
    for error in errors {
        let field = match error.pointer.rsplit('/').next() {
            Some("name") => "name",
            Some("starts_at") => "from",
            Some("ends_at") => "to",
            _ => "day",
        };
        // A name is wrong once, however many days it is of.
        if found.iter().all(|other| other.pointer != format!("/{field}")) {
            found.push(wrong(field, error.code));
        }
    }
    found
}

/// Adds closures.
pub(super) async fn create(form: MemberForm, PathId(id): PathId<LocationId>) -> Result<HttpResponse> {
    let member = &form.member;
    let mut draft = Form::new(&FIELDS, member.language).read(&form.sent);
    let zone = member.zone(&locations::read(&member.public(), id).await?.object.time_zone);
    let created = match built(&form.sent, &zone) {
        Ok(built) => match input::read_built(&built, &*member.operation("create_closures")?) {
            Ok(body) => closures::create(&member.context, form.once("closures"), id, body.value).await,
            Err(Error::Invalid(errors)) => Err(Error::Invalid(at_fields(errors))),
            Err(other) => Err(other),
        },
        Err(errors) => Err(Error::Invalid(errors)),
    };
    match created {
        Ok(created) => Ok(done(member, &page(&form, id), created.affected.affected_total)),
        Err(Error::Invalid(errors)) => {
            let is_own = |error: &FieldError| FIELDS.iter().any(|field| error.pointer == format!("/{}", field.name));
            draft.errors = if errors.iter().all(is_own) { errors } else { at_fields(errors) };
            answer(member, id, StatusCode::UNPROCESSABLE_ENTITY, &draft, &form.sent, None).await
        }
        Err(Error::Conflict(conflict)) => {
            answer(member, id, StatusCode::CONFLICT, &draft, &form.sent, Some(conflict.code)).await
        }
        Err(other) => Err(other),
    }
}

/// Where a stored form leads: to the list, where more can be added.
fn page(form: &MemberForm, id: LocationId) -> String {
    if is_setup(&form.sent) && form.sent.first("more").is_empty() { SETUP.to_owned() } else { page_of(id) }
}

/// Deletes a closure. One that is gone is deleted.
pub(super) async fn delete(form: MemberForm, PathId(id): PathId<ClosureId>) -> Result<HttpResponse> {
    let place: LocationId = form.sent.first("location").parse().map_err(|_| Error::NotFound)?;
    match closures::remove(&form.member.context, id).await {
        Ok(()) => Ok(done(&form.member, &page_of(place), 0)),
        Err(Error::NotFound) => Ok(repeated(&form.member, &page_of(place))),
        Err(other) => Err(other),
    }
}

#[cfg(test)]
pub(super) fn examples(language: Language) -> Vec<(&'static str, Value)> {
    let closure = context! { id => "1", name => "<b>Holiday", when => "Monday, March 9, 2026" };
    let form = Form::new(&FIELDS, language);
    let page = |all: bool, draft: &Draft| {
        let values = context! {
            root => "../../../", member => super::super::member::example_admin(), id => "1", place => "<b>Elm", closures => if all { vec![closure.clone()] } else { vec![] },
            setup => !all, form_key => "k", conflict => Value::from(()), ..form.drawn(draft)
        };
        (NAME, context! { ..values, ..outcome(&Sent::read(b"")) })
    };
    let wrong = Draft { errors: vec![wrong("day", FieldCode::Required)], ..Draft::default() };
    vec![page(true, &Draft::default()), page(false, &wrong)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(form: &str) -> Result<Json, Vec<FieldError>> {
        built(&Sent::read(form.as_bytes()), &TimeZone::fixed(jiff::tz::offset(-5)))
    }

    #[test]
    fn each_day_is_closed_or_a_part_of_one() {
        let days = of("name=Holidays&day=2026-12-24&last_day=2026-12-26").expect("a body");
        assert_eq!(days["closures"].as_array().map(Vec::len), Some(3));
        assert_eq!(days["closures"][2], json!({"name": "Holidays", "date": "2026-12-26"}));
        let part = of("name=Eve&day=2026-12-24&from=12%3A00&to=17%3A30").expect("a body");
        let expected = json!({"name": "Eve", "starts_at": "2026-12-24T17:00:00Z", "ends_at": "2026-12-24T22:30:00Z"});
        assert_eq!(part["closures"], json!([expected]));
    }

    #[test]
    fn what_cannot_be_read_is_said_at_its_field() {
        for (form, field, code) in [
            ("name=x", "/day", FieldCode::Required),
            ("day=tomorrow", "/day", FieldCode::NotADate),
            ("day=2026-12-24&last_day=2026-12-23", "/last_day", FieldCode::OutOfOrder),
            ("day=2026-12-24&last_day=2027-12-23", "/last_day", FieldCode::OutOfRange),
            ("day=2026-12-24&last_day=2026-12-25&from=12:00&to=13:00", "/last_day", FieldCode::Contradiction),
            ("day=2026-12-24&from=12:00", "/to", FieldCode::NotATime),
        ] {
            let errors = of(form).expect_err(form);
            assert_eq!((errors[0].pointer.as_str(), errors[0].code), (field, code), "{form}");
        }
        let rule = |pointer: &str| FieldError::new(pointer, FieldCode::Required, "");
        let found = at_fields(vec![
            rule("/closures/0/name"),
            rule("/closures/1/name"),
            rule("/closures/1/date"),
            rule("/closures/0/ends_at"),
        ]);
        assert_eq!(found.iter().map(|one| one.pointer.as_str()).collect::<Vec<_>>(), ["/name", "/day", "/to"]);
    }
}
