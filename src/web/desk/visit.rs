//! One visit: what the desk knows of it, its history, and what can be done now.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use jiff::tz::TimeZone;
use minijinja::{Value, context};
use rls::form_dsl::Bilingual;
use url::form_urlencoded::Serializer;

use super::super::form_post::Sent;
use super::super::language::both;
use super::attention::attention;
use super::clinic::Clinic;
use super::day::shown_patient;
use super::{Member, consents, done, flags};
use crate::appointment_status::AppointmentStatus;
use crate::appointments::history::{self, AppointmentChange, AppointmentSide};
use crate::appointments::listing;
use crate::appointments::status::AppointmentStep;
use crate::appointments::view::AppointmentView;
use crate::error::Result;
use crate::http::PathId;
use crate::ids::AppointmentId;
use crate::messages::times::Moment;
use crate::scheduling::hours::plan::AttentionReason;

/// Shows the visit, after a form of the desk with what it did.
pub(super) async fn show(
    member: Member,
    PathId(id): PathId<AppointmentId>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let asked = Sent::read(request.query_string().as_bytes());
    let found = listing::read(&member.context, id).await?;
    let visit = &found.object;
    let mut clinic = Clinic::of_visits(&member, [visit]).await?;
    let zone = member.zone(&visit.time_zone);
    let changes = history::read_history(&member.context, id).await?.items;
    clinic.read_names(&member, changes.iter().map(|change| change.practitioner_id), []).await?;
    let changes: Vec<Value> = changes.iter().map(|change| shown(&member, change, &clinic, &zone)).collect();
    let today = member.context.env.now().in_zone(&zone).date();
    let date = visit.starts_at.in_zone(&zone).date();
    let now = member.context.env.now();
    let is_booked = visit.status == AppointmentStatus::Booked;
    let flags = match &visit.patient {
        Some(patient) => flags::open(&member, patient.id, &mut clinic).await?,
        None => Vec::new(),
    };
    let values = context! {
        flags => flags,
        form_key => member.form_key(),
        version => found.version,
        location => visit.location_id.to_string(),
        date => date.to_string(),
        changes => changes,
        can_check_in => matches!(visit.status, AppointmentStatus::Booked | AppointmentStatus::NoShow) && date <= today,
        can_be_missed => is_booked && visit.starts_at <= now,
        can_mail => is_booked && visit.ends_at > now && !is_time_open(visit),
        can_ask => is_booked || visit.status == AppointmentStatus::CheckedIn,
        consents => consents::of_visit(&member, visit).await?,
        ..context! { ..done::about(&member, visit, asked.first("did")).await?, ..facts(&member, visit, &clinic) }
    };
    member.answer("desk-visit", StatusCode::OK, values).await
}

/// Lists visits by the parameters of the operation.
pub(super) async fn list(member: &Member, query: &[(&str, &str)]) -> Result<Vec<AppointmentView>> {
    const OPERATION: &str = "list_appointments";
    let query = Serializer::new(String::new()).extend_pairs(query).finish();
    let (filter, page) = (member.parameters(OPERATION, &query)?, member.parameters(OPERATION, &query)?);
    Ok(listing::list(&member.context, filter, page).await?.items)
}

/// Whether staff have not decided yet which time counts after a change of the zone.
fn is_time_open(visit: &AppointmentView) -> bool {
    visit.attention.as_ref().is_some_and(|attention| attention.reason == AttentionReason::ZoneChanged)
}

/// A visit in a list or on its page.
pub(super) fn facts(member: &Member, visit: &AppointmentView, clinic: &Clinic) -> Value {
    let starts = Moment::new(visit.starts_at, &member.zone(&visit.time_zone), member.language);
    context! {
        id => visit.id.to_string(),
        starts => starts.full_here(),
        visit_type => clinic.visit_type(visit.visit_type_id),
        patients_word => clinic.patients_word(visit.visit_type_id, member.language),
        practitioner => clinic.practitioner(visit.practitioner_id),
        place => clinic.location(visit.location_id),
        status => visit.status.as_str(),
        code => visit.confirmation_code.as_str(),
        confirmed => visit.confirmed_at.is_some(),
        forms => visit.intake_status.as_str(),
        note => visit.note.as_deref(),
        overbooked => visit.overbooked == Some(true),
        in_series => visit.series_id.is_some(),
        resources => visit.resources.iter().map(|one| one.name.clone()).collect::<Vec<_>>(),
        patient => visit.patient.as_ref().map(|patient| shown_patient(member, patient, &clinic.locations)),
        ..attention(visit, member.language)
    }
}

