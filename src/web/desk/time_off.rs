//! A practitioner who is away, such as on a sick day: adding the time off, and what becomes of the visits that it affects. After a move, the
//! address has the ids of the moved visits, and no names.

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use jiff::civil::Date as Day;
use jiff::tz::TimeZone;
use minijinja::{Value, context};
use serde_json::{Value as Json, json};
use url::form_urlencoded::Serializer;

use super::super::form_post::Sent;
use super::absence;
use super::clinic::{Clinic, phone};
use super::day::in_short;
use super::{Member, MemberForm, refuse, visit};
use crate::appointments::listing;
use crate::appointments::plan_changes::affected::{self, AppointmentToMove, MAX_VISITS};
use crate::appointments::plan_changes::moving;
use crate::appointments::view::AppointmentView;
use crate::error::{Error, FieldCode, Result};
use crate::http::{PathId, input};
use crate::ids::{AppointmentId, ExceptionId, PractitionerId};
use crate::messages::times::Moment;
use crate::scheduling::hours::affected::AffectedAppointment;
use crate::scheduling::hours::exception::ExceptionKind;
use crate::scheduling::hours::exceptions;

const PAGE: &str = "desk/time-off";
/// The field with the chosen time of a visit begins with this.
const MOVE: &str = "move.";

/// Shows who is away, with the form that adds time off.
pub(super) async fn list(member: Member) -> Result<HttpResponse> {
    let clinic = Clinic::read(&member).await?;
    let mut rows = Vec::new();
    // Practitioners enter their own time off only.
    let own = member.context.actor.practitioner_id.filter(|_| member.is_practitioner());
    let practitioners: Vec<_> = clinic.practitioners.iter().filter(|one| own.is_none_or(|own| own == one.id)).collect();
    for practitioner in &practitioners {
        for one in absence::of(&member, practitioner.id).await? {
            if one.kind == ExceptionKind::TimeOff {
                let zone = absence::zone(&member, &clinic, practitioner.id, one.location_id);
                rows.push(context! {
                    id => one.id.to_string(), practitioner => practitioner.name.as_str(), when => absence::when(&one, &zone, member.language),
                    place => one.location_id.map(|id| clinic.location(id)), reason => one.reason,
                });
            }
        }
    }
    let option = |id: String, name: &str| context! { id => id, name => name };
    let values = context! {
        rows => rows, today => today(&member, &clinic).to_string(),
        practitioners => practitioners.iter().map(|one| option(one.id.to_string(), &one.name)).collect::<Vec<_>>(),
        locations => clinic.locations.iter().map(|one| option(one.id.to_string(), &one.name)).collect::<Vec<_>>(),
        form_key => member.form_key(),
    };
    member.answer("desk-time-off", StatusCode::OK, values).await
}

/// The day at the first location.
fn today(member: &Member, clinic: &Clinic) -> Day {
    let zone = clinic.locations.first().map_or(TimeZone::UTC, |place| member.zone(&place.time_zone));
    member.context.env.now().in_zone(&zone).date()
}

/// Adds time off, and leads to the visits that it affects.
pub(super) async fn create(form: MemberForm) -> Result<HttpResponse> {
    let member = &form.member;
    let practitioner: PractitionerId = match form.sent.first("practitioner_id") {
        "" => {
            let error = Error::invalid("/practitioner_id", FieldCode::Required, "must be chosen");
            return refuse(&form, PAGE, error).await;
        }
        id => id.parse().map_err(|_| Error::NotFound)?,
    };
    let clinic = Clinic::read(member).await?;
    match absence::add(&form, &clinic, practitioner, "time off").await {
        Ok(created) => Ok(member.go_to(&format!("{PAGE}/{}", created.exception.id))),
        Err(error) => refuse(&form, PAGE, error).await,
    }
}

/// Deletes time off. What is gone is deleted.
pub(super) async fn delete(form: MemberForm, PathId(id): PathId<ExceptionId>) -> Result<HttpResponse> {
    match exceptions::remove(&form.member.context, id).await {
        Ok(_) => Ok(form.member.go_to(PAGE)),
        Err(Error::NotFound) => {
            form.member.context.audit.note_unchanged();
            Ok(form.member.go_to(PAGE))
        }
        Err(error) => refuse(&form, PAGE, error).await,
    }
}

