//! The steps that turn an empty database into an open clinic, and the overview. What is done is what is stored.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use minijinja::{Value, context};

use super::super::form_post::Sent;
use super::Member;
use super::edit::{SETUP, outcome};
use super::readiness::{Missing, Readiness};
use super::staff;
use crate::error::Result;
use crate::messages::times::Moment;
use crate::role::Role;
use crate::scheduling::hours::closures;

const STEPS: &str = "admin-setup";
const OVERVIEW: &str = "admin";
/// The most places whose closures are counted.
const MOST_PLACES: usize = 10;

/// Shows the overview. A clinic without a place or practitioner begins with the steps.
pub(super) async fn overview(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    let readiness = Readiness::read(&member).await?;
    if readiness.clinic.locations.is_empty() || readiness.clinic.practitioners.is_empty() {
        return Ok(member.go_to(SETUP));
    }
    let sent = Sent::read(request.query_string().as_bytes());
    let values = context! { ..opening(&member, &readiness), ..outcome(&sent) };
    member.answer(OVERVIEW, StatusCode::OK, values).await
}

/// Whether patients can book, for both pages.
fn opening(member: &Member, readiness: &Readiness) -> Value {
    let day = |day| Moment::of_day(day, member.language).date();
    let without = readiness.offers.iter().filter(|offer| offer.first.is_none()).map(|offer| offer.name.clone());
    let first = readiness.first_day();
    context! {
        first => first.map(day),
        missing => readiness.missing().into_iter().map(Missing::as_str).collect::<Vec<_>>(),
        without => if first.is_some() { without.collect::<Vec<_>>() } else { Vec::new() },
        booking => format!("{}book", member.context.env.config.settings.public_url),
    }
}

/// A step: whether it is done, what there is with its pages, and the page that adds some.
struct Step {
    name: &'static str,
    is_done: bool,
    is_optional: bool,
    items: Vec<Item>,
    /// The page of the step; none as long as an earlier step is missing.
    page: Option<String>,
}

/// What there is of a step, with its page.
struct Item {
    page: String,
    name: String,
    /// What is wrong with it: `no_places`, `no_visits`, `no_hours`, `invited`. Empty if nothing.
    state: &'static str,
}

/// Shows the steps.
pub(super) async fn steps(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    let sent = Sent::read(request.query_string().as_bytes());
    let readiness = Readiness::read(&member).await?;
    let steps = all(&member, &readiness).await?;
    let next = steps.iter().position(|step| !step.is_done && !step.is_optional && step.page.is_some());
    let drawn = steps.iter().enumerate().map(|(index, step)| {
        let item = |one: &Item| context! { page => one.page.as_str(), name => one.name.as_str(), state => one.state };
        context! {
            number => index + 1, name => step.name, is_done => step.is_done, is_optional => step.is_optional, is_next => Some(index) == next,
            items => step.items.iter().map(item).collect::<Vec<_>>(), page => step.page.as_deref(),
        }
    });
    let values = context! { steps => drawn.collect::<Vec<_>>(), ..context! { ..opening(&member, &readiness), ..outcome(&sent) } };
    member.answer(STEPS, StatusCode::OK, values).await
}

