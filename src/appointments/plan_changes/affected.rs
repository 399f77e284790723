//! The visits that a practitioner's time off affects, each with free times to move to, and the patients who are at the clinic for them.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::{HttpResponse, get};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde::Serialize;
use utoipa::ToSchema;

use super::choosing::{self, Choice, Need, Visit};
use crate::actor::Action;
use crate::appointment_status::AppointmentStatus;
use crate::clock::Timestamp;
use crate::context::{Context, Tx};
use crate::db::raw_sql::RawSql;
use crate::db::schema::appointments;
use crate::db::{Conn, per_backend};
use crate::error::Result;
use crate::http::{PathId, response};
use crate::ids::{AppointmentId, ExceptionId, LocationId, PatientId, ResourceId, VisitTypeId};
use crate::scheduling::hours::affected::{self, AffectedAppointment};
use crate::scheduling::hours::exception::{self, Exception, ExceptionKind};
use crate::scheduling::slots::free::{SlotQuery, SlotView, free};
use crate::scheduling::slots::offering::Offering;
use crate::scheduling::slots::units::Units;
use crate::scheduling::visit_time::VisitTime;

/// The largest number of visits in a response. As many can be moved at once.
pub const MAX_VISITS: usize = 100;
/// More than the longest visit with its buffers.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);
/// Visits of one kind at one location are searched together if they start in the same time of this length, ...
const SPAN: SignedDuration = SignedDuration::from_hours(7 * 24);
/// ... from this long before the first of them on, for the case that no later time is near.
const EARLIER: SignedDuration = SignedDuration::from_hours(24);
/// How many free times are compared for one visit, and how many more for each further one.
const CHOICES: i64 = 1000;
const CHOICES_EACH: i64 = 12;

/// A visit to move.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "practitioner_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01",
    "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "starts_at": "2026-03-09T13:30:00Z",
    "ends_at": "2026-03-09T14:30:00Z", "time_zone": "America/New_York", "visit_type": "New patient evaluation",
    "patient": {
        "id": "0199d0c2-1f00-7aaa-8000-000000000001", "display_name": "Ann Example", "date_of_birth": "1967-09-14",
        "phone": "+12125550100", "preferred_language": "en", "interpreter_needed": false
    },
    "version": 1, "proposals": []
}))]
pub struct AppointmentToMove {
    /// The appointment.
    #[serde(flatten)]
    pub appointment: AffectedAppointment,
    /// The version of the appointment, the number in its `ETag`.
    pub version: i32,
    /// Free times for the same kind of visit at the location, at most three, with any practitioner, the best one first: those from the present
    /// start on, the soonest first; earlier ones only after all free times of the next seven days. They are on different days, as far as other
    /// days have a free time. The first ones of all visits do not overlap, and never want the same last unit of a resource, so that all can
    /// be moved to them.
    #[schema(max_items = 3)]
    pub proposals: Vec<SlotView>,
}

/// The visits that time off affects.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"affected_appointments": [], "affected_total": 0, "checked_in_appointments": []}))]
pub struct AppointmentsToMove {
    /// The booked visits that are not over, earliest first, at most 100.
    #[schema(max_items = 100)]
    pub affected_appointments: Vec<AppointmentToMove>,
    /// The number of all of them.
    #[schema(minimum = 0)]
    pub affected_total: usize,
    /// The visits whose patients have checked in and are not done, earliest first, at most 100. The patients are at the clinic, so these
    /// visits have no proposals: ask the patients.
    #[schema(max_items = 100)]
    pub checked_in_appointments: Vec<AffectedAppointment>,
}

/// A visit that has to move.
#[derive(Queryable)]
struct Row {
    id: AppointmentId,
    version: i32,
    patient_id: PatientId,
    location_id: LocationId,
    visit_type_id: VisitTypeId,
    starts_at: Timestamp,
}