/// Shows the visits that time off affects, each with free times to move to; before them the patients who are at the clinic, and after a move
/// who was moved where.
pub(super) async fn show(
    member: Member,
    PathId(id): PathId<ExceptionId>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let sent = Sent::read(request.query_string().as_bytes());
    let count = |name: &str| sent.first(name).parse::<u32>().ok();
    let member = &member;
    let exception = exceptions::read(&member.context, id).await?.object;
    let found = affected::read(&member.context, id).await?;
    let mut clinic = Clinic::read(member).await?;
    let moved = moved(member, &sent).await?;
    let practitioners = moved.iter().map(|one| one.practitioner_id).chain([exception.practitioner_id]);
    clinic.read_names(member, practitioners, moved.iter().map(|one| one.visit_type_id)).await?;
    let zone = absence::zone(member, &clinic, exception.practitioner_id, exception.location_id);
    let visits = found.affected_appointments.iter().map(|one| to_move(member, &clinic, one));
    let here = found.checked_in_appointments.iter().map(|one| person(member, &clinic, one));
    let moved = moved.iter().map(|one| visit::facts(member, one, &clinic));
    let values = context! {
        id => id.to_string(), practitioner => clinic.practitioner(exception.practitioner_id),
        when => absence::when(&exception, &zone, member.language), reason => exception.reason, total => found.affected_total,
        visits => visits.collect::<Vec<_>>(), here => here.collect::<Vec<_>>(), moved => moved.collect::<Vec<_>>(),
        not_moved => count("not_moved").unwrap_or(0),
        why => sent.all("why").map(str::to_owned).collect::<Vec<_>>(), form_key => member.form_key(),
    };
    member.answer("desk-affected", StatusCode::OK, values).await
}