async fn all(member: &Member, readiness: &Readiness) -> Result<Vec<Step>> {
    let clinic = &readiness.clinic;
    let (places, visits, people) = (&clinic.locations, &clinic.visit_types, &clinic.practitioners);
    let page = |path: &str| format!("admin/{path}?setup=1");
    let item = |path: String, name: &str, state: &'static str| Item { page: page(&path), name: name.to_owned(), state };
    let mut closed = Vec::new();
    let mut has_closures = false;
    for place in places.iter().take(MOST_PLACES) {
        let (filter, first) =
            (member.parameters("list_closures", "limit=1")?, member.parameters("list_closures", "limit=1")?);
        has_closures |= !closures::list(&member.context, place.id, filter, first).await?.items.is_empty();
        closed.push(item(format!("locations/{}/closures", place.id), &place.name, ""));
    }
    let practitioner = |one: &crate::scheduling::setup::practitioners::PractitionerView| match one {
        one if one.location_ids.is_empty() => "no_places",
        one if one.visit_type_ids.is_empty() => "no_visits",
        _ => "",
    };
    let hours = |has: bool| if has { "" } else { "no_hours" };
    let mut accounts = Vec::new();
    for role in [Role::Admin, Role::FrontDesk, Role::Practitioner] {
        accounts.extend(staff::of_role(member, role).await?);
    }
    let others: Vec<_> =
        accounts.iter().filter(|user| user.id != member.context.actor.user_id && !user.disabled).collect();
    let has_both = !places.is_empty() && !visits.is_empty();
    Ok(vec![
        Step {
            name: "place",
            is_done: !places.is_empty(),
            is_optional: false,
            items: places.iter().map(|place| item(format!("locations/{}", place.id), &place.name, "")).collect(),
            page: Some(page("locations/new")),
        },
        Step {
            name: "closures",
            is_done: has_closures,
            is_optional: true,
            page: closed.first().map(|one| one.page.clone()),
            items: closed,
        },
        Step {
            name: "visit_types",
            is_done: visits.iter().any(|visit| visit.online_bookable),
            is_optional: false,
            items: visits.iter().map(|visit| item(format!("visit-types/{}", visit.id), &visit.name, "")).collect(),
            page: Some(page("visit-types/new")),
        },
        Step {
            name: "practitioners",
            is_done: people.iter().any(|one| readiness.is_offering(one)),
            is_optional: false,
            items: people
                .iter()
                .map(|one| item(format!("practitioners/{}", one.id), &one.name, practitioner(one)))
                .collect(),
            page: has_both.then(|| page("practitioners/new")),
        },
        Step {
            name: "hours",
            is_done: people.iter().any(|one| readiness.is_offering(one) && readiness.with_hours.contains(&one.id)),
            is_optional: false,
            items: people
                .iter()
                .map(|one| {
                    item(
                        format!("practitioners/{}/hours", one.id),
                        &one.name,
                        hours(readiness.with_hours.contains(&one.id)),
                    )
                })
                .collect(),
            page: people
                .iter()
                .find(|one| !readiness.with_hours.contains(&one.id))
                .or_else(|| people.first())
                .map(|one| page(&format!("practitioners/{}/hours", one.id))),
        },
        Step {
            name: "staff",
            is_done: !others.is_empty(),
            is_optional: true,
            items: others
                .iter()
                .map(|user| {
                    let name = format!(
                        "{} ({})",
                        user.name.as_deref().unwrap_or(&user.email),
                        staff::role(user.role).text(member.language)
                    );
                    item(format!("staff/{}", user.id), &name, if user.invited { "invited" } else { "" })
                })
                .collect(),
            page: Some(page("staff/new")),
        },
    ])
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    const MISSING: [Missing; 7] = [
        Missing::Place,
        Missing::VisitType,
        Missing::Online,
        Missing::Practitioner,
        Missing::Offer,
        Missing::Hours,
        Missing::Times,
    ];
    let member = super::super::member::example_admin;
    let item = |state: &'static str| context! { page => "admin/x?setup=1", name => "<b>Elm", state => state };
    let step = |name: &'static str, is_done: bool, is_optional: bool, is_next: bool| {
        let states = ["", "no_places", "no_visits", "no_hours", "invited"];
        let items: Vec<Value> = if is_done { states.map(item).into() } else { vec![] };
        context! {
            number => 1, name => name, is_done => is_done, is_optional => is_optional, is_next => is_next, items => items,
            page => (is_done || is_next || is_optional).then_some("admin/x?setup=1"),
        }
    };
    let names = ["place", "closures", "visit_types", "practitioners", "hours", "staff"];
    let state = |is_open: bool, without: bool| {
        context! {
            first => is_open.then_some("Monday, March 9, 2026"), missing => if is_open { vec![] } else { MISSING.map(Missing::as_str).to_vec() },
            without => if without { vec!["<b>Check"] } else { vec![] }, booking => "https://clinic.example/book",
        }
    };
    let page = |name: &'static str, values: Value| {
        (
            name,
            context! { root => "../", member => member(), ..context! { ..values, ..outcome(&Sent::read(b"did=saved")) } },
        )
    };
    let steps = |is_open: bool, is_optional: bool| {
        let steps = names.map(|name| step(name, is_open, is_optional, !is_open && name == "place"));
        page(STEPS, context! { steps => steps.to_vec(), ..state(is_open, false) })
    };
    vec![
        steps(true, false),
        steps(true, true),
        steps(false, false),
        steps(false, true),
        page(OVERVIEW, state(true, true)),
        page(OVERVIEW, state(true, false)),
        page(OVERVIEW, state(false, false)),
    ]
}
