//! Moving a visit: days and times by the pages of booking, then a question, then the move.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use minijinja::{Value, context};
use serde_json::json;

use super::super::book::{Search, Visitor, days as day_pages, times as time_pages};
use super::super::form_post::Sent;
use super::super::member::{Member, MemberForm};
use super::changing::{page_of, version};
use super::explain;
use super::shown::{facts, read};
use crate::appointments::rescheduling;
use crate::appointments::view::AppointmentView;
use crate::error::{Error, ProblemCode, Result};
use crate::http::PathId;
use crate::http::input;
use crate::ids::AppointmentId;

/// What is searched for: the kind of the visit, at first with the same practitioner in the same place.
fn search(visit: &AppointmentView, sent: &Sent) -> Search {
    let visit_type = visit.visit_type_id.to_string();
    let asked = Search::of(sent);
    if asked.visit_type.is_empty() {
        let (location, practitioner) = (visit.location_id.to_string(), visit.practitioner_id.to_string());
        return Search { visit_type, location, practitioner };
    }
    Search { visit_type, ..asked }
}

fn asked(request: &HttpRequest) -> Sent {
    Sent::read(request.query_string().as_bytes())
}

/// The frame of the pages of days and times when they move a visit.
async fn moving(member: &Member, visit: &AppointmentView) -> Result<Value> {
    Ok(context! { id => visit.id.to_string(), facts => facts(member, visit).await? })
}

/// Shows two weeks.
pub(super) async fn days(
    member: Member,
    PathId(id): PathId<AppointmentId>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let (visit, sent) = (read(&member, id).await?.object, asked(&request));
    let values = day_pages::values(&Visitor::of_member(&member), &search(&visit, &sent), sent.first("from")).await?;
    member.answer("book-days", StatusCode::OK, context! { moving => moving(&member, &visit).await?, ..values }).await
}

/// Shows the times of a day.
pub(super) async fn times(
    member: Member,
    PathId(id): PathId<AppointmentId>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let (visit, sent) = (read(&member, id).await?.object, asked(&request));
    let values = time_pages::values(&Visitor::of_member(&member), &search(&visit, &sent), sent.first("date")).await?;
    member.answer("book-times", StatusCode::OK, context! { moving => moving(&member, &visit).await?, ..values }).await
}

/// Asks whether the visit is to be moved to the chosen time.
pub(super) async fn ask(
    member: Member,
    PathId(id): PathId<AppointmentId>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let (found, sent) = (read(&member, id).await?, asked(&request));
    let search = search(&found.object, &sent);
    let days = format!("{}/days{}", page_of(id, ""), search.link(member.language, &[]));
    let visitor = Visitor::of_member(&member);
    let slots = time_pages::slots_of(&visitor, &search, sent.first("date")).await?;
    let Some(slot) = slots.iter().find(|slot| slot.id.to_string() == sent.first("slot_id")) else {
        return explain(&member, Error::conflict(ProblemCode::SlotTaken, "The time is not free any more."), &days)
            .await;
    };
    let values = context! {
        id => id.to_string(), version => found.version, form_key => member.form_key(), facts => facts(&member, &found.object).await?,
        slot_id => slot.id.to_string(), to => time_pages::described(&visitor, slot).await?, days => days,
    };
    member.answer("visit-move", StatusCode::OK, values).await
}

/// Moves the visit.
pub(super) async fn move_to(form: MemberForm, PathId(id): PathId<AppointmentId>) -> Result<HttpResponse> {
    let member = &form.member;
    let built = json!({"slot_id": form.sent.first("slot_id")});
    let body = input::read_built(&built, &*member.operation("reschedule_appointment")?)?;
    let once = form.once("move");
    match rescheduling::reschedule(&member.context, once, id, version(&form), body.value).await {
        Ok(_) => Ok(member.go_to(&page_of(id, "moved"))),
        Err(error) => explain(member, error, &format!("{}/days", page_of(id, ""))).await,
    }
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let member = super::super::member::example(false);
    let facts = super::shown::example_facts;
    let moving =
        || context! { root => "../../", member => member.clone(), moving => context! { id => "1", facts => facts() } };
    let mut all: Vec<(&'static str, Value)> = day_pages::examples()
        .into_iter()
        .chain(time_pages::examples())
        .map(|(name, values)| (name, context! { ..moving(), ..values }))
        .collect();
    all.push((
        "visit-move",
        context! {
            root => "../../", member => member.clone(), id => "1", version => 1, form_key => "k", facts => facts(), slot_id => "1",
            to => context! { when => "Tuesday", time => "9:30 AM", practitioner => "Dr. Kim", location => "Oak" }, days => "visits/1/days",
        },
    ));
    all
}
