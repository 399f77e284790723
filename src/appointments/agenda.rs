//! A practitioner's day: the visits in order, and what lies between them.

use actix_web::{HttpResponse, get, web};
use diesel::prelude::*;
use jiff::civil::Date as Day;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::dto::AppointmentDto;
use super::store;
use crate::actor::{Action, Actor};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{locations, slots};
use crate::db::types::Date;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::{Params, PathId};
use crate::ids::{LocationId, PractitionerId};
use crate::scheduling::hours;
use crate::scheduling::model::Slot;
use crate::scheduling::{self, exceptions, plan_store};
use crate::sealed::{Place, Sealed};

/// A practitioner's day.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002", "practitioner_name": "Dr. Ada Calloway", "date": "2026-03-09",
    "appointments": [],
    "gaps": [{
        "kind": "free", "starts_at": "2026-03-09T13:00:00Z", "ends_at": "2026-03-09T17:00:00Z",
        "location_id": "0199d0c2-1f00-7aaa-8000-000000000003", "time_zone": "America/New_York", "note": null
    }]
}))]
pub struct Agenda {
    /// Whose day it is.
    pub practitioner_id: PractitionerId,
    /// As patients see it.
    pub practitioner_name: String,
    /// The day; at each location as its calendar has it.
    pub date: Date,
    /// The visits that are not cancelled, by their starts.
    pub appointments: Vec<AgendaAppointment>,
    /// The rest of the day, by the starts.
    pub gaps: Vec<AgendaGap>,
}

/// A visit of the day.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "visit_type": "New patient evaluation", "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55",
    "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001",
    "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002",
    "location_id": "0199d0c2-1f00-7aaa-8000-000000000003",
    "visit_type_id": "0199d0c2-1f00-7aaa-8000-000000000004",
    "starts_at": "2026-03-09T13:30:00Z", "ends_at": "2026-03-09T14:30:00Z", "time_zone": "America/New_York",
    "status": "booked", "confirmation_code": "K7MP-3XWD", "sequence": 0,
    "intake_id": null, "intake_status": "missing", "identifiers": [], "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z"
}))]
pub struct AgendaAppointment {
    /// What the staff call the visit.
    pub visit_type: String,
    /// The appointment as staff see it.
    #[serde(flatten)]
    pub appointment: AppointmentDto,
}

/// A time of the day in which nobody is seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({
    "kind": "free", "starts_at": "2026-03-09T13:00:00Z", "ends_at": "2026-03-09T17:00:00Z",
    "location_id": "0199d0c2-1f00-7aaa-8000-000000000003", "time_zone": "America/New_York", "note": null
}))]
pub struct AgendaGap {
    /// What it is.
    pub kind: AgendaGapKind,
    /// Its start; of time off and closures possibly on an earlier day.
    pub starts_at: Timestamp,
    /// Its end; of time off and closures possibly on a later day.
    pub ends_at: Timestamp,
    /// Where; null is everywhere.
    pub location_id: Option<LocationId>,
    /// The IANA time zone of the place; null where it is everywhere.
    pub time_zone: Option<String>,
    /// Why a slot is blocked or the doctor away (for those who may know), what a closure is called.
    pub note: Option<String>,
}

/// What a gap is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgendaGapKind {
    /// Somebody can be booked. What is over is left out.
    Free,
    /// Somebody holds it just now.
    Held,
    /// Staff keep it free.
    Blocked,
    /// The doctor is away.
    TimeOff,
    /// The location is closed.
    Closure,
}

/// Which day.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AgendaParams {
    /// The day, at each location as its calendar has it. Today, at the practitioner's oldest location, unless given.
    #[param(value_type = Option<String>, format = Date, example = "2026-03-09")]
    date: Option<Date>,
}

/// Read a practitioner's day
///
/// For staff: the visits of a day that are not cancelled, with what the desk must know of the patients, and the gaps: free
/// time in one piece, what is held or blocked, time off and closures. A practitioner who works at locations in two time
/// zones has the day of each of them.
#[utoipa::path(
    tag = "appointments",
    operation_id = "get_agenda",
    security(("bearer" = [])),
    params(("id" = PractitionerId, Path, description = "The practitioner"), AgendaParams),
    responses((status = 200, description = "The day", body = Agenda)),
)]
#[get("/v1/practitioners/{id}/agenda")]
pub async fn get_agenda(
    env: web::Data<Env>,
    actor: Actor,
    PathId(id): PathId<PractitionerId>,
    Params(params): Params<AgendaParams>,
) -> Result<HttpResponse> {
    actor.require(Action::AgendaRead)?;
    let within = env.clone();
    let agenda = env.db.read(move |conn| load(conn, &within, &actor, id, params.date.map(|day| day.0))).await?;
    Ok(HttpResponse::Ok().json(agenda))
}

/// A place with its time zone, and the day there.
struct LocalDay {
    location_id: LocationId,
    zone: TimeZone,
    from: Timestamp,
    to: Timestamp,
}

impl LocalDay {
    fn new(location_id: LocationId, zone: TimeZone, day: Day) -> Self {
        let next = day.saturating_add(1.day());
        Self { location_id, from: hours::midnight(day, &zone), to: hours::midnight(next, &zone), zone }
    }

    fn zone_name(&self) -> Option<String> {
        self.zone.iana_name().map(str::to_owned)
    }
}

/// Whether an instant is on this day of a zone's calendar.
fn is_on(day: Day, at: Timestamp, zone: &str) -> Result<bool> {
    let zone = TimeZone::get(zone).map_err(|error| Error::internal("the location's time zone", error))?;
    Ok(at.in_zone(&zone).date() == day)
}

