//! How the clinic's time is used: the figures of a period and of each day.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use minijinja::value::Serde;
use minijinja::{Value, context};
use url::form_urlencoded::Serializer;

use super::super::desk::Clinic;
use super::super::form_post::Sent;
use super::Member;
use crate::error::{Error, Result};
use crate::messages::times::Moment;
use crate::reports::utilisation::{self, Utilisation};

const NAME: &str = "admin-utilisation";
const FILTERS: [&str; 4] = ["from", "to", "location_id", "practitioner_id"];

/// Shows the figures. By default those of the last four weeks.
pub(super) async fn show(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    let sent = Sent::read(request.query_string().as_bytes());
    let filters: Vec<(&str, &str)> = FILTERS.iter().map(|name| (*name, sent.first(name).trim())).collect();
    let set = filters.iter().filter(|(_, value)| !value.is_empty());
    let query = Serializer::new(String::new()).extend_pairs(set).finish();
    let report = match read(&member, &query).await {
        Ok(report) => Some(report),
        Err(Error::Invalid(_)) => None,
        Err(other) => return Err(other),
    };
    let clinic = Clinic::read(&member).await?;
    let option =
        |id: String, name: &str, filter: &str| context! { chosen => id == sent.first(filter), id => id, name => name };
    let places = clinic.locations.iter().map(|one| option(one.id.to_string(), &one.name, "location_id"));
    let people = clinic.practitioners.iter().map(|one| option(one.id.to_string(), &one.name, "practitioner_id"));
    // The period that was taken if none was given.
    let period = |name: &str, day: Option<String>| {
        if sent.first(name).is_empty() { day.unwrap_or_default() } else { sent.first(name).to_owned() }
    };
    let values = context! {
        from => period("from", report.as_ref().map(|report| report.from.0.to_string())),
        to => period("to", report.as_ref().map(|report| report.to.0.to_string())),
        places => places.collect::<Vec<_>>(), people => people.collect::<Vec<_>>(), is_wrong => report.is_none(),
        days => report.as_ref().map(|report| days(&member, report)).unwrap_or_default(),
        total => report.as_ref().map(|report| Value::from(Serde(&report.total))),
    };
    let status = if report.is_some() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    member.answer(NAME, status, values).await
}

async fn read(member: &Member, query: &str) -> Result<Utilisation> {
    utilisation::read(&member.context, member.parameters("get_utilisation", query)?).await
}

/// The days on which there was something.
fn days(member: &Member, report: &Utilisation) -> Vec<Value> {
    let has_time = report.days.iter().filter(|day| day.figures.booked_minutes + day.figures.free_minutes > 0);
    has_time
        .map(|day| context! { day => Moment::of_day(day.date.0, member.language).day(), figures => Value::from(Serde(&day.figures)) })
        .collect()
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let figures = |all: bool| {
        context! {
            booked_visits => 14, booked_minutes => 420, free_minutes => 60, utilisation_percent => all.then_some(88), no_shows => 1, late_cancellations => 1,
            overbooked_visits => 0, waitlist_fills => 1, median_lead_days => all.then_some(6.5),
        }
    };
    let option = |chosen: bool| context! { id => "1", name => "<b>Elm", chosen => chosen };
    let day = |all: bool| context! { day => "Monday, March 9", figures => figures(all) };
    let page = |all: bool, is_wrong: bool| {
        let values = context! {
            root => "../", member => super::super::member::example_admin(), from => "2026-03-02", to => "2026-03-09", places => [option(true), option(false)],
            people => [option(true), option(false)], is_wrong => is_wrong, days => if all { vec![day(true), day(false)] } else { vec![] },
            total => (!is_wrong).then(|| figures(all)),
        };
        (NAME, values)
    };
    vec![page(true, false), page(false, false), page(false, true)]
}
