//! A patient's card: how to reach them, their visits, and other records that may be of the same person.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use minijinja::value::Serde;
use minijinja::{Value, context};

use super::super::form_post::Sent;
use super::clinic::{Clinic, phone};
use super::day::in_short;
use super::done::Done;
use super::wanted::Wanted;
use super::{Member, consents, flags, spoken, visit, waitlist};
use crate::appointments::view::AppointmentView;
use crate::error::Result;
use crate::http::PathId;
use crate::ids::PatientId;
use crate::patients::duplicates;
use crate::patients::records::updating::{self, PatientCard};

pub(super) async fn show(member: Member, PathId(id): PathId<PatientId>, request: HttpRequest) -> Result<HttpResponse> {
    let asked = Sent::read(request.query_string().as_bytes());
    let wanted = Wanted::of(&asked);
    let card = updating::read(&member.context, id).await?.object;
    let now = member.context.env.now().to_string();
    let id = id.to_string();
    let upcoming = visit::list(&member, &[("patient_id", &id), ("from", &now), ("limit", "50")]).await?;
    let past = [("patient_id", id.as_str()), ("to", &now), ("sort", "-starts_at"), ("limit", "20")];
    let past = visit::list(&member, &past).await?;
    let mut clinic = Clinic::of_visits(&member, upcoming.iter().chain(&past)).await?;
    let flags = flags::open(&member, card.patient.id, &mut clinic).await?;
    let waits = waitlist::of_patient(&member, card.patient.id, &mut clinic).await?;
    // A visit that has begun comes first until it is completed. Cancelled visits of the future are listed with the past ones.
    let is_to_come = |visit: &AppointmentView| visit.is_to_come(member.context.env.now());
    let (begun, past): (Vec<_>, Vec<_>) = past.into_iter().partition(is_to_come);
    let (upcoming, cancelled): (Vec<_>, Vec<_>) = upcoming.into_iter().partition(is_to_come);
    let upcoming: Vec<AppointmentView> = begun.into_iter().rev().chain(upcoming).collect();
    let past: Vec<AppointmentView> = cancelled.into_iter().chain(past).collect();
    let shown =
        |visits: &[AppointmentView]| visits.iter().map(|one| visit::facts(&member, one, &clinic)).collect::<Vec<_>>();
    let duplicates =
        if card.patient.active { duplicates::list(&member.context, card.patient.id).await?.items } else { Vec::new() };
    let consents = consents::outstanding(&member, &card.patient).await?;
    let values = context! {
        did => Done::of(asked.first("did")).map(Done::word),
        waits => waits,
        upcoming => shown(&upcoming),
        past => shown(&past),
        duplicates => Value::from(Serde(&duplicates)),
        consents => consents,
        flags => flags,
        form_key => member.form_key(),
        ..context! { ..wanted.values(), ..facts(&member, &card, &clinic) }
    };
    member.answer("desk-patient", StatusCode::OK, values).await
}

fn facts(member: &Member, card: &PatientCard, clinic: &Clinic) -> Value {
    let patient = &card.patient;
    let missed = card.missed_visits.unwrap_or_default();
    context! {
        id => patient.id.to_string(),
        name => patient.display_name.as_str(),
        legal_name => [&patient.given_name, &patient.middle_name, &Some(patient.family_name.clone())]
            .into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" "),
        mrn => patient.mrn.as_str(),
        born => in_short(patient.date_of_birth.0, member.language),
        sex => patient.administrative_sex.as_str(),
        phone => patient.phone.as_ref().map(|number| phone(number, &clinic.locations)),
        dial => patient.phone.as_deref(),
        email => patient.email.as_deref(),
        email_confirmed => patient.email_confirmed,
        refused => card.mail_refusal.is_some(),
        language => spoken::name(&patient.preferred_language, member.language),
        interpreter => patient.interpreter_needed,
        reminders => patient.reminders_wanted,
        no_shows => missed.no_shows,
        late => missed.late_cancellations,
        active => patient.active,
        replaced_by => patient.replaced_by.map(|id| id.to_string()),
    }
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let page = |all: bool, active: bool, replaced: bool, sex: &str| {
        let duplicate = |grade: &str| {
            context! {
                id => "2", mrn => "LW-001002", given_name => all.then_some("Anne"), family_name => "Example", date_of_birth => "1967-09-14",
                grade => grade,
            }
        };
        let visits = if all {
            vec![visit::example_facts("booked", true), visit::example_facts("cancelled", false)]
        } else {
            vec![]
        };
        let wanted = if all { Wanted::default().with("location_id", "1") } else { Wanted::default() };
        let values = context! {
            root => "../../", member => super::super::member::example(true), id => "1", name => "Ann <b>Example",
            legal_name => if all { "Ann Maria Example" } else { "Ann <b>Example" }, mrn => "LW-001001", born => "Sep 14, 1967", sex => sex, waits => if all { vec!["Follow-up", "Check"] } else { vec![] },
            phone => all.then_some("(212) 555-0100"), dial => "+12125550100", email => all.then_some("ann@example.org"),
            email_confirmed => !active, refused => all, language => if all { "Spanish" } else { "English" }, interpreter => all, reminders => !all,
            no_shows => usize::from(all), late => usize::from(all), consents => if all { vec![consents::example()] } else { vec![] }, flags => if all { flags::examples() } else { vec![] }, form_key => "k",
            active => active, replaced_by => replaced.then_some("2"), upcoming => visits.clone(), past => if all { [visits.as_slice(); 10].concat() } else { visits },
            duplicates => if all { vec![duplicate("certain"), duplicate("probable"), context! { given_name => Value::from(()), ..duplicate("possible") }] } else { vec![] },
            ..wanted.values()
        };
        ("desk-patient", values)
    };
    vec![
        page(true, true, false, "female"),
        page(false, true, false, "male"),
        page(true, false, true, "other"),
        page(false, false, false, "unknown"),
    ]
}
