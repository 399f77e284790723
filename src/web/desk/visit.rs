//! One visit: what the desk knows of it, its history, and what can be done now.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use jiff::tz::TimeZone;
use minijinja::{Value, context};
use text::Language;

use super::Member;
use super::clinic::Clinic;
use super::day::{shown_patient, status_name};
use crate::appointment_status::AppointmentStatus;
use crate::appointments::history::{self, AppointmentChange, AppointmentSide};
use crate::appointments::listing;
use crate::appointments::view::AppointmentView;
use crate::error::Result;
use crate::http::PathId;
use crate::ids::AppointmentId;
use crate::messages::times::Moment;

/// Shows the visit.
pub(super) async fn show(member: Member, PathId(id): PathId<AppointmentId>) -> Result<HttpResponse> {
    let found = listing::read(&member.context, id).await?;
    let visit = &found.object;
    let clinic = Clinic::read(&member).await?;
    let zone = member.zone(&visit.time_zone);
    let changes = history::read_history(&member.context, id).await?.items;
    let changes: Vec<Value> = changes.iter().map(|change| shown(change, &clinic, &zone)).collect();
    let today = member.context.env.now().in_zone(&zone).date();
    let date = visit.starts_at.in_zone(&zone).date();
    let values = context! {
        form_key => member.form_key(),
        version => found.version,
        location => visit.location_id.to_string(),
        date => date.to_string(),
        changes => changes,
        can_check_in => matches!(visit.status, AppointmentStatus::Booked | AppointmentStatus::NoShow) && date <= today,
        can_be_missed => visit.status == AppointmentStatus::Booked && visit.starts_at <= member.context.env.now(),
        ..facts(visit, &clinic, &zone)
    };
    member.answer("desk-visit", StatusCode::OK, values).await
}

/// A visit in a list or on its page.
pub(super) fn facts(visit: &AppointmentView, clinic: &Clinic, zone: &TimeZone) -> Value {
    let starts = Moment::new(visit.starts_at, zone, Language::English);
    context! {
        id => visit.id.to_string(),
        starts => starts.full_here(),
        visit_type => clinic.visit_type(visit.visit_type_id),
        practitioner => clinic.practitioner(visit.practitioner_id),
        place => clinic.location(visit.location_id),
        status => visit.status.as_str(),
        status_name => status_name(visit.status),
        code => visit.confirmation_code.as_str(),
        confirmed => visit.confirmed_at.is_some(),
        forms => visit.intake_status.as_str(),
        note => visit.note.as_deref(),
        overbooked => visit.overbooked == Some(true),
        attention => visit.attention.is_some(),
        resources => visit.resources.iter().map(|one| one.name.clone()).collect::<Vec<_>>(),
        patient => visit.patient.as_ref().map(|patient| shown_patient(patient, &clinic.locations)),
    }
}

fn shown(change: &AppointmentChange, clinic: &Clinic, zone: &TimeZone) -> Value {
    context! {
        at => Moment::new(change.at, zone, Language::English).full(),
        step => change.step.as_str().replace(['_', '-'], " "),
        by => if change.by == AppointmentSide::Patient { "patient" } else { "clinic" },
        starts => Moment::new(change.starts_at, zone, Language::English).full_here(),
        practitioner => clinic.practitioner(change.practitioner_id),
        reason => change.reason.as_deref(),
    }
}

#[cfg(test)]
pub(super) fn example_facts(status: &str, all: bool) -> Value {
    context! {
        id => "1", starts => "Monday", visit_type => "Check", practitioner => "Dr. Osei", place => "Elm", status => status, status_name => status,
        code => "K7MP-3XWD", confirmed => all, forms => if all { "missing" } else { "submitted" }, note => all.then_some("Walker"),
        overbooked => all, attention => all, resources => if all { vec!["Chair"] } else { vec![] },
        patient => super::day::example_patient(all),
    }
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let change = |reason: Option<&'static str>| {
        context! { at => "Monday", step => "book", by => "clinic", starts => "Monday", practitioner => "Dr. Osei", reason => reason }
    };
    [
        ("booked", true),
        ("booked", false),
        ("checked-in", false),
        ("noshow", false),
        ("fulfilled", false),
        ("cancelled", false),
    ]
    .map(|(status, all)| {
        let values = context! {
            root => "../../", member => super::super::member::example(true), form_key => "k",
            version => 1, location => "1", date => "2026-03-09", changes => [change(None), change(Some("Ill"))],
            can_check_in => all || status == "noshow", can_be_missed => all, ..example_facts(status, all)
        };
        ("desk-visit", values)
    })
    .into()
}