/// Reads the visits that the address names as moved. Leaves out ids that no visit has.
async fn moved(member: &Member, sent: &Sent) -> Result<Vec<AppointmentView>> {
    let mut moved = Vec::new();
    for id in sent.all("moved").filter_map(|id| id.parse::<AppointmentId>().ok()).take(MAX_VISITS) {
        match listing::read(&member.context, id).await {
            Ok(found) => moved.push(found.object),
            Err(Error::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(moved)
}

/// A visit with its proposals.
fn to_move(member: &Member, clinic: &Clinic, one: &AppointmentToMove) -> Value {
    let proposals = one.proposals.iter().map(|slot| {
        context! {
            value => format!("{} {}", one.version, slot.id),
            when => Moment::new(slot.starts_at, &member.zone(&slot.time_zone), member.language).full_here(),
            practitioner => clinic.practitioner(slot.practitioner_id), is_earlier => slot.starts_at < one.appointment.starts_at,
        }
    });
    context! { proposals => proposals.collect::<Vec<_>>(), ..person(member, clinic, &one.appointment) }
}

/// A visit with the patient.
fn person(member: &Member, clinic: &Clinic, visit: &AffectedAppointment) -> Value {
    context! {
        id => visit.id.to_string(), starts => Moment::new(visit.starts_at, &member.zone(&visit.time_zone), member.language).full_here(),
        visit_type => visit.visit_type.as_str(),
        place => clinic.location(visit.location_id), patient => visit.patient.display_name.as_str(), patient_id => visit.patient.id.to_string(),
        born => in_short(visit.patient.date_of_birth.0, member.language), phone => visit.patient.phone.as_ref().map(|number| phone(number, &clinic.locations)),
    }
}

/// Moves the visits for which a time is chosen, and shows them and those that are left.
pub(super) async fn move_all(form: MemberForm, PathId(id): PathId<ExceptionId>) -> Result<HttpResponse> {
    let member = &form.member;
    let ignore_gaps = !form.sent.first("ignore_gaps").is_empty();
    let moves = form.sent.fields().filter_map(|(name, value)| chosen(name, value, ignore_gaps));
    let moves: Vec<Json> = moves.collect();
    if moves.is_empty() {
        member.context.audit.note_unchanged();
        return Ok(member.go_to(&format!("{PAGE}/{id}")));
    }
    let body = input::read_built(&json!({"moves": moves}), &*member.operation("reschedule_appointments")?)?;
    let request: moving::RescheduleAppointmentsRequest = body.value;
    let done = moving::reschedule(&member.context, form.once("sick day"), request.moves).await?;
    let mut result = Serializer::new(String::new());
    result
        .extend_pairs(done.moved.iter().map(|one| ("moved", one.appointment_id.to_string())))
        .append_pair("not_moved", &done.not_moved.len().to_string());
    let why: BTreeSet<&str> = done.not_moved.iter().map(|one| one.code.as_str()).collect();
    result.extend_pairs(why.iter().map(|code| ("why", code)));
    Ok(member.go_to(&format!("{PAGE}/{id}?{}", result.finish())))
}

/// A move that a field asks for: its name has the visit, its value the version and the slot.
fn chosen(name: &str, value: &str, ignore_gaps: bool) -> Option<Json> {
    let visit = name.strip_prefix(MOVE)?;
    let (version, slot) = value.split_once(' ')?;
    let version: i32 = version.parse().ok()?;
    Some(json!({"appointment_id": visit, "version": version, "slot_id": slot, "ignore_gaps": ignore_gaps}))
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let member = || super::super::member::example(true);
    let proposal = |is_earlier: bool| context! { value => "1 2", when => "Tuesday", practitioner => "Dr. Osei", is_earlier => is_earlier };
    let affected = |all: bool| {
        context! {
            id => "1", starts => "Monday", visit_type => "Check", place => "Elm", patient => "Ann <b>Example", patient_id => "1", born => "Sep 14, 1967",
            phone => all.then_some("(212) 555-0100"), proposals => if all { vec![proposal(false), proposal(true)] } else { vec![] },
        }
    };
    let earlier = context! { proposals => [proposal(true)], ..affected(true) };
    let shown = |visits: Vec<Value>, moved: usize, not_moved: usize| {
        let moves: Vec<_> =
            [true, false].into_iter().take(moved).map(|all| visit::example_facts("booked", all)).collect();
        let here: Vec<_> = [true, false].into_iter().take(moved).map(affected).collect();
        let values = context! {
            root => "../../", member => member(), id => "1", practitioner => "Dr. <b>Osei", when => "Monday", reason => (moved > 0).then_some("Ill"),
            total => if not_moved > 0 { 120 } else { visits.len() }, visits => visits, here => here, moved => moves, not_moved => not_moved, form_key => "k",
            why => ["series_gap", "slot_taken", "patient_busy", "stale", "not_found"].into_iter().take(not_moved).collect::<Vec<_>>(),
        };
        ("desk-affected", values)
    };
    let row = |all: bool| {
        context! { id => "1", practitioner => "Dr. Osei", when => "Monday", place => all.then_some("Elm"), reason => all.then_some("Ill") }
    };
    let list = |rows: Vec<Value>| {
        let one = context! { id => "1", name => "Elm" };
        let values = context! {
            root => "../", member => member(), rows => rows, today => "2026-03-02", practitioners => [one.clone()], locations => [one.clone(), one.clone()], form_key => "k",
        };
        ("desk-time-off", values)
    };
    vec![
        shown(vec![affected(true), affected(false)], 0, 0),
        shown(vec![affected(true)], 1, 1),
        shown(vec![earlier], 0, 5),
        shown(vec![], 2, 0),
        shown(vec![affected(false)], 0, 0),
        list(vec![row(true), row(false)]),
        list(vec![]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_names_the_visit_its_version_and_the_slot() {
        let moved = json!({"appointment_id": "a", "version": 3, "slot_id": "b", "ignore_gaps": true});
        assert_eq!(chosen("move.a", "3 b", true), Some(moved));
        for (name, value) in [("move.a", ""), ("move.a", "x b"), ("form_key", "3 b")] {
            assert_eq!(chosen(name, value, false), None, "{name} {value}");
        }
    }
}
