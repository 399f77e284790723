//! A patient's record as a practitioner opens it from a search or the day: who it is, the forms, the visits and the follow-ups. Nothing on
//! it is clinical. What is, has pages of its own, which ask a practitioner who does not treat the patient for a reason.

use std::cmp::Reverse;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::{Value, context};
use rls::FormName;
use url::form_urlencoded::Serializer;

use super::super::account::zone as first_zone;
use super::{Member, follow_ups, opening, person};
use crate::appointment_status::AppointmentStatus;
use crate::appointments::listing::{self as visits, AppointmentPage};
use crate::appointments::view::AppointmentView;
use crate::error::Result;
use crate::http::PathId;
use crate::ids::PatientId;
use crate::intake::listing as intakes;
use crate::messages::times::Moment;
use crate::patients::records::updating;

/// Shows the record.
pub(super) async fn show(member: Member, PathId(id): PathId<PatientId>) -> Result<HttpResponse> {
    let patient = updating::read(&member.context, id).await?.object.patient;
    let (now, of_patient) = (member.context.env.now().to_string(), id.to_string());
    let to_come = read_visits(&member, &[("patient_id", &of_patient), ("from", &now), ("limit", "20")]).await?;
    let past = [("patient_id", of_patient.as_str()), ("to", &now), ("sort", "-starts_at"), ("limit", "20")];
    let past = read_visits(&member, &past).await?;
    let own = member.context.actor.practitioner_id;
    let is_own = to_come
        .items
        .iter()
        .chain(&past.items)
        .any(|visit| Some(visit.practitioner_id) == own && visit.status != AppointmentStatus::Cancelled);
    // A visit that has begun comes first until it is completed. Cancelled visits of the future are listed with the past ones.
    let (begun, over) = shown(&member, &past);
    let (next, called_off) = shown(&member, &to_come);
    let values = context! {
        patient => person::shown(&member, id, &patient.display_name, patient.date_of_birth.0, &patient.mrn),
        active => patient.active,
        replaced_by => patient.replaced_by.map(|id| id.to_string()),
        speaks => member.other_language(&patient.preferred_language),
        interpreter => patient.interpreter_needed,
        is_own => is_own,
        open => opening::link(id, &format!("doctor/patients/{id}/timeline")),
        intakes => forms(&member, id).await?,
        follow_ups => planned(&member, id).await?,
        upcoming => begun.into_iter().rev().chain(next).collect::<Vec<_>>(),
        past => called_off.into_iter().chain(over).collect::<Vec<_>>(),
        today => member.context.env.now().in_zone(&first_zone(&member).await?).date().to_string(),
        form_key => member.form_key(),
    };
    member.answer("doctor-patient", StatusCode::OK, values).await
}

async fn read_visits(member: &Member, query: &[(&str, &str)]) -> Result<AppointmentPage> {
    const OPERATION: &str = "list_appointments";
    let mut all = Serializer::new(String::new());
    let query = all.extend_pairs(query).append_pair("include", "practitioner,location,visit_type").finish();
    let (filter, page) = (member.parameters(OPERATION, &query)?, member.parameters(OPERATION, &query)?);
    visits::list(&member.context, filter, page).await
}

/// The visits of a page that are to come, and the others.
fn shown(member: &Member, page: &AppointmentPage) -> (Vec<Value>, Vec<Value>) {
    let included = page.included.as_ref();
    let visit = |one: &AppointmentView| {
        let zone = member.zone(&one.time_zone);
        context! {
            when => Moment::new(one.starts_at, &zone, member.language).full_here(),
            visit_type => included.and_then(|included| included.visit_type(one.visit_type_id, member.language)),
            practitioner => included.and_then(|included| included.practitioner(one.practitioner_id)),
            place => included.and_then(|included| included.location(one.location_id)),
            status => one.status.as_str(),
            note => one.note.as_deref(),
        }
    };
    let (to_come, others): (Vec<_>, Vec<_>) =
        page.items.iter().partition(|one| one.is_to_come(member.context.env.now()));
    (to_come.into_iter().map(visit).collect(), others.into_iter().map(visit).collect())
}

/// The forms of the patient, without their answers: drafts, then the last sent first.
async fn forms(member: &Member, id: PatientId) -> Result<Vec<Value>> {
    const OPERATION: &str = "list_patient_intakes";
    let query = "sort=-updated_at&limit=20";
    let (filter, page) = (member.parameters(OPERATION, query)?, member.parameters(OPERATION, query)?);
    let mut found = intakes::list_of_patient(&member.context, id, filter, page).await?.items;
    found.sort_by_key(|one| (one.submitted_at.is_some(), Reverse(one.submitted_at)));
    let zone = first_zone(member).await?;
    let day = |at| Moment::new(at, &zone, member.language).date_alone();
    let form = |one: &intakes::ListedIntake| {
        context! {
            id => one.id.to_string(),
            is_follow_up => one.form == FormName::FollowUp.as_str(),
            status => one.status.as_str(),
            sent => one.submitted_at.map(day),
            reviewed => one.reviewed_at.map(day),
            urgent => one.urgent_flags.is_some_and(|count| count > 0),
        }
    };
    Ok(found.iter().map(form).collect())
}

/// The newest follow-ups.
async fn planned(member: &Member, id: PatientId) -> Result<Vec<Value>> {
    use crate::intake::follow_up::listing;
    const OPERATION: &str = "list_patient_follow_ups";
    let (filter, page) = (member.parameters(OPERATION, "limit=10")?, member.parameters(OPERATION, "limit=10")?);
    let found = listing::list_of_patient(&member.context, id, filter, page).await?.items;
    let zone = first_zone(member).await?;
    Ok(found.iter().map(|one| follow_ups::shown(member, one, &zone)).collect())
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let form = |status: &str, all: bool| {
        context! {
            id => "1", is_follow_up => all, status => status, sent => all.then_some("March 2, 2026"), reviewed => all.then_some("March 3, 2026"), urgent => all,
        }
    };
    let visit = |status: &str, note: Option<&'static str>| {
        context! { when => "Monday", visit_type => "Check", practitioner => "Dr. Osei", place => "Elm", status => status, note => note }
    };
    let page = |all: bool, active: bool, replaced_by: Option<&'static str>| {
        let forms = vec![
            form("in-progress", false),
            form("in-progress", true),
            form("completed", true),
            form("amended", false),
            form("entered-in-error", true),
        ];
        let visits = vec![visit("booked", Some("Walker <b>")), visit("cancelled", None)];
        let values = context! {
            root => "../../", member => super::super::member::example_practitioner(), patient => person::example(), active => active,
            replaced_by => replaced_by, speaks => all.then_some("es"), interpreter => all, is_own => !all, open => "doctor/patients/1/open?next=x",
            intakes => if all { forms } else { vec![] }, follow_ups => if all { follow_ups::all_examples() } else { vec![] },
            upcoming => if all { visits } else { vec![] }, past => Vec::<Value>::new(), today => "2026-03-02", form_key => "k",
        };
        ("doctor-patient", values)
    };
    vec![page(true, true, None), page(false, true, None), page(false, false, Some("2")), page(false, false, None)]
}
