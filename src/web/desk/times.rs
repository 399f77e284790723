//! The free times for a visit that is booked or moved: the days of two weeks, and the times of one of them as buttons.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use jiff::ToSpan;
use jiff::civil::Date as Day;
use minijinja::{Value, context};
use text::Language;
use url::form_urlencoded::Serializer;

use super::super::form_post::Sent;
use super::Member;
use super::clinic::{Clinic, zone};
use super::visit;
use crate::appointments::listing;
use crate::db::types::Date;
use crate::error::{Error, Result};
use crate::http::PathId;
use crate::ids::{AppointmentId, PatientId};
use crate::messages::times::Moment;
use crate::patients::records::updating;
use crate::scheduling::slots::free::SlotView;
use crate::scheduling::slots::{days, search};

/// The days of the page: two weeks.
const DAYS: i32 = 14;
/// How many pages of the search are read: more slots than a day has.
const PAGES: usize = 5;
/// What the desk looks for, named as the parameters of the API.
const FILTERS: [&str; 3] = ["visit_type_id", "location_id", "practitioner_id"];

/// The times to which a visit can be moved.
pub(super) async fn of_visit(
    member: Member,
    PathId(id): PathId<AppointmentId>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let asked = Sent::read(request.query_string().as_bytes());
    let found = listing::read(&member.context, id).await?;
    let clinic = Clinic::read(&member).await?;
    let zone = zone(&member, &found.object.time_zone);
    let search = Search { visit_type: found.object.visit_type_id.to_string(), ..Search::of(&asked) };
    let values = context! {
        moving => context! { version => found.version, ..visit::facts(&found.object, &clinic, &zone) },
        patient => Value::from(()),
        action => format!("desk/visits/{id}/reschedule"),
        page => format!("desk/visits/{id}/times"),
        ..search.shown(&member, &clinic).await?
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
    let search = Search::of(&asked);
    let values = context! {
        moving => Value::from(()),
        patient => context! { id => id.to_string(), name => patient.display_name.as_str(), mrn => patient.mrn.as_str() },
        action => format!("desk/patients/{id}/visits"),
        page => format!("desk/patients/{id}/times"),
        ..search.shown(&member, &clinic).await?
    };
    member.answer("desk-times", StatusCode::OK, values).await
}

/// The page of times from which a form was sent.
pub(super) fn page(sent: &Sent, path: &str) -> String {
    format!("{path}?{}", Search::of(sent).query(&[("date", sent.first("date"))]))
}

/// What the desk looks for. The operations check it.
struct Search {
    visit_type: String,
    location: String,
    practitioner: String,
    date: String,
}

impl Search {
    fn of(sent: &Sent) -> Self {
        let [visit_type, location, practitioner] = FILTERS.map(|name| sent.first(name).to_owned());
        Self { visit_type, location, practitioner, date: sent.first("date").to_owned() }
    }

    fn query(&self, more: &[(&str, &str)]) -> String {
        let values = [self.visit_type.as_str(), &self.location, &self.practitioner];
        let given = FILTERS.into_iter().zip(values).filter(|(_, value)| !value.is_empty());
        Serializer::new(String::new()).extend_pairs(given).extend_pairs(more).finish()
    }

    async fn shown(&self, member: &Member, clinic: &Clinic) -> Result<Value> {
        let option = |id: String, name: &str, chosen: &str| context! { chosen => id == chosen, id => id, name => name };
        let kinds = clinic.visit_types.iter().map(|one| option(one.id.to_string(), &one.name, &self.visit_type));
        let places = clinic.locations.iter().map(|one| option(one.id.to_string(), &one.name, &self.location));
        let people = clinic.practitioners.iter().map(|one| option(one.id.to_string(), &one.name, &self.practitioner));
        let zone = clinic.locations.first().map_or(jiff::tz::TimeZone::UTC, |place| zone(member, &place.time_zone));
        let today = member.context.env.now().in_zone(&zone).date();
        let first = match self.date.as_str() {
            "" => today,
            text => text.parse::<Day>().map_err(|_| Error::NotFound)?.max(today),
        };
        let has_kind = !self.visit_type.is_empty();
        let days = if has_kind { self.days(member, first).await? } else { Vec::new() };
        // Without a date, the first day that has times.
        let soonest = days.first().filter(|_| self.date.is_empty());
        let day = soonest.map_or(first, |(day, _)| *day);
        let times = if has_kind { self.times(member, clinic, day).await? } else { Vec::new() };
        let days = days.into_iter().map(|(one, count)| {
            context! {
                label => Moment::of_day(one, Language::English).day(), count => count, chosen => one == day,
                link => self.query(&[("date", &one.to_string())]),
            }
        });
        Ok(context! {
            visit_types => kinds.collect::<Vec<_>>(),
            locations => places.collect::<Vec<_>>(),
            practitioners => people.collect::<Vec<_>>(),
            visit_type => self.visit_type.as_str(),
            location => self.location.as_str(),
            practitioner => self.practitioner.as_str(),
            date => day.to_string(),
            day => Moment::of_day(day, Language::English).day(),
            days => days.collect::<Vec<_>>(),
            times => times,
            earlier => (first > today).then(|| self.query(&[("date", &first.saturating_sub(DAYS.days()).max(today).to_string())])),
            later => self.query(&[("date", &first.saturating_add(DAYS.days()).to_string())]),
            has_kind => has_kind,
            form_key => member.form_key(),
        })
    }

    /// The days that have times, from this one on, with their numbers; the next later one if there are none.
    async fn days(&self, member: &Member, first: Day) -> Result<Vec<(Day, Option<u32>)>> {
        const OPERATION: &str = "list_slot_days";
        let last = first.saturating_add((DAYS - 1).days()).to_string();
        let query = self.query(&[("from_date", &first.to_string()), ("to_date", &last)]);
        let (filter, range) = (member.parameters(OPERATION, &query)?, member.parameters(OPERATION, &query)?);
        let found = days::list(&member.public(), Ok(member.context.actor.clone()), filter, range).await?;
        let with_times = found.items.iter().filter(|item| item.slots > 0).map(|item| (item.date.0, Some(item.slots)));
        let next = found.next_day_with_slots.map(|Date(day)| (day, None));
        Ok(with_times.chain(next).collect())
    }

    /// The times of the day, each once for every practitioner who has it.
    async fn times(&self, member: &Member, clinic: &Clinic, day: Day) -> Result<Vec<Value>> {
        const OPERATION: &str = "list_slots";
        let date = day.to_string();
        let (mut found, mut cursor): (Vec<SlotView>, Option<String>) = (Vec::new(), None);
        for _ in 0..PAGES {
            let mut more = vec![("date", date.as_str()), ("limit", "100")];
            more.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let query = self.query(&more);
            let (filter, params) = (member.parameters(OPERATION, &query)?, member.parameters(OPERATION, &query)?);
            let page = member.parameters(OPERATION, &query)?;
            let slots = search::list(&member.public(), Ok(member.context.actor.clone()), filter, params, page).await?;
            found.extend(slots.items);
            cursor = slots.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        let shown = |slot: &SlotView| {
            let starts = Moment::new(slot.starts_at, &zone(member, &slot.time_zone), Language::English);
            context! {
                id => slot.id.to_string(), time => starts.time(), day => starts.day(),
                practitioner => clinic.practitioner(slot.practitioner_id), place => clinic.location(slot.location_id),
            }
        };
        Ok(found.iter().map(shown).collect())
    }
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let option = |chosen: bool| context! { id => "1", name => "Elm", chosen => chosen };
    let page = |all: bool, moving: bool| {
        let time =
            context! { id => "1", time => "9:30 AM", day => "Monday", practitioner => "Dr. Osei", place => "Elm" };
        let day = |count: Option<u32>, chosen: bool| context! { label => "Monday", count => count, chosen => chosen, link => "x" };
        let values = context! {
            root => "../../../", member => super::super::member::example(true),
            moving => moving.then(|| context! { version => 1, ..visit::example_facts("booked", all) }),
            patient => (!moving).then(|| context! { id => "1", name => "Ann <b>Example", mrn => "LW-001001" }),
            action => "desk/x", page => "desk/y",
            visit_types => [option(true), option(false)], locations => [option(true), option(false)],
            practitioners => [option(true), option(false)], visit_type => "1", location => "1", practitioner => "1",
            date => "2026-03-09", day => "Monday", days => if all { vec![day(Some(1), true), day(Some(2), false), day(None, false)] } else { vec![] },
            times => if all { vec![time] } else { vec![] }, earlier => all.then_some("x"), later => "x", has_kind => all || moving, form_key => "k",
        };
        ("desk-times", values)
    };
    vec![page(true, true), page(false, true), page(true, false), page(false, false)]
}