/// What was done in a step of a visit. The page says by whom.
fn step(step: AppointmentStep) -> Bilingual {
    match step {
        AppointmentStep::Book => both("Booked", "Reservada"),
        AppointmentStep::Reschedule => both("Moved", "Cambiada de hora"),
        AppointmentStep::Cancel => both("Cancelled", "Cancelada"),
        AppointmentStep::Confirm => both("Confirmed", "Confirmada"),
        AppointmentStep::CheckIn => both("Checked in", "Llegada registrada"),
        AppointmentStep::NoShow => both("Marked as not come", "Inasistencia registrada"),
        AppointmentStep::Complete => both("Completed", "Terminada"),
        AppointmentStep::Undo => both("Last step undone", "Último paso deshecho"),
        AppointmentStep::Amend => both("Changed", "Modificada"),
    }
}

fn shown(member: &Member, change: &AppointmentChange, clinic: &Clinic, zone: &TimeZone) -> Value {
    let moment = |at| Moment::new(at, zone, member.language);
    let at = moment(change.at);
    context! {
        at => format!("{}, {}", at.date(), at.time()),
        step => step(change.step).text(member.language),
        by => if change.by == AppointmentSide::Patient { "patient" } else { "clinic" },
        starts => moment(change.starts_at).full_here(),
        practitioner => clinic.practitioner(change.practitioner_id),
        reason => change.reason.as_deref(),
    }
}

#[cfg(test)]
pub(super) fn example_facts(status: &str, all: bool) -> Value {
    context! {
        id => "1", starts => "Monday", visit_type => "Check", patients_word => all.then_some("First visit"), practitioner => "Dr. Osei", place => "Elm", status => status,
        code => "K7MP-3XWD", confirmed => all, forms => if all { "missing" } else { "reviewed" }, note => all.then_some("Walker"),
        overbooked => all, attention => all.then_some("zone_changed"), told => all.then_some("Monday, 9:00 AM"), in_series => all, resources => if all { vec!["Chair"] } else { vec![] },
        patient => super::day::example_patient(all),
    }
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let change = |reason: Option<&'static str>| {
        let by = if reason.is_some() { "patient" } else { "clinic" };
        context! { at => "Monday", step => "Booked", by => by, starts => "Monday", practitioner => "Dr. Osei", reason => reason }
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
            flags => if all { flags::examples() } else { vec![] },
            version => 1, location => "1", date => "2026-03-09", changes => [change(None), change(Some("Ill"))],
            can_check_in => all || status == "noshow", can_be_missed => all, can_mail => all, can_ask => all,
            consents => if all { vec!["treatment", "privacy notice"] } else { vec![] }, ..example_facts(status, all)
        };
        ("desk-visit", values)
    })
    .into_iter()
    .chain([("time_off", "checked-in"), ("closure", "booked"), ("hours", "booked")].map(|(attention, status)| {
        let values = context! {
            root => "../../", member => super::super::member::example(true), form_key => "k", flags => Vec::<Value>::new(),
            version => 1, location => "1", date => "2026-03-09", changes => [change(None)],
            can_check_in => false, can_be_missed => false, can_mail => true, can_ask => true, consents => Vec::<Value>::new(), ..context! { attention => attention, told => Value::from(()), ..example_facts(status, true) }
        };
        ("desk-visit", values)
    }))
    .flat_map(|(name, values)| match name {
        // Every word of what was done, on one of the pages.
        "desk-visit" if values.get_attr("can_be_missed").is_ok_and(|yes| yes.is_true()) => {
            done::examples().into_iter().map(|did| (name, context! { ..did, ..values.clone() })).collect()
        }
        _ => vec![(name, values)],
    })
    .collect()
}
