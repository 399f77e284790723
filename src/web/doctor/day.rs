//! The day of the signed-in practitioner: who comes when, what they have answered, who waits, and the time between.

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use jiff::ToSpan;
use jiff::civil::{Date as Day, Time};
use jiff::tz::TimeZone;
use minijinja::{Value, context};

use super::super::account::zone as first_zone;
use super::super::form_post::Sent;
use super::{Member, MemberForm, person, refuse};
use crate::appointment_status::AppointmentStatus;
use crate::appointments::agenda::{self, Agenda, AgendaAppointment, AgendaGap, AgendaGapKind};
use crate::appointments::status::AppointmentStep;
use crate::appointments::steps::{Cause, take_step};
use crate::error::{Error, Result};
use crate::http::PathId;
use crate::http::etag::IfMatch;
use crate::ids::AppointmentId;
use crate::messages::times::Moment;
use crate::scheduling::setup::included::Include;

/// The page of a day.
pub(super) fn link(day: Day) -> String {
    format!("doctor?date={day}")
}

/// Shows the day.
pub(super) async fn show(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    let Some(practitioner) = member.context.actor.practitioner_id else {
        return member.answer("doctor", StatusCode::OK, context! { day => Value::from(()) }).await;
    };
    let sent = Sent::read(request.query_string().as_bytes());
    let asked: Option<Day> = match sent.first("date") {
        "" => None,
        text => Some(text.parse().map_err(|_| Error::NotFound)?),
    };
    let agenda = agenda::read(&member.context, practitioner, asked, vec![Include::Location]).await?;
    let day = agenda.date.0;
    let zone = zone(&member, &agenda).await?;
    let values = context! {
        day => Moment::of_day(day, member.language).date(),
        date => day.to_string(),
        is_today => asked.is_none() || member.context.env.now().in_zone(&zone).date() == day,
        before => link(day.saturating_sub(1.day())),
        after => link(day.saturating_add(1.day())),
        rows => rows(&member, &agenda),
        notes => agenda.gaps.iter().filter_map(|gap| note(&member, gap, &zone, day)).collect::<Vec<_>>(),
        form_key => member.form_key(),
    };
    member.answer("doctor", StatusCode::OK, values).await
}

/// The time zone of the day: that of its first visit or gap, or of the clinic's first location.
async fn zone(member: &Member, agenda: &Agenda) -> Result<TimeZone> {
    let of_visit = agenda.appointments.first().map(|visit| visit.appointment.time_zone.as_str());
    let of_gap = || agenda.gaps.iter().find_map(|gap| gap.time_zone.as_deref());
    match of_visit.or_else(of_gap) {
        Some(name) => Ok(member.zone(name)),
        None => first_zone(member).await,
    }
}

/// The visits and the time between them, by start.
fn rows(member: &Member, agenda: &Agenda) -> Vec<Value> {
    let places: BTreeSet<_> = agenda.appointments.iter().map(|visit| visit.appointment.location_id).collect();
    let place = |visit: &AgendaAppointment| {
        let included = agenda.included.as_ref().filter(|_| places.len() > 1);
        included.and_then(|included| included.location(visit.appointment.location_id)).map(str::to_owned)
    };
    let visits = agenda.appointments.iter().map(|one| (one.appointment.starts_at, row(member, one, place(one))));
    let gaps = agenda.gaps.iter().filter_map(|one| Some((one.starts_at, gap(member, one)?)));
    let mut rows: Vec<_> = visits.chain(gaps).collect();
    rows.sort_by_key(|(at, _)| *at);
    rows.into_iter().map(|(_, row)| row).collect()
}

fn row(member: &Member, visit: &AgendaAppointment, place: Option<String>) -> Value {
    let appointment = &visit.appointment;
    let zone = member.zone(&appointment.time_zone);
    let time = |at| Moment::new(at, &zone, member.language).time();
    let missed = &visit.missed_visits;
    context! {
        kind => "visit",
        id => appointment.id.to_string(),
        starts => time(appointment.starts_at),
        ends => time(appointment.ends_at),
        visit_type => visit.visit_type.as_str(),
        place => place,
        status => appointment.status.as_str(),
        waiting => visit.waiting_minutes,
        urgent => visit.urgent,
        missed => missed.no_shows + missed.late_cancellations,
        note => appointment.note.as_deref(),
        intake => appointment.intake_id.map(|id| id.to_string()),
        history => appointment.intake_status.as_str(),
        can_complete => appointment.status == AppointmentStatus::CheckedIn,
        patient => appointment.patient.as_ref().map(|patient| {
            context! {
                speaks => member.other_language(&patient.preferred_language), interpreter => patient.interpreter_needed,
                ..person::shown(member, patient.id, &patient.display_name, patient.date_of_birth.0, &patient.mrn)
            }
        }),
    }
}

