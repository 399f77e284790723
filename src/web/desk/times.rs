//! The free times for a visit that is booked or moved: the times of one day as buttons, and the days of two weeks.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use jiff::ToSpan;
use jiff::civil::Date as Day;
use jiff::tz::TimeZone;
use minijinja::{Value, context};
use text::Language;

use super::super::book::{DAYS, Search, Visitor, days as day_pages, times as time_pages};
use super::super::form_post::Sent;
use super::super::language::both;
use super::clinic::Clinic;
use super::done::Done;
use super::{Member, kinds, visit};
use crate::appointments::listing;
use crate::db::types::Date;
use crate::error::{Error, Result};
use crate::http::PathId;
use crate::ids::{AppointmentId, PatientId};
use crate::messages::times::Moment;
use crate::patients::records::updating;
use crate::scheduling::slots::free::SlotView;
use crate::scheduling::slots::taken;

/// The times to which a visit can be moved.
pub(super) async fn of_visit(
    member: Member,
    PathId(id): PathId<AppointmentId>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let asked = Sent::read(request.query_string().as_bytes());
    let found = listing::read(&member.context, id).await?;
    let clinic = Clinic::of_visits(&member, [&found.object]).await?;
    let mut search = Search { visit_type: found.object.visit_type_id.to_string(), ..Search::of(&asked) };
    // The place of the visit, unless the desk has chosen another one, or anywhere.
    if asked.fields().all(|(known, _)| known != "location_id") {
        search.location = found.object.location_id.to_string();
    }
    let values = context! {
        moving => context! { version => found.version, ..visit::facts(&member, &found.object, &clinic) },
        patient => Value::from(()),
        kinds => Value::from(()),
        waiting_for => Value::from(()),
        wait_first => false,
        action => format!("desk/visits/{id}/reschedule"),
        page => format!("desk/visits/{id}/times"),
        ..values(&member, &clinic, &search, &asked).await?
    };
    member.answer("desk-times", StatusCode::OK, values).await
}

/// The times for a new visit of a patient.
pub(super) async fn of_patient(
    member: Member,
    PathId(id): PathId<PatientId>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let asked = Sent::read(request.query_string().as_bytes());
    let patient = updating::read(&member.context, id).await?.object.patient;
    let clinic = Clinic::read(&member).await?;
    let search = begun(&member, &clinic, &asked, id).await?;
    let (date, time) = (asked.first("date"), asked.first("time"));
    let kinds = kinds::links(&member, &clinic, &search, |search| format!("{}&time={time}", query(search, date)));
    let values = context! {
        did => Done::of(asked.first("did")).map(Done::word),
        moving => Value::from(()),
        kinds => kinds,
        waiting_for => waiting_for(&search, &clinic, member.language),
        wait_first => !asked.first("wait").is_empty(),
        patient => context! { id => id.to_string(), name => patient.display_name.as_str(), mrn => patient.mrn.as_str() },
        action => format!("desk/patients/{id}/visits"),
        page => format!("desk/patients/{id}/times"),
        ..values(&member, &clinic, &search, &asked).await?
    };
    member.answer("desk-times", StatusCode::OK, values).await
}

/// What the page looks for at first. What the desk has not chosen yet is filled in: its own place or else the first one, and a kind of visit.
/// An empty choice is one: anywhere, or no kind.
async fn begun(member: &Member, clinic: &Clinic, asked: &Sent, patient: PatientId) -> Result<Search> {
    let mut search = Search::of(asked);
    let is_open = |name: &str| asked.fields().all(|(known, _)| known != name);
    if is_open("location_id") {
        let first = clinic.locations.first().map(|place| place.id);
        search.location = member.place.or(first).map(|place| place.to_string()).unwrap_or_default();
    }
    if is_open("visit_type_id") {
        let kind = kinds::proposed(member, clinic, &search, patient).await?;
        search.visit_type = kind.map(|kind| kind.to_string()).unwrap_or_default();
    }
    Ok(search)
}

