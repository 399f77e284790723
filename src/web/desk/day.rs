//! The day of a location: who comes when, with the next step of each visit as a button.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use jiff::civil::Date as Day;
use jiff::{SignedDuration, ToSpan};
use minijinja::{Value, context};
use text::Language;
use url::form_urlencoded::Serializer;

use super::super::form_post::Sent;
use super::super::language::both;
use super::Member;
use super::attention::attention;
use super::clinic::{chosen, locations, phone, shortest_visit};
use super::done::Done;
use super::spoken;
use super::wanted::Wanted;
use crate::appointment_status::AppointmentStatus;
use crate::appointments::agenda::{AgendaAppointment, AgendaGap, AgendaGapKind};
use crate::appointments::day_sheet::{self, DaySheet};
use crate::appointments::view::AppointmentPatient;
use crate::error::{Error, Result};
use crate::messages::times::Moment;
use crate::scheduling::setup::locations::LocationView;

/// The page of a day at a location.
pub(super) fn link(location: &str, date: &str) -> String {
    let query = Serializer::new(String::new()).append_pair("location", location).append_pair("date", date).finish();
    format!("desk?{query}")
}

/// Shows the day.
pub(super) async fn show(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    let sent = Sent::read(request.query_string().as_bytes());
    let locations = locations(&member).await?;
    if locations.is_empty() {
        return member.answer("desk", StatusCode::OK, context! { location => Value::from(()) }).await;
    }
    let carried = member.place.map(|place| place.to_string()).unwrap_or_default();
    let asked = sent.first("location");
    let location = chosen(&locations, if asked.is_empty() { &carried } else { asked })?;
    let now = member.context.env.now().in_zone(&member.zone(&location.time_zone));
    let day = match sent.first("date") {
        "" => now.date(),
        text => text.parse().map_err(|_| Error::NotFound)?,
    };
    let shortest = shortest_visit(&member).await?;
    let sheet = day_sheet::read(&member.context, location.id, Some(day)).await?;
    let place = location.id.to_string();
    let to = |day: Day| link(&place, &day.to_string());
    let others: Vec<Value> = locations
        .iter()
        .map(|one| {
            let link = link(&one.id.to_string(), &day.to_string());
            context! { name => one.name.as_str(), link => link, chosen => one.id == location.id }
        })
        .collect();
    let here = Wanted::default().with("location_id", place.as_str());
    // The page of times begins with today by itself, or else with the first day that has times.
    let here = if day > now.date() { here.with("date", day.to_string()) } else { here };
    let row = |visit| row(&member, visit, &locations, day <= now.date());
    let rows: Vec<Value> = sheet.appointments.iter().map(row).collect();
    let values = context! {
        did => Done::of(sent.first("did")).map(Done::word),
        location => place.as_str(),
        name => location.name.as_str(),
        date => day.to_string(),
        day => Moment::of_day(day, member.language).date(),
        is_today => day == now.date(),
        printed => Moment::new(member.context.env.now(), &member.zone(&location.time_zone), member.language).full_here(),
        locations => others,
        before => to(day.saturating_sub(1.day())),
        today => to(now.date()),
        after => to(day.saturating_add(1.day())),
        rows => rows,
        free => free(&sheet, shortest, member.language),
        notes => notes(&sheet, member.language),
        calls => sheet.calls.len(),
        form_key => member.form_key(),
        ..here.values()
    };
    member.answer("desk", StatusCode::OK, values).await
}

/// A local time: "9:30 AM".
pub(super) fn clock(local: &str, language: Language) -> String {
    local.parse().map_or_else(|_| local.to_owned(), |at| Moment::of_clock(at, language).time())
}

/// Two times on one day: "9:00 AM to 10:30 AM".
pub(super) fn from_to(from: &str, to: &str, language: Language) -> String {
    format!("{} {} {}", clock(from, language), both("to", "a").text(language), clock(to, language))
}

/// A birth date or another day: "Sep 14, 1967".
pub(super) fn in_short(date: Day, language: Language) -> String {
    Moment::of_day(date, language).date_in_short()
}

fn row(member: &Member, visit: &AgendaAppointment, locations: &[LocationView], has_come: bool) -> Value {
    let appointment = &visit.appointment;
    let missed = &visit.missed_visits;
    context! {
        id => appointment.id.to_string(),
        starts => clock(&visit.starts_local, member.language),
        ends => clock(&visit.ends_local, member.language),
        practitioner => visit.practitioner_name.as_str(),
        visit_type => visit.visit_type.as_str(),
        status => appointment.status.as_str(),
        confirmed => appointment.confirmed_at.is_some(),
        forms => appointment.intake_status.as_str(),
        urgent => visit.urgent,
        waiting => visit.waiting_minutes,
        consents => !visit.consents_outstanding.is_empty(),
        missed => missed.no_shows + missed.late_cancellations,
        overbooked => appointment.overbooked == Some(true),
        note => appointment.note.as_deref(),
        can_check_in => has_come && appointment.status == AppointmentStatus::Booked,
        can_complete => appointment.status == AppointmentStatus::CheckedIn,
        patient => appointment.patient.as_ref().map(|patient| shown_patient(member, patient, locations)),
        ..attention(appointment, member.language)
    }
}

/// The patient of a visit.
pub(super) fn shown_patient(member: &Member, patient: &AppointmentPatient, locations: &[LocationView]) -> Value {
    context! {
        id => patient.id.to_string(),
        name => patient.display_name.as_str(),
        born => in_short(patient.date_of_birth.0, member.language),
        mrn => patient.mrn.as_str(),
        phone => patient.phone.as_ref().map(|number| phone(number, locations)),
        dial => patient.phone.as_deref(),
        language => member.other_language(&patient.preferred_language).map(|tag| spoken::name(tag, member.language)),
        interpreter => patient.interpreter_needed,
    }
}

