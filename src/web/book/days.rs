//! The second step: the days that have times, with their numbers.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::ToSpan;
use jiff::civil::Date as Day;
use minijinja::{Value, context};

use super::super::form_post::Sent;
use super::Visitor;
use super::clinic::{Chosen, Clinic, visit_name};
use super::searching::Search;
use crate::db::types::Date;
use crate::env::Env;
use crate::error::{Error, FieldCode, Result};
use crate::http::compression;
use crate::http::fallback::Routes;
use crate::messages::times::Moment;
use crate::scheduling::slots::days::{self, SlotDayPage};

/// The days of a page: two weeks.
pub(in crate::web) const DAYS: i32 = 14;

/// Shows two weeks.
pub(super) async fn show(env: web::Data<Env>, routes: web::Data<Routes>, request: HttpRequest) -> Result<HttpResponse> {
    let visitor = Visitor::reading(env, routes, &request);
    let sent = Sent::read(request.query_string().as_bytes());
    let values = values(&visitor, &Search::of(&sent), sent.first("from")).await?;
    let days = visitor.answer("book-days", StatusCode::OK, values).await?;
    Ok(compression::public(&request, days))
}

/// The values of the page. `from` is the first day, or empty for today.
pub(in crate::web) async fn values(visitor: &Visitor, search: &Search, from: &str) -> Result<Value> {
    let clinic = Clinic::read(visitor).await?;
    let chosen = clinic.choose(visitor, search)?;
    let today = visitor.env().now().in_zone(&chosen.zone).date();
    let first = match from {
        "" => today,
        text => read_day(text)?.max(today),
    };
    let found = count(visitor, search, first).await?;
    let day = |day: Day| Moment::of_day(day, visitor.language).day();
    let link = |from: Day| search.link(visitor.language, &[("from", &from.to_string())]);
    let listed: Vec<Value> = found
        .items
        .iter()
        .filter(|item| item.slots > 0)
        .map(|item| {
            let link = search.link(visitor.language, &[("date", &item.date.0.to_string())]);
            context! { label => day(item.date.0), count => item.slots, link => link }
        })
        .collect();
    let later = first.saturating_add(DAYS.days());
    let earlier = first.saturating_sub(DAYS.days()).max(today);
    Ok(context! {
        moving => Value::from(()),
        days => listed,
        first => day(first),
        last => day(later.saturating_sub(1.day())),
        earlier => (first > today).then(|| link(earlier)),
        later => link(later),
        next => found.next_day_with_slots.map(|Date(next)| context! { label => day(next), link => link(next) }),
        other_language => other_language(visitor, search, from, "from"),
        ..facts(visitor, search, &chosen)
    })
}

/// # Errors
/// A broken rule at `from` unless it is a day.
pub(super) fn read_day(text: &str) -> Result<Day> {
    text.parse::<Date>()
        .map(|Date(day)| day)
        .map_err(|_| Error::invalid("?from", FieldCode::WrongType, "must be a day"))
}

/// Counts the times of two weeks.
pub(in crate::web) async fn count(visitor: &Visitor, search: &Search, first: Day) -> Result<SlotDayPage> {
    let (from, to) = (first.to_string(), first.saturating_add((DAYS - 1).days()).to_string());
    let query = search.query(&[("from_date", &from), ("to_date", &to)]);
    let filter = visitor.parameters("list_slot_days", &query)?;
    let days = visitor.parameters("list_slot_days", &query)?;
    days::list(&visitor.context, visitor.caller(), filter, days).await
}

/// The query of the same page in the other language.
pub(super) fn other_language(visitor: &Visitor, search: &Search, value: &str, name: &str) -> String {
    let other = match visitor.language {
        text::Language::English => text::Language::Spanish,
        text::Language::Spanish => text::Language::English,
    };
    let more = [(name, value)];
    search.link(other, if value.is_empty() { &[] } else { &more })
}

/// What was chosen before, and with whom the visit can be.
pub(super) fn facts(visitor: &Visitor, search: &Search, chosen: &Chosen<'_>) -> Value {
    let with = |practitioner: String| Search { practitioner, ..search.clone() }.link(visitor.language, &[]);
    let practitioners: Vec<Value> = chosen
        .practitioners
        .iter()
        .map(|one| {
            let id = one.id.to_string();
            context! { name => one.name.as_str(), chosen => id == search.practitioner, link => with(id) }
        })
        .collect();
    context! {
        visit => visit_name(visitor.language, chosen.visit_type),
        place => chosen.location.map(|place| context! { name => place.name.as_str(), address => place.address.as_str() }),
        practitioners => practitioners,
        anyone => with(String::new()),
        is_anyone => search.practitioner.is_empty(),
    }
}

#[cfg(test)]
pub(super) fn example_facts(all: bool) -> Value {
    let one = |name: &str, chosen: bool| context! { name => name, chosen => chosen, link => "?x" };
    context! {
        visit => "First visit", place => all.then(|| context! { name => "Elm", address => "12 Elm St" }),
        practitioners => if all { vec![one("Dr. Osei", true), one("Dr. Kim", false)] } else { vec![] },
        anyone => "?x", is_anyone => !all, other_language => "?x", moving => Value::from(()),
    }
}

#[cfg(test)]
pub(in crate::web) fn examples() -> Vec<(&'static str, Value)> {
    let day = |count: u32| context! { label => "Monday, March 9", count => count, link => "?x" };
    let page = |all: bool, days: Vec<Value>, next: Option<Value>| {
        let values = context! {
            root => "../", days => days, first => "Monday", last => "Sunday", earlier => all.then_some("?x"), later => "?x", next => next,
        };
        ("book-days", context! { ..values, ..example_facts(all) })
    };
    vec![
        page(true, vec![day(1), day(2)], None),
        page(false, vec![], Some(context! { label => "Monday", link => "?x" })),
        page(false, vec![], None),
        ("book-days", context! { is_anyone => true, ..page(true, vec![day(1)], None).1 }),
    ]
}