/// For what the page can put the patient on the waitlist, in parts: the kind of visit, the place, the practitioner. None without a kind.
fn waiting_for(search: &Search, clinic: &Clinic, language: Language) -> Option<Vec<String>> {
    let kind = search.visit_type.parse().map(|id| clinic.visit_type(id)).ok().filter(|name| !name.is_empty())?;
    let place = search
        .location
        .parse()
        .map_or_else(|_| both("anywhere", "en cualquier lugar").text(language), |id| clinic.location(id));
    let person = search
        .practitioner
        .parse()
        .map_or_else(|_| both("with anyone", "con cualquiera").text(language), |id| clinic.practitioner(id));
    Some(vec![kind.to_owned(), place.to_owned(), person.to_owned()])
}

/// The query of this page. "Anywhere" is said, because the page would begin with the first place otherwise.
fn query(search: &Search, date: &str) -> String {
    let anywhere = search.location.is_empty().then_some(("location_id", ""));
    search.query(&anywhere.into_iter().chain([("date", date)]).collect::<Vec<_>>())
}

/// The page of times from which a form was sent.
pub(super) fn page(sent: &Sent, path: &str) -> String {
    format!("{path}?{}", query(&Search::of(sent), sent.first("date")))
}

/// The values of the page: what the desk can look for, and the times that it finds.
async fn values(member: &Member, clinic: &Clinic, search: &Search, asked: &Sent) -> Result<Value> {
    let (date, asked_time) = (asked.first("date"), asked.first("time"));
    let option = |id: String, name: &str, chosen: &str| context! { chosen => id == chosen, id => id, name => name };
    let places = clinic.locations.iter().map(|one| option(one.id.to_string(), &one.name, &search.location));
    let people = clinic.practitioners.iter().map(|one| option(one.id.to_string(), &one.name, &search.practitioner));
    let zone = clinic.locations.first().map_or(TimeZone::UTC, |place| member.zone(&place.time_zone));
    let today = member.context.env.now().in_zone(&zone).date();
    let first = match date {
        "" => today,
        text => text.parse::<Day>().map_err(|_| Error::NotFound)?.max(today),
    };
    let visitor = Visitor::of_member(member);
    let has_kind = !search.visit_type.is_empty();
    let days = if has_kind { with_times(&visitor, search, first).await? } else { Vec::new() };
    // Without a date, the first day that has times.
    let day = days.first().filter(|_| date.is_empty()).map_or(first, |(day, _)| *day);
    let mut slots = if has_kind { time_pages::slots_of(&visitor, search, &day.to_string()).await? } else { Vec::new() };
    // Places in other time zones would mix up the times of the day.
    let place_of = |id| clinic.locations.iter().position(|place| place.id == id);
    slots.sort_by_key(|slot| (place_of(slot.location_id), slot.starts_at));
    let taken = if has_kind { taken_slots(member, search, day).await? } else { Vec::new() };
    let link = |day: Day| query(search, &day.to_string());
    let label = |day: Day| Moment::of_day(day, member.language).day();
    let days = days
        .into_iter()
        .map(|(one, count)| context! { label => label(one), count => count, chosen => one == day, link => link(one) });
    let time = |slot: &SlotView| {
        let zone = member.zone(&slot.time_zone);
        let starts = Moment::new(slot.starts_at, &zone, member.language);
        context! {
            chosen => slot.starts_at.in_zone(&zone).strftime("%H:%M").to_string() == asked_time,
            id => slot.id.to_string(), time => starts.time(), day => starts.day(),
            practitioner => clinic.practitioner(slot.practitioner_id), place => clinic.location(slot.location_id),
        }
    };
    let times: Vec<Value> = slots.iter().map(time).collect();
    let is_chosen = |time: &Value| time.get_attr("chosen").is_ok_and(|chosen| chosen.is_true());
    Ok(context! {
        is_gone => has_kind && !asked_time.is_empty() && !times.iter().any(is_chosen),
        asked_time => asked_time,
        locations => places.collect::<Vec<_>>(),
        practitioners => people.collect::<Vec<_>>(),
        visit_type => search.visit_type.as_str(),
        location => search.location.as_str(),
        practitioner => search.practitioner.as_str(),
        date => day.to_string(),
        day => label(day),
        days => days.collect::<Vec<_>>(),
        times => times,
        taken => taken.iter().map(time).collect::<Vec<_>>(),
        earlier => (first > today).then(|| link(first.saturating_sub(DAYS.days()).max(today))),
        later => link(first.saturating_add(DAYS.days())),
        has_kind => has_kind,
        form_key => member.form_key(),
    })
}