/// The day, in as many queries as ever: it may hold much or nothing.
fn load(conn: &mut Conn, env: &Env, actor: &Actor, id: PractitionerId, day: Option<Day>) -> Result<Agenda> {
    let now = env.now();
    let practitioner = scheduling::store::practitioner(conn, id)?;
    let places = plan_store::places(conn, id)?;
    let first = places.first().map_or(TimeZone::UTC, |place| place.zone.clone());
    let day = day.unwrap_or_else(|| now.in_zone(&first).date());
    let days: Vec<_> = places.into_iter().map(|place| LocalDay::new(place.location_id, place.zone, day)).collect();
    // Everywhere on earth; what is not on the day at its own place is sorted out.
    let around = SignedDuration::from_hours(15);
    let utc = LocalDay::new(LocationId(uuid::Uuid::nil()), TimeZone::UTC, day);
    let (from, to) = (utc.from.minus(around), utc.to.plus(around));

    let mut appointments = Vec::new();
    for shown in store::between(conn, env, actor, id, (from, to))? {
        if is_on(day, shown.appointment.starts_at, &shown.location.time_zone)? {
            let visit_type = shown.visit_type.name.clone();
            appointments.push(AgendaAppointment { visit_type, appointment: AppointmentDto::new(env, actor, shown)? });
        }
    }

    let mut gaps = slot_gaps(conn, env, id, day, (from, to), now)?;
    gaps.extend(absences(conn, env, actor, id, &days)?);
    gaps.sort_by_key(|gap| (gap.starts_at, gap.ends_at));
    Ok(Agenda { practitioner_id: id, practitioner_name: practitioner.name, date: Date(day), appointments, gaps })
}

/// What the slots of the day that nobody has booked tell, each stretch in one piece.
fn slot_gaps(
    conn: &mut Conn,
    env: &Env,
    id: PractitionerId,
    day: Day,
    (from, to): (Timestamp, Timestamp),
    now: Timestamp,
) -> Result<Vec<AgendaGap>> {
    type Row = (Slot, Option<Vec<u8>>, String);
    let rows: Vec<Row> = slots::table
        .inner_join(locations::table.on(locations::id.eq(slots::location_id)))
        .filter(slots::practitioner_id.eq(id))
        .filter(slots::starts_at.ge(from))
        .filter(slots::starts_at.lt(to))
        .filter(slots::appointment_id.is_null())
        .order(slots::starts_at)
        .select((Slot::as_select(), slots::blocked_reason, locations::time_zone))
        .load(conn)?;
    let mut gaps = Vec::new();
    for (slot, reason, time_zone) in rows {
        if !is_on(day, slot.starts_at, &time_zone)? {
            continue;
        }
        let kind = if slot.blocked {
            AgendaGapKind::Blocked
        } else if slot.ends_at <= now {
            continue;
        } else if slot.is_held(now, None) {
            AgendaGapKind::Held
        } else {
            AgendaGapKind::Free
        };
        let place = Place::new("slots", "blocked_reason", slot.id.0);
        let note = reason.map(|bytes| env.sealer.open(place, &Sealed::<String>::from_bytes(bytes))).transpose()?;
        gaps.push(AgendaGap {
            kind,
            starts_at: slot.starts_at,
            ends_at: slot.ends_at,
            location_id: Some(slot.location_id),
            time_zone: Some(time_zone),
            note,
        });
    }
    Ok(joined(gaps))
}

/// Joins gaps of one kind that follow each other without a break; they are in order.
fn joined(gaps: Vec<AgendaGap>) -> Vec<AgendaGap> {
    let mut joined: Vec<AgendaGap> = Vec::new();
    for gap in gaps {
        match joined.last_mut() {
            Some(last)
                if last.ends_at == gap.starts_at
                    && (last.kind, last.location_id, &last.note) == (gap.kind, gap.location_id, &gap.note) =>
            {
                last.ends_at = gap.ends_at;
            }
            _ => joined.push(gap),
        }
    }
    joined
}

/// Time off and closures that reach into the day, whole.
fn absences(
    conn: &mut Conn,
    env: &Env,
    actor: &Actor,
    id: PractitionerId,
    days: &[LocalDay],
) -> Result<Vec<AgendaGap>> {
    let (Some(from), Some(to)) = (days.iter().map(|day| day.from).min(), days.iter().map(|day| day.to).max()) else {
        return Ok(Vec::new());
    };
    let mut gaps = Vec::new();
    for time_off in exceptions::time_off(conn, id, from, to)? {
        let at = days.iter().find(|day| Some(day.location_id) == time_off.location_id);
        gaps.push(AgendaGap {
            kind: AgendaGapKind::TimeOff,
            starts_at: time_off.starts_at,
            ends_at: time_off.ends_at,
            location_id: time_off.location_id,
            time_zone: at.and_then(LocalDay::zone_name),
            note: time_off.reason_for(env, actor)?,
        });
    }
    let ids: Vec<_> = days.iter().map(|day| day.location_id).collect();
    for closure in plan_store::closures(conn, &ids, from)? {
        let Some(day) = days.iter().find(|day| day.location_id == closure.location_id) else { continue };
        let (starts_at, ends_at) = closure.span(&day.zone);
        if starts_at < day.to && day.from < ends_at {
            gaps.push(AgendaGap {
                kind: AgendaGapKind::Closure,
                starts_at,
                ends_at,
                location_id: Some(day.location_id),
                time_zone: day.zone_name(),
                note: Some(closure.name),
            });
        }
    }
    Ok(gaps)
}
