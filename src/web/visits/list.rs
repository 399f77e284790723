//! All visits of the patients for whom an account acts, and what they wait for.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use minijinja::{Value, context};

use super::super::form_post::Sent;
use super::super::intake::standing;
use super::super::member::Member;
use super::{shown, waitlist_entry};
use crate::appointment_status::AppointmentStatus;
use crate::appointments::listing::{self, AppointmentPage};
use crate::appointments::view::AppointmentView;
use crate::error::Result;
use crate::ids::PatientId;
use crate::messages::times::Moment;
use crate::patients::access::current_user;

/// The operation whose parameters the lists have.
const OPERATION: &str = "list_appointments";
/// The most visits of each list. An account has fewer open ones.
const MOST: usize = 50;
/// What was done before the page was opened, as its address says.
const DONE: [&str; 3] = ["waiting", "not_waiting", "declined"];

/// Shows the visits to come, the next one first; what the patients wait for; then cancelled visits of the future, and past ones, the last
/// one first.
pub(super) async fn show(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    if member.is_staff() {
        return Ok(member.go_to(member.home()));
    }
    let now = member.context.env.now();
    let to_come = read(&member, &format!("from={now}&sort=starts_at")).await?;
    let past = read(&member, &format!("to={now}&sort=-starts_at")).await?;
    let patients = current_user::read(&member.context).await?.patients;
    let names: BTreeMap<PatientId, String> =
        patients.iter().map(|patient| (patient.id, patient.display_name.clone())).collect();
    let (cancelled, open): (Vec<_>, Vec<_>) =
        to_come.items.iter().partition(|visit| visit.status == AppointmentStatus::Cancelled);
    let mut upcoming = Vec::new();
    for visit in open {
        let history = standing(&member, visit).await?;
        // Only a visit that can be confirmed has them: the version that the page shows, and a key of its form.
        let is_time_open = shown::is_time_open(&member, visit);
        let is_unconfirmed = visit.status == AppointmentStatus::Booked && visit.confirmed_at.is_none() && !is_time_open;
        let version = if is_unconfirmed { Some(shown::read(&member, visit.id).await?.version) } else { None };
        upcoming.push(context! {
            history => history, version => version, is_time_open => is_time_open, form_key => member.form_key(), ..entry(&member, visit, &to_come, &names)
        });
    }
    let cancelled = cancelled.into_iter().map(|visit| entry(&member, visit, &to_come, &names));
    let over: Vec<Value> =
        cancelled.chain(past.items.iter().map(|visit| entry(&member, visit, &past, &names))).collect();
    let waiting = waitlist_entry::all(&member, &to_come, &names).await?;
    let sent = Sent::read(request.query_string().as_bytes());
    let values = context! {
        done => DONE.into_iter().find(|done| *done == sent.first("done")),
        form_key => member.form_key(),
        waiting => waiting,
        upcoming => upcoming,
        over => over,
        several => names.len() > 1,
        has_patients => !names.is_empty(),
    };
    member.answer("visits", StatusCode::OK, values).await
}

async fn read(member: &Member, query: &str) -> Result<AppointmentPage> {
    let query = format!("{query}&include=practitioner,location,visit_type&limit={MOST}");
    let (filter, page) = (member.parameters(OPERATION, &query)?, member.parameters(OPERATION, &query)?);
    listing::list(&member.context, filter, page).await
}

fn entry(
    member: &Member,
    visit: &AppointmentView,
    page: &AppointmentPage,
    names: &BTreeMap<PatientId, String>,
) -> Value {
    let zone = member.zone(&visit.time_zone);
    let starts = Moment::new(visit.starts_at, &zone, member.language);
    let included = page.included.as_ref();
    context! {
        id => visit.id.to_string(),
        when => starts.date(),
        time => starts.time_here(),
        visit => included.and_then(|included| included.visit_type(visit.visit_type_id, member.language)),
        practitioner => included.and_then(|included| included.practitioner(visit.practitioner_id)),
        location => included.and_then(|included| included.location(visit.location_id)),
        patient => names.get(&visit.patient_id),
        status => visit.status.as_str(),
        confirmed => visit.confirmed_at.is_some(),
    }
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let member = super::super::member::example(false);
    let visit = |status: &str, confirmed: bool, history: usize| {
        context! {
            id => "1", when => "Monday, March 9, 2026", time => "9:30 AM (EDT)", visit => "First visit", practitioner => "Dr. Osei",
            location => "Elm", patient => "Ann Example", status => status, confirmed => confirmed,
            history => shown::example_history()[history].clone(), is_time_open => history == 4, version => (status == "booked" && !confirmed).then_some(1), form_key => "k",
        }
    };
    let page = |upcoming: Vec<Value>, over: Vec<Value>, several: bool, has_patients: bool| {
        let done = if several { Some(DONE[0]) } else { Some(DONE[if has_patients { 1 } else { 2 }]) };
        let waiting = if has_patients { waitlist_entry::examples() } else { vec![] };
        let values = context! {
            member => member.clone(), done => done, form_key => "k", waiting => waiting, upcoming => upcoming, over => over,
            several => several, has_patients => has_patients,
        };
        ("visits", values)
    };
    let over = ["booked", "checked-in", "fulfilled", "cancelled", "noshow"].map(|status| visit(status, false, 3));
    vec![
        page(
            vec![
                visit("booked", true, 0),
                visit("booked", false, 1),
                visit("booked", false, 2),
                visit("checked-in", false, 3),
                visit("booked", false, 4),
            ],
            over.into(),
            true,
            true,
        ),
        page(vec![], vec![], false, true),
        page(vec![], vec![], false, false),
    ]
}