/// The times of a day that only an overbooking can take. They are those of one practitioner, who was chosen.
async fn taken_slots(member: &Member, search: &Search, day: Day) -> Result<Vec<SlotView>> {
    if search.practitioner.is_empty() {
        return Ok(Vec::new());
    }
    let of_practitioner = Search { location: String::new(), ..search.clone() };
    let query = of_practitioner.query(&[("date", &day.to_string())]);
    let found = taken::list(&member.context, member.parameters("list_taken_slots", &query)?).await?.items;
    let is_here = |slot: &SlotView| search.location.is_empty() || slot.location_id.to_string() == search.location;
    Ok(found.into_iter().filter(is_here).collect())
}

/// The days of two weeks that have times, with their numbers; or else the next later one.
async fn with_times(visitor: &Visitor, search: &Search, first: Day) -> Result<Vec<(Day, Option<u32>)>> {
    let found = day_pages::count(visitor, search, first).await?;
    let with_times = found.items.iter().filter(|item| item.slots > 0).map(|item| (item.date.0, Some(item.slots)));
    let next = found.next_day_with_slots.map(|Date(day)| (day, None));
    Ok(with_times.chain(next).collect())
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let option = |chosen: bool| {
        let word = chosen.then_some("First visit");
        context! { id => "1", name => "Elm", chosen => chosen, patients_word => word, minutes => 60, link => "x" }
    };
    let page = |all: bool, moving: bool| {
        let time = context! { id => "1", chosen => moving, time => "9:30 AM", day => "Monday", practitioner => "Dr. Osei", place => "Elm" };
        let day = |count: Option<u32>, chosen: bool| context! { label => "Monday", count => count, chosen => chosen, link => "x" };
        let values = context! {
            root => "../../../", member => super::super::member::example(true),
            moving => moving.then(|| context! { version => 1, ..visit::example_facts("booked", all) }),
            patient => (!moving).then(|| context! { id => "1", name => "Ann <b>Example", mrn => "LW-001001" }),
            action => "desk/x", page => "desk/y",
            kinds => (!moving).then(|| [option(true), option(false)]), waiting_for => (!moving && all).then_some(["Check", "Elm"]), wait_first => false,
            locations => [option(true), option(false)],
            practitioners => [option(true), option(false)], visit_type => "1", location => "1", practitioner => "1",
            date => "2026-03-09", day => "Monday", days => if all { vec![day(Some(1), true), day(Some(2), false), day(None, false)] } else { vec![] },
            times => if all { vec![time.clone()] } else { vec![] }, taken => if all { vec![time] } else { vec![] }, earlier => all.then_some("x"), later => "x", has_kind => all || moving, form_key => "k",
            is_gone => !all, asked_time => if moving { "09:30" } else { "" },
        };
        ("desk-times", values)
    };
    let (name, values) = page(true, false);
    let anyone = context! { taken => Vec::<Value>::new(), practitioner => "", location => "", desk_place => "1", ..values.clone() };
    let none = context! { times => Vec::<Value>::new(), wait_first => true, ..values };
    vec![page(true, true), page(false, true), page(true, false), page(false, false), (name, anyone), (name, none)]
}