/// Time that no visit takes.
fn gap(member: &Member, gap: &AgendaGap) -> Option<Value> {
    let kind = match gap.kind {
        AgendaGapKind::Free => "free",
        AgendaGapKind::Held => "held",
        AgendaGapKind::Blocked => "blocked",
        AgendaGapKind::TimeOff | AgendaGapKind::ExtraHours | AgendaGapKind::Closure => return None,
    };
    let zone = member.zone(gap.time_zone.as_deref()?);
    let time = |at| Moment::new(at, &zone, member.language).time();
    let (starts, ends) = (time(gap.starts_at), time(gap.ends_at));
    Some(context! { kind => kind, starts => starts, ends => ends, reason => gap.reason.as_deref() })
}

/// Time off, extra hours and closures. Without times they take the whole day.
fn note(member: &Member, gap: &AgendaGap, zone: &TimeZone, day: Day) -> Option<Value> {
    let kind = match gap.kind {
        AgendaGapKind::TimeOff => "away",
        AgendaGapKind::ExtraHours => "extra",
        AgendaGapKind::Closure => "closed",
        AgendaGapKind::Free | AgendaGapKind::Held | AgendaGapKind::Blocked => return None,
    };
    let zone = gap.time_zone.as_deref().map_or_else(|| zone.clone(), |name| member.zone(name));
    let (from, to) = (gap.starts_at.in_zone(&zone), gap.ends_at.in_zone(&zone));
    let is_from_midnight = from.date() < day || from.time() == Time::midnight();
    let starts = (!is_from_midnight).then(|| Moment::new(gap.starts_at, &zone, member.language).time());
    let ends = (to.date() == day).then(|| Moment::new(gap.ends_at, &zone, member.language).time());
    Some(context! { kind => kind, starts => starts, ends => ends, reason => gap.reason.as_deref() })
}

/// Completes a visit. A row has no version: the status decides whether the step is possible.
pub(super) async fn complete(form: MemberForm, PathId(id): PathId<AppointmentId>) -> Result<HttpResponse> {
    // The rows of a day share the key of the page.
    let once = form.once(&format!("complete {id}"));
    let step = AppointmentStep::Complete;
    let done = take_step(&form.member.context, once, id, IfMatch::any(), step, Cause::default()).await;
    let page = form.sent.first("date").parse().map_or_else(|_| "doctor".to_owned(), link);
    match done {
        Ok(_) => Ok(form.member.go_to(&page)),
        Err(error) => refuse(&form, &page, error).await,
    }
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let visit = |status: &str, history: &str, all: bool| {
        let patient = context! { speaks => all.then_some("pt"), interpreter => all, ..person::example() };
        context! {
            kind => "visit", id => "1", starts => "9:30 AM", ends => "10:30 AM", visit_type => "Check", place => all.then_some("Elm"),
            status => status, waiting => all.then_some(5), urgent => all, missed => if all { 2 } else { 0 }, note => all.then_some("Walker"),
            intake => (history != "missing").then_some("1"), history => history, can_complete => status == "checked-in",
            patient => (history != "missing").then_some(patient),
        }
    };
    let gap = |kind: &str, reason: Option<&'static str>| {
        context! { kind => kind, starts => "9:00 AM", ends => "9:30 AM", reason => reason }
    };
    let note = |kind: &str, starts: Option<&'static str>, ends: Option<&'static str>| {
        context! { kind => kind, starts => starts, ends => ends, reason => starts }
    };
    let full = vec![
        gap("free", None),
        gap("held", None),
        gap("blocked", Some("Meeting")),
        visit("booked", "missing", false),
        visit("checked-in", "in-progress", true),
        visit("fulfilled", "reviewed", false),
        visit("noshow", "completed", false),
        visit("cancelled", "completed", false),
    ];
    let notes = vec![
        note("away", None, None),
        note("extra", Some("5:00 PM"), Some("6:00 PM")),
        note("closed", Some("5:00 PM"), None),
        note("closed", None, Some("10:00 AM")),
    ];
    let page = |rows: Vec<Value>, notes: Vec<Value>, is_today: bool| {
        let values = context! {
            member => super::super::member::example_practitioner(), day => "Monday, March 9, 2026",
            date => "2026-03-09", is_today => is_today, before => "doctor?x", after => "doctor?x", rows => rows, notes => notes, form_key => "k",
        };
        ("doctor", values)
    };
    let unlinked = context! {
        member => super::super::member::example_practitioner(), day => Value::from(()),
    };
    vec![page(full, notes, true), page(vec![], vec![], false), ("doctor", unlinked)]
}
