//! One visit: its facts, and what its patient can do.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use jiff::civil::DateTime;
use minijinja::{Value, context};

use super::super::book::visit_name;
use super::super::form_post::Sent;
use super::super::intake::standing;
use super::super::member::Member;
use super::waitlist_entry::entry;
use crate::appointment_status::AppointmentStatus;
use crate::appointments::listing;
use crate::appointments::view::AppointmentView;
use crate::error::Result;
use crate::http::PathId;
use crate::http::response::Versioned;
use crate::ids::AppointmentId;
use crate::messages::times::Moment;
use crate::patients::records::updating;
use crate::scheduling::setup::{locations, practitioners, visit_types};

/// What was done before the page was opened, as its address says.
const DONE: [&str; 6] = ["booked", "moved", "cancelled", "confirmed", "waiting", "not_waiting"];

/// Reads a visit.
pub(super) async fn read(member: &Member, id: AppointmentId) -> Result<Versioned<AppointmentView>> {
    listing::read(&member.context, id).await
}

/// Shows a visit.
pub(super) async fn show(
    member: Member,
    PathId(id): PathId<AppointmentId>,
    request: actix_web::HttpRequest,
) -> Result<HttpResponse> {
    let found = read(&member, id).await?;
    let visit = &found.object;
    let now = member.context.env.now();
    let is_open = |until: Option<crate::clock::Timestamp>| until.is_some_and(|until| until >= now);
    let is_to_come = visit.status == AppointmentStatus::Booked && visit.starts_at > now;
    let sent = Sent::read(request.query_string().as_bytes());
    let values = context! {
        id => id.to_string(),
        version => found.version,
        form_key => member.form_key(),
        done => DONE.into_iter().find(|done| *done == sent.first("done")),
        status => visit.status.as_str(),
        is_to_come => is_to_come,
        is_time_open => is_time_open(&member, visit),
        confirmed => visit.confirmed_at.is_some(),
        can_move => is_to_come && is_open(visit.changeable_until),
        can_cancel => is_to_come && is_open(visit.cancellable_until),
        until => visit.cancellable_until.map(|until| Moment::new(until, &member.zone(&visit.time_zone), member.language).full_here()),
        history => standing(&member, visit).await?,
        waits => if is_to_come { entry(&member, visit).await? } else { None },
        facts => facts(&member, visit).await?,
    };
    member.answer("visit", StatusCode::OK, values).await
}

/// Whether the start does not show the local time that the patient was told. Staff decide which of both counts.
pub(super) fn is_time_open(member: &Member, visit: &AppointmentView) -> bool {
    let starts = visit.starts_at.in_zone(&member.zone(&visit.time_zone)).datetime();
    let told = visit.promised.as_ref().and_then(|told| told.local.parse::<DateTime>().ok());
    visit.status == AppointmentStatus::Booked && told.is_some_and(|told| told != starts)
}

/// What pages show of a visit.
pub(super) async fn facts(member: &Member, visit: &AppointmentView) -> Result<Value> {
    let public = member.public();
    let kind = visit_types::read(&public, visit.visit_type_id).await?.object;
    let place = locations::read(&public, visit.location_id).await?.object;
    let practitioner = practitioners::read(&public, None, visit.practitioner_id).await?.object;
    let patient = updating::read(&member.context, visit.patient_id).await?.object;
    let zone = member.zone(&visit.time_zone);
    let moment = |at| Moment::new(at, &zone, member.language);
    Ok(context! {
        patient => patient.patient.display_name,
        visit => visit_name(member.language, &kind),
        when => moment(visit.starts_at).date(),
        time => format!("{} – {}", moment(visit.starts_at).time(), moment(visit.ends_at).time_here()),
        practitioner => practitioner.name,
        location => place.name,
        address => place.address,
        code => visit.confirmation_code.as_str(),
        note => visit.note.as_deref(),
    })
}

/// Downloads the calendar entry.
pub(super) async fn calendar(member: Member, PathId(id): PathId<AppointmentId>) -> Result<HttpResponse> {
    Ok(listing::calendar(&member.context, id).await?.into_response())
}

#[cfg(test)]
pub(super) fn example_facts() -> Value {
    context! {
        patient => "Ann Example", visit => "First visit", when => "Monday, March 9, 2026", time => "9:30 AM – 10:30 AM (EDT)",
        practitioner => "Dr. Osei", location => "Elm", address => "12 Elm St", code => "K7MP-3XWD", note => "I come with a walker.",
    }
}

/// Each way in which the history of a visit can stand.
#[cfg(test)]
pub(super) fn example_history() -> [Value; 5] {
    [("missing", 6), ("begun", 1), ("begun", 4), ("sent", 0), ("begun", 0)]
        .map(|(state, minutes)| context! { state => state, minutes => minutes })
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let member = super::super::member::example(false);
    let mut all = Vec::new();
    let waits = |some: bool| context! { id => "1", paused => some, here => !some };
    for (nth, done) in DONE.into_iter().map(Some).chain([None]).enumerate() {
        for status in ["booked", "checked-in", "fulfilled", "cancelled", "noshow"] {
            let some = nth % 2 == 0;
            let values = context! {
                root => "../", member => member.clone(), id => "1", version => 1, form_key => "k", done => done, status => status,
                is_to_come => status == "booked", is_time_open => nth == 4, confirmed => some, can_move => nth != 1, can_cancel => nth != 1, until => some.then_some("Sunday"),
                history => example_history()[nth % 5].clone(), waits => (nth == 0 || nth == 3).then(|| waits(nth == 0)), facts => example_facts(),
            };
            all.push(("visit", values));
        }
    }
    all
}