/// The free time of each practitioner: "9:00 AM to 10:30 AM", with the page that books from its start on if the shortest visit fits.
fn free(sheet: &DaySheet, shortest: Option<SignedDuration>, language: Language) -> Vec<Value> {
    let is_free = |gap: &&AgendaGap| gap.kind == AgendaGapKind::Free;
    let mut names: Vec<&str> =
        sheet.gaps.iter().filter(is_free).filter_map(|gap| gap.practitioner_name.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    let fits = |gap: &AgendaGap| shortest.is_some_and(|shortest| gap.starts_at.plus(shortest) <= gap.ends_at);
    let times = |name: &str| -> Vec<Value> {
        let own = sheet.gaps.iter().filter(is_free).filter(|gap| gap.practitioner_name.as_deref() == Some(name));
        let link = |gap: &AgendaGap| fits(gap).then(|| wanted(gap, sheet).link("desk/patients"));
        own.map(|gap| context! { span => span(gap, language), link => link(gap) }).collect()
    };
    names.iter().map(|name| context! { practitioner => *name, times => times(name) }).collect()
}

/// What is wanted if the desk chooses a free time.
fn wanted(gap: &AgendaGap, sheet: &DaySheet) -> Wanted {
    let practitioner = gap.practitioner_id.map(|id| id.to_string()).unwrap_or_default();
    let time = gap.starts_local.as_deref().and_then(|local| local.get(11..16)).unwrap_or_default();
    Wanted::default()
        .with("location_id", sheet.location_id.to_string())
        .with("practitioner_id", practitioner)
        .with("date", sheet.date.0.to_string())
        .with("time", time)
}

/// Time off, extra hours, closures and blocks.
fn notes(sheet: &DaySheet, language: Language) -> Vec<Value> {
    let named = sheet.gaps.iter().filter_map(|gap| {
        let what = match gap.kind {
            AgendaGapKind::Blocked => both("Blocked", "Bloqueado"),
            AgendaGapKind::TimeOff => both("Away", "Ausente"),
            AgendaGapKind::ExtraHours => both("Extra hours", "Horas extra"),
            AgendaGapKind::Closure => both("Closed", "Cerrado"),
            AgendaGapKind::Free | AgendaGapKind::Held => return None,
        };
        Some((what.text(language), gap))
    });
    let shown = |(what, gap): (&str, &AgendaGap)| {
        context! { what => what, who => gap.practitioner_name.as_deref(), span => span(gap, language), reason => gap.reason.as_deref() }
    };
    named.map(shown).collect()
}

fn span(gap: &AgendaGap, language: Language) -> String {
    let (starts, ends) =
        (gap.starts_local.as_deref().unwrap_or_default(), gap.ends_local.as_deref().unwrap_or_default());
    if [starts, ends].iter().all(|at| at.ends_with("T00:00:00")) {
        return both("all day", "todo el día").text(language).to_owned();
    }
    from_to(starts, ends, language)
}

#[cfg(test)]
pub(super) fn example_patient(all: bool) -> Value {
    context! {
        id => "1", name => "Ann <b>Example", born => "Sep 14, 1967", mrn => "LW-001001",
        phone => all.then_some("(212) 555-0100"), dial => all.then_some("+12125550100"), language => all.then_some("Spanish"), interpreter => all,
    }
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let row = |status: &str, forms: &str, all: bool| {
        context! {
            id => "1", starts => "9:30 AM", ends => "10:30 AM", practitioner => "Dr. Osei", visit_type => "Check",
            status => status, confirmed => all, forms => forms, urgent => all,
            consents => all, waiting => all.then_some(5), missed => if all { 2 } else { 0 }, overbooked => all, attention => all.then_some("time_off"), told => Value::from(()),
            note => all.then_some("Walker"), can_check_in => status == "booked", can_complete => status == "checked-in",
            patient => example_patient(all),
        }
    };
    let day = |all: bool, calls: usize| {
        let rows = [
            row("booked", "missing", true),
            row("checked-in", "in-progress", false),
            row("fulfilled", "completed", false),
            row("noshow", "reviewed", false),
            row("cancelled", "reviewed", false),
        ];
        let rows = if all { rows.to_vec() } else { vec![] };
        let location = |chosen: bool| context! { name => "Elm", link => "desk?x", chosen => chosen };
        context! {
            root => "", member => super::super::member::example(true), location => "1", name => "Elm", date => "2026-03-09",
            day => "Monday, March 9, 2026", is_today => all, printed => "Monday, March 9, 2026, 9:30 AM",
            locations => if all { vec![location(true), location(false)] } else { vec![location(true)] },
            before => "desk?x", today => "desk?x", after => "desk?x", rows => rows,
            free => if all {
                let time = |link: Option<&str>| context! { span => "9:00 AM to 9:30 AM", link => link };
                vec![context! { practitioner => "Dr. Osei", times => [time(Some("desk/patients?x")), time(None)] }]
            } else { vec![] },
            notes => if all { vec![
                context! { what => "Away", who => "Dr. Osei", span => "9:00 AM to 9:30 AM", reason => "Ill" },
                context! { what => "Closed", who => Value::from(()), span => "9:00 AM to 9:30 AM", reason => Value::from(()) },
            ] } else { vec![] },
            calls => calls, form_key => "k", ..Wanted::default().with("location_id", "1").values()
        }
    };
    let none = context! { root => "", member => super::super::member::example(true), location => Value::from(()) };
    let switched = context! { switch => "?location=1&lang=es", ..day(true, 1) };
    vec![("desk", switched), ("desk", day(true, 2)), ("desk", day(false, 0)), ("desk", none)]
}
