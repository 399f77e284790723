//! The third step: the times of a day, as buttons that hold one.

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::ToSpan;
use jiff::civil::Date as Day;
use jiff::tz::TimeZone;
use minijinja::{Value, context};

use super::super::form_post::Sent;
use super::Visitor;
use super::clinic::Clinic;
use super::days::{count, facts, other_language, read_day};
use super::searching::Search;
use crate::db::types::Date;
use crate::env::Env;
use crate::error::Result;
use crate::http::fallback::Routes;
use crate::messages::times::Moment;
use crate::scheduling::slots::free::SlotView;
use crate::scheduling::slots::search;

/// How many pages of the search are read: more slots than a day has for one visit.
const PAGES: usize = 5;

/// Shows the times of a day.
pub(super) async fn show(env: web::Data<Env>, routes: web::Data<Routes>, request: HttpRequest) -> Result<HttpResponse> {
    let visitor = Visitor::reading(env, routes, &request);
    let sent = Sent::read(request.query_string().as_bytes());
    let values = values(&visitor, &Search::of(&sent), sent.first("date")).await?;
    visitor.answer("book-times", StatusCode::OK, values).await
}

/// The values of the page.
pub(in crate::web) async fn values(visitor: &Visitor, search: &Search, date: &str) -> Result<Value> {
    let clinic = Clinic::read(visitor).await?;
    let chosen = clinic.choose(visitor, search)?;
    let (slots, asked, date) = (slots_of(visitor, search, date).await?, date, read_day(date)?);
    let next = next_day(visitor, search, date).await?.map(|day| {
        let link = search.link(visitor.language, &[("date", &day.to_string())]);
        context! { label => Moment::of_day(day, visitor.language).day(), link => link }
    });
    Ok(context! {
        moving => Value::from(()),
        date => asked,
        day => Moment::of_day(date, visitor.language).day(),
        groups => groups(visitor, &clinic, &slots),
        fields => search.fields(),
        form_key => visitor.form_key(),
        days => search.link(visitor.language, &[]),
        next => next,
        other_language => other_language(visitor, search, asked, "date"),
        ..facts(visitor, search, &chosen)
    })
}

/// The free times of a day.
///
/// # Errors
/// A broken rule unless `date` is a day.
pub(in crate::web) async fn slots_of(visitor: &Visitor, search: &Search, date: &str) -> Result<Vec<SlotView>> {
    const OPERATION: &str = "list_slots";
    let date = read_day(date)?.to_string();
    let (mut slots, mut cursor) = (Vec::new(), None);
    for _ in 0..PAGES {
        let mut more = vec![("date", date.as_str()), ("limit", "100")];
        more.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let query = search.query(&more);
        let filter = visitor.parameters(OPERATION, &query)?;
        let (params, page) = (visitor.parameters(OPERATION, &query)?, visitor.parameters(OPERATION, &query)?);
        let found = search::list(&visitor.context, visitor.caller(), filter, params, page).await?;
        slots.extend(found.items);
        cursor = found.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    Ok(slots)
}

/// The first later day that has times.
async fn next_day(visitor: &Visitor, search: &Search, date: Day) -> Result<Option<Day>> {
    let found = count(visitor, search, date.saturating_add(1.day())).await?;
    let soon = found.items.iter().find(|item| item.slots > 0).map(|item| item.date.0);
    Ok(soon.or(found.next_day_with_slots.map(|Date(day)| day)))
}

/// A time as a button shows it, and reads it out.
pub(super) fn time(visitor: &Visitor, clinic: &Clinic, slot: &SlotView) -> Value {
    let zone = visitor.env().config.zones.get(&slot.time_zone).unwrap_or(TimeZone::UTC);
    let starts = Moment::new(slot.starts_at, &zone, visitor.language);
    context! {
        id => slot.id.to_string(),
        time => starts.time(),
        day => starts.day(),
        practitioner => clinic.practitioner(slot.practitioner_id),
        place => clinic.location(slot.location_id),
    }
}

/// A time with its day, its practitioner and its place.
pub(in crate::web) async fn described(visitor: &Visitor, slot: &SlotView) -> Result<Value> {
    let clinic = Clinic::read(visitor).await?;
    let zone = visitor.env().config.zones.get(&slot.time_zone).unwrap_or(TimeZone::UTC);
    let moment = |at| Moment::new(at, &zone, visitor.language);
    Ok(context! {
        when => moment(slot.starts_at).date(),
        time => format!("{} – {}", moment(slot.starts_at).time(), moment(slot.ends_at).time_here()),
        practitioner => clinic.practitioner(slot.practitioner_id),
        location => clinic.location(slot.location_id),
    })
}

/// The times by location and half of the day. A time that several practitioners have stands there once.
fn groups(visitor: &Visitor, clinic: &Clinic, slots: &[SlotView]) -> Vec<Value> {
    let places: BTreeSet<_> = slots.iter().map(|slot| slot.location_id).collect();
    let mut groups = Vec::new();
    for place in &places {
        for is_morning in [true, false] {
            let mut seen = BTreeSet::new();
            let half = |slot: &&SlotView| {
                let zone = visitor.env().config.zones.get(&slot.time_zone).unwrap_or(TimeZone::UTC);
                slot.location_id == *place && (slot.starts_at.in_zone(&zone).hour() < 12) == is_morning
            };
            let times: Vec<Value> = slots
                .iter()
                .filter(half)
                .filter(|slot| seen.insert(slot.starts_at))
                .map(|slot| time(visitor, clinic, slot))
                .collect();
            if !times.is_empty() {
                let place = (places.len() > 1).then(|| clinic.location(*place));
                groups.push(context! { place => place, is_morning => is_morning, times => times });
            }
        }
    }
    groups
}

#[cfg(test)]
pub(super) fn example_time() -> Value {
    context! { id => "1", time => "9:30 AM", day => "Monday, March 9", practitioner => "Dr. Osei", place => "Elm" }
}

#[cfg(test)]
pub(in crate::web) fn examples() -> Vec<(&'static str, Value)> {
    let group = |place: Option<&'static str>, is_morning: bool| {
        context! { place => place, is_morning => is_morning, times => [example_time()] }
    };
    let page = |all: bool, groups: Vec<Value>| {
        let values = context! {
            root => "../", date => "2026-03-09", day => "Monday", groups => groups, fields => [("visit_type_id", "1")], form_key => "k", days => "?x",
            next => all.then(|| context! { label => "Tuesday", link => "?x" }),
        };
        ("book-times", context! { ..values, ..super::days::example_facts(all) })
    };
    vec![page(true, vec![group(Some("Elm"), true), group(None, false)]), page(false, vec![])]
}
