//! What a practitioner reads before and in a visit: the summary of an intake, and the course of restless legs. Both are served by the
//! operations of the API. A closed record leads to the question for a reason.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use jiff::civil::Date as Day;
use minijinja::{Value, context};
use rls::answers::LabTest;
use text::Language;

use super::super::form_post::Sent;
use super::opening::closed;
use super::{Member, day};
use crate::error::Result;
use crate::http::PathId;
use crate::ids::{IntakeId, PatientId};
use crate::intake::summary::{self, PageLink};
use crate::intake::timeline::{self, Timeline};
use crate::messages::times::Moment;

/// Shows the summary of an intake: the page to print, with links to the day, the record, the course and the review above it.
pub(super) async fn summary(
    member: Member,
    PathId(id): PathId<IntakeId>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let wanted = member.parameters("get_intake_summary", "")?;
    let found = match summary::read(&member.context, id, &wanted).await {
        Ok(found) => found,
        Err(error) => return closed(&member, &format!("doctor/intakes/{id}"), vec![], error).await,
    };
    let date: Option<Day> = Sent::read(request.query_string().as_bytes()).first("date").parse().ok();
    let record = format!("doctor/patients/{}", found.patient_id);
    let mut links = vec![
        (date.map_or_else(|| "doctor".to_owned(), day::link), "My day", "Mi día"),
        (record.clone(), "Record", "Expediente"),
        (format!("{record}/timeline"), "Course", "Evolución"),
    ];
    if found.is_submitted() {
        links.push((format!("doctor/intakes/{id}/review"), "Write the review", "Escribir la revisión"));
    }
    let link = |(page, en, es): (String, &'static str, &'static str)| PageLink {
        address: member.way_to(&page),
        text: if member.language == Language::Spanish { es } else { en },
        language: member.language.code(),
    };
    let links: Vec<PageLink> = links.into_iter().map(link).collect();
    found.page(&member.context.env, &links)
}

/// Shows the course of a patient as a picture, and its values as tables.
pub(super) async fn timeline(member: Member, PathId(id): PathId<PatientId>) -> Result<HttpResponse> {
    let found = match timeline::read(&member.context, id).await {
        Ok(found) => found,
        Err(error) => return closed(&member, &format!("doctor/patients/{id}/timeline"), vec![], error).await,
    };
    let values = context! {
        id => id.to_string(),
        title => found.title.as_str(),
        picture => Value::from_safe_string(found.picture(Some(member.language))),
        severity => severity(&found.timeline, member.language),
        values => laboratory(&found.timeline, member.language),
    };
    member.answer("doctor-timeline", StatusCode::OK, values).await
}

/// Who was how severe when, the newest first.
fn severity(timeline: &Timeline, language: Language) -> Vec<Value> {
    let points = timeline.severity.iter().rev();
    points
        .map(|point| {
            let on = Moment::of_day(point.on, language).date_alone();
            context! { on => on, total => point.irls_total, bothersome => point.severity_0_10 }
        })
        .collect()
}

/// The laboratory values, the newest first.
fn laboratory(timeline: &Timeline, language: Language) -> Vec<Value> {
    let name = |test: LabTest| {
        let found = LabTest::OPTIONS.iter().find(|option| option.value == test.as_str());
        found.map_or("", |option| if language == Language::Spanish { option.es } else { option.en })
    };
    let points = timeline.iron.iter().rev();
    points
        .map(|point| {
            let comparator = point.comparator.map_or("", rls::answers::Comparator::as_str);
            let value = format!("{comparator}{} {}", point.value, point.unit.as_str());
            context! { test => name(point.test), value => value, on => point.collected_on.to_string() }
        })
        .collect()
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let severity = |total: Option<u8>, bothersome: Option<u8>| {
        context! { on => "March 2, 2026", total => total, bothersome => bothersome }
    };
    let page = |severity: Vec<Value>, values: Vec<Value>| {
        let values = context! {
            root => "../../../", member => super::super::member::example_practitioner(), id => "1", title => "Ann <b>Example",
            picture => Value::from_safe_string("<svg/>".to_owned()), severity => severity, values => values,
        };
        ("doctor-timeline", values)
    };
    let value = context! { test => "Ferritin", value => "<20 ng/mL", on => "2026-02" };
    vec![page(vec![severity(Some(26), None), severity(None, Some(7))], vec![value]), page(vec![], vec![])]
}