/// Loads the visits that an exception affects, with proposals.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound).
pub async fn read(context: &Context, id: ExceptionId) -> Result<AppointmentsToMove> {
    context.require(Action::AgendaRead)?;
    context
        .read(move |tx| {
            let exception = exception::find(tx.conn, id)?;
            let (mut rows, mut here) = affected_by(tx, &exception)?;
            let affected_total = rows.len();
            rows.truncate(MAX_VISITS);
            here.truncate(MAX_VISITS);
            let mut proposals = proposals(tx, &rows)?;
            let versions: HashMap<_, _> = rows.iter().map(|row| (row.id, row.version)).collect();
            let shown = affected::load(tx, &versions.keys().copied().collect::<Vec<_>>())?;
            let item = |appointment: AffectedAppointment| AppointmentToMove {
                version: versions.get(&appointment.id).copied().unwrap_or_default(),
                proposals: proposals.remove(&appointment.id).unwrap_or_default(),
                appointment,
            };
            Ok(AppointmentsToMove {
                affected_appointments: shown.affected_appointments.into_iter().map(item).collect(),
                affected_total,
                checked_in_appointments: affected::with_status(tx, &here, AppointmentStatus::CheckedIn)?
                    .affected_appointments,
            })
        })
        .await
}

/// Loads the booked visits in time off that are not over, by start, and those whose patients are at the clinic, which may be late.
fn affected_by(tx: &mut Tx, exception: &Exception) -> Result<(Vec<Row>, Vec<AppointmentId>)> {
    if exception.kind != ExceptionKind::TimeOff {
        return Ok((Vec::new(), Vec::new()));
    }
    let from = exception.starts_at;
    let mut query = appointments::table
        .filter(appointments::practitioner_id.eq(exception.practitioner_id))
        .filter(appointments::starts_at.gt(from.minus(LONGEST)))
        .filter(appointments::starts_at.lt(exception.ends_at.plus(LONGEST)))
        .filter(appointments::busy_until.gt(from))
        .filter(appointments::busy_from.lt(exception.ends_at))
        .filter(
            appointments::status
                .eq(AppointmentStatus::CheckedIn)
                .or(appointments::status.eq(AppointmentStatus::Booked).and(appointments::busy_until.gt(tx.now))),
        )
        .order((appointments::starts_at, appointments::id))
        .select((
            appointments::status,
            (
                appointments::id,
                appointments::version,
                appointments::patient_id,
                appointments::location_id,
                appointments::visit_type_id,
                appointments::starts_at,
            ),
        ))
        .into_boxed();
    if let Some(location) = exception.location_id {
        query = query.filter(appointments::location_id.eq(location));
    }
    let found: Vec<(AppointmentStatus, Row)> = query.load(tx.conn)?;
    let (here, booked): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|(status, _)| *status == AppointmentStatus::CheckedIn);
    let here = here.into_iter().map(|(_, row)| row.id).collect();
    Ok((booked.into_iter().map(|(_, row)| row).collect(), here))
}

/// Searches free times, once for all visits of a kind at a location in about a week.
fn proposals(tx: &mut Tx, rows: &[Row]) -> Result<HashMap<AppointmentId, Vec<SlotView>>> {
    let mut groups: Vec<(Searched, Vec<SlotView>, Vec<Choice>)> = Vec::new();
    let mut visits = Vec::new();
    let mut others = other_visits(tx.conn, rows)?;
    for row in rows {
        let is_of = |(key, ..): &(Searched, Vec<SlotView>, Vec<Choice>)| {
            key.0 == row.visit_type_id && key.1 == row.location_id && row.starts_at < key.2.plus(SPAN)
        };
        let known = groups.iter().position(is_of);
        let group = known.unwrap_or(groups.len());
        if known.is_none() {
            let key = (row.visit_type_id, row.location_id, row.starts_at);
            let (slots, choices) = search(tx, key, rows)?;
            groups.push((key, slots, choices));
        }
        let others = others.remove(&row.id).unwrap_or_default();
        visits.push(Visit { patient: row.patient_id, starts_at: row.starts_at, group, others });
    }
    let (slots, choices): (Vec<_>, Vec<_>) = groups.into_iter().map(|(_, slots, choices)| (slots, choices)).unzip();
    let chosen = choosing::propose(&visits, &choices);
    let shown = rows.iter().zip(&visits).zip(chosen).map(|((row, visit), places)| {
        let proposals = places.into_iter().filter_map(|place| slots[visit.group].get(place).cloned());
        (row.id, proposals.collect())
    });
    Ok(shown.collect())
}

/// What is searched together: the kind of visit, the location and the first start.
type Searched = (VisitTypeId, LocationId, Timestamp);

fn search(tx: &mut Tx, (kind, location, first): Searched, rows: &[Row]) -> Result<(Vec<SlotView>, Vec<Choice>)> {
    let visit = Offering::find(tx.conn, tx.env, kind)?;
    let together = rows.iter().filter(|row| row.visit_type_id == kind && row.location_id == location).count();
    let limit = CHOICES + CHOICES_EACH * i64::try_from(together).unwrap_or(0);
    let query = SlotQuery::new(&visit, first.minus(EARLIER), tx.now, true);
    let slots = if visit.active {
        free(tx.conn, &visit, &SlotQuery { locations: vec![location], ..query }, limit)?
    } else {
        Vec::new()
    };
    let times: Vec<VisitTime> = slots.iter().map(|slot| visit.length.starting(slot.starts_at)).collect();
    let from = times.iter().map(|time| time.busy_from).min().unwrap_or(first);
    let until = times.iter().map(|time| time.busy_until).max().unwrap_or(first);
    let units = visit.units_between(tx.conn, (from, until), tx.now)?;
    let needs = |time: VisitTime| {
        let units = units.iter().flat_map(|units| units.needed.iter().map(move |resource| (units, *resource)));
        let need = |(units, resource): (&Arc<Units>, ResourceId)| Need {
            resource: (resource, location),
            free: units.count_free(resource, location, time),
        };
        units.map(need).collect()
    };
    let zone = visit.zones.get(&location).cloned().unwrap_or(TimeZone::UTC);
    let choice = |(slot, time): (&SlotView, &VisitTime)| Choice {
        practitioner: slot.practitioner_id,
        time: *time,
        day: time.starts_at.in_zone(&zone).date(),
        needs: needs(*time),
    };
    let choices = slots.iter().zip(&times).map(choice).collect();
    Ok((slots, choices))
}

/// The times of the live visits of each patient that do not have to move, by the visit that has to.
fn other_visits(conn: &mut Conn, rows: &[Row]) -> Result<HashMap<AppointmentId, Vec<(Timestamp, Timestamp)>>> {
    let Some(first) = rows.iter().map(|row| row.starts_at).min() else { return Ok(HashMap::new()) };
    let patients: Vec<PatientId> = rows.iter().map(|row| row.patient_id).collect();
    // Literal, as in the index of the live visits of a patient.
    let live = RawSql::<Bool>::new("appointments.status IN ('booked', 'checked-in')");
    let found: Vec<(AppointmentId, PatientId, Timestamp, Timestamp)> = per_backend!(conn, conn => appointments::table
        .filter(live.clone())
        .filter(appointments::patient_id.eq_any(patients.clone()))
        .filter(appointments::starts_at.gt(first.minus(EARLIER).minus(LONGEST)))
        .select((appointments::id, appointments::patient_id, appointments::starts_at, appointments::ends_at))
        .load(conn))?;
    let others = |row: &Row| {
        let theirs = found.iter().filter(|(id, patient, ..)| *patient == row.patient_id && *id != row.id);
        let stays = theirs.filter(|(id, ..)| !rows.iter().any(|other| other.id == *id));
        (row.id, stays.map(|(.., from, until)| (*from, *until)).collect())
    };
    Ok(rows.iter().map(others).collect())
}

/// Read the appointments that time off affects
///
/// Staff only. Returns the booked appointments in the time off that are not over, each with up to three of the free times that `GET /v1/slots`
/// offers for the same kind of visit at the location, with any practitioner. Earlier times than the present one come only after all free
/// times of the next seven days. The first ones do not overlap, and a unit of each resource is left for each: send them to
/// `POST /v1/appointments/reschedule` to move all. Appointments whose patients have checked in are listed apart, without times. Extra hours
/// affect none.
#[utoipa::path(
    tag = "practitioners",
    operation_id = "get_affected_appointments",
    security(("bearer" = [])),
    params(("id" = ExceptionId, Path, description = "The exception")),
    responses((status = 200, description = "The appointments", body = AppointmentsToMove)),
)]
#[get("/v1/exceptions/{id}/affected-appointments")]
pub(in crate::appointments) async fn get_affected_appointments(
    context: Context,
    PathId(id): PathId<ExceptionId>,
) -> Result<HttpResponse> {
    Ok(response::ok(&read(&context, id).await?))
}
