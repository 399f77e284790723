//! A practitioner's day: the appointments in order, and the gaps between them.

use actix_web::{HttpResponse, get};
use diesel::prelude::*;
use jiff::civil::Date as Day;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::appointment::AppointmentDetails;
use super::queries::Of;
use super::view::AppointmentView;
use super::{history, queries};
use crate::actor::{Action, Reach};
use crate::appointment_status::AppointmentStatus;
use crate::clock::Timestamp;
use crate::context::{Context, Tx};
use crate::db::schema::{locations, practitioner_locations, practitioners, slots};
use crate::db::types::Date;
use crate::error::Result;
use crate::http::input::Several;
use crate::http::{Params, PathId, response};
use crate::ids::{LocationId, PractitionerId};
use crate::intake::flags;
use crate::messages::listing::calls_about;
use crate::messages::view::MessageView;
use crate::patients::consents::{ConsentType, outstanding};
use crate::patients::missed_visits::{self, MissedVisits};
use crate::scheduling::hours::exception::{self, ExceptionKind, Whose};
use crate::scheduling::hours::{closure, stored_plan, weekly};
use crate::scheduling::setup::included::{Include, Included};
use crate::scheduling::setup::practitioner;
use crate::scheduling::slots::blocks;
use crate::scheduling::slots::slot::Slot;
use crate::zones::Zones;

/// A practitioner's day.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002", "practitioner_name": "Dr. Ada Calloway", "date": "2026-03-09",
    "appointments": [],
    "gaps": [{
        "kind": "free", "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002", "practitioner_name": "Dr. Ada Calloway",
    "starts_at": "2026-03-09T13:00:00Z", "ends_at": "2026-03-09T17:00:00Z",
        "starts_local": "2026-03-09T09:00:00", "ends_local": "2026-03-09T13:00:00", "location_id": "0199d0c2-1f00-7aaa-8000-000000000003", "time_zone": "America/New_York", "reason": null
    }],
    "calls": []
}))]
pub struct Agenda {
    /// The practitioner.
    pub practitioner_id: PractitionerId,
    /// The practitioner's name, as patients see it.
    pub practitioner_name: String,
    /// The day, in the time zone of each location.
    pub date: Date,
    /// The appointments that are not cancelled, by start.
    pub appointments: Vec<AgendaAppointment>,
    /// The gaps, by start.
    pub gaps: Vec<AgendaGap>,
    /// The calls to make about these appointments, oldest first. Empty for practitioners, who do not make them.
    pub calls: Vec<MessageView>,
    /// The names of the objects that `include` asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub included: Option<Included>,
}

/// An appointment of the day.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "visit_type": "New patient evaluation", "practitioner_name": "Dr. Ada Calloway",
    "starts_local": "2026-03-09T09:30:00", "ends_local": "2026-03-09T10:30:00", "urgent": false, "waiting_minutes": null, "consents_outstanding": ["privacy_notice"], "missed_visits": {"no_shows": 1, "late_cancellations": 0},
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55",
    "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001",
    "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002",
    "location_id": "0199d0c2-1f00-7aaa-8000-000000000003",
    "visit_type_id": "0199d0c2-1f00-7aaa-8000-000000000004",
    "starts_at": "2026-03-09T13:30:00Z", "ends_at": "2026-03-09T14:30:00Z", "time_zone": "America/New_York",
    "status": "booked", "series_id": null, "confirmation_code": "K7MP-3XWD", "sequence": 0,
    "intake_id": null, "intake_status": "missing", "identifiers": [], "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z", "cancellable_until": "2026-03-08T13:30:00Z",
    "changeable_until": "2026-03-08T13:30:00Z", "confirmed_at": null
}))]
pub struct AgendaAppointment {
    /// The name of the visit type among staff.
    pub visit_type: String,
    /// The practitioner's name, as patients see it.
    pub practitioner_name: String,
    /// The start of the visit in the location's local time.
    #[schema(examples("2026-03-09T09:30:00"))]
    pub starts_local: String,
    /// The end of the visit in the location's local time.
    #[schema(examples("2026-03-09T10:30:00"))]
    pub ends_local: String,
    /// Whether a practitioner still has to acknowledge an urgent flag of the patient. `GET /v1/intake-flags` lists the flags.
    pub urgent: bool,
    /// The minutes since the check-in, while the patient waits; null otherwise.
    #[schema(minimum = 0)]
    pub waiting_minutes: Option<u32>,
    /// The consents that the patient has neither accepted nor declined in the current version.
    pub consents_outstanding: Vec<ConsentType>,
    /// The visits that the patient missed or cancelled late before.
    pub missed_visits: MissedVisits,
    /// The appointment as staff see it.
    #[serde(flatten)]
    pub appointment: AppointmentView,
}

/// A time of the day without an appointment, or with other hours than those of the week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({
    "kind": "free", "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002", "practitioner_name": "Dr. Ada Calloway",
    "starts_at": "2026-03-09T13:00:00Z", "ends_at": "2026-03-09T17:00:00Z",
    "starts_local": "2026-03-09T09:00:00", "ends_local": "2026-03-09T13:00:00", "location_id": "0199d0c2-1f00-7aaa-8000-000000000003", "time_zone": "America/New_York", "reason": null
}))]
pub struct AgendaGap {
    /// The kind of gap.
    pub kind: AgendaGapKind,
    /// The practitioner; null for a closure.
    pub practitioner_id: Option<PractitionerId>,
    /// The practitioner's name, as patients see it; null for a closure.
    pub practitioner_name: Option<String>,
    /// The start. Time off, extra hours and closures may start on an earlier day.
    pub starts_at: Timestamp,
    /// The end. Time off, extra hours and closures may end on a later day.
    pub ends_at: Timestamp,
    /// The start in the location's local time. Null on the day of a practitioner if it concerns all locations.
    #[schema(examples("2026-03-09T09:00:00"))]
    pub starts_local: Option<String>,
    /// The end in the location's local time. Null on the day of a practitioner if it concerns all locations.
    #[schema(examples("2026-03-09T13:00:00"))]
    pub ends_local: Option<String>,
    /// The location; null means all locations.
    pub location_id: Option<LocationId>,
    /// The IANA time zone of the local times; null if there are none.
    pub time_zone: Option<String>,
    /// The reason of a block, of time off or of extra hours, if the caller may read it; the name of a closure.
    pub reason: Option<String>,
}

/// The kind of a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgendaGapKind {
    /// Free for a booking. Slots that have begun are left out, and those in time off or a closure.
    Free,
    /// Held by a caller.
    Held,
    /// Blocked by staff.
    Blocked,
    /// The practitioner is away.
    TimeOff,
    /// The practitioner works beyond the weekly hours. The free time in them is a gap of its own.
    ExtraHours,
    /// The location is closed.
    Closure,
}

/// The parameters of an agenda.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AgendaParams {
    /// The day, in the time zone of each location. Default: today at the practitioner's oldest location.
    #[param(value_type = Option<String>, format = Date, example = "2026-03-09")]
    date: Option<Date>,
    /// The objects whose names the response includes, as far as the appointments refer to them.
    #[param(inline, value_type = Option<Vec<Include>>, style = Form, explode = false, max_items = 3)]
    include: Option<Several<Include>>,
}

/// Reads a practitioner's day: today, at their oldest location, unless `date` is given.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound).
pub async fn read(context: &Context, id: PractitionerId, day: Option<Day>, include: Vec<Include>) -> Result<Agenda> {
    context.require(Action::AgendaRead)?;
    context.read(move |tx| load(tx, id, day, &include)).await
}

/// Read a practitioner's day
///
/// Staff only. Returns the appointments of a day that are not cancelled, with the patient data that the desk needs, and the gaps:
/// free time, held and blocked time, time off, extra hours and closures, and the calls to make about these appointments. If the practitioner works in two time zones, the day of each zone is included.
#[utoipa::path(
    tag = "appointments",
    operation_id = "get_agenda",
    security(("bearer" = [])),
    params(("id" = PractitionerId, Path, description = "The practitioner"), AgendaParams),
    responses((status = 200, description = "The day", body = Agenda)),
)]
#[get("/v1/practitioners/{id}/agenda")]
pub(super) async fn get_agenda(
    context: Context,
    PathId(id): PathId<PractitionerId>,
    Params(params): Params<AgendaParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&read(&context, id, params.date.map(|day| day.0), Several::of(params.include)).await?))
}

/// A location with its time zone, and the day there.
pub(super) struct LocalDay {
    location_id: LocationId,
    zone: TimeZone,
    pub from: Timestamp,
    pub to: Timestamp,
}

impl LocalDay {
    pub fn new(location_id: LocationId, zone: TimeZone, day: Day) -> Self {
        let next = day.saturating_add(1.day());
        Self { location_id, from: weekly::midnight(day, &zone), to: weekly::midnight(next, &zone), zone }
    }

    pub fn zone_name(&self) -> Option<String> {
        self.zone.iana_name().map(str::to_owned)
    }
}

/// Returns the time zone if an instant is on this day there.
fn zone_if_on(zones: &Zones, day: Day, at: Timestamp, zone: &str) -> Result<Option<TimeZone>> {
    Ok(Some(zones.stored(zone)?).filter(|zone| at.in_zone(zone).date() == day))
}

/// Writes the local time of an instant.
fn local(at: Timestamp, zone: &TimeZone) -> String {
    at.in_zone(zone).strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// Loads the day in a number of queries that does not grow with it.
fn load(tx: &mut Tx, id: PractitionerId, day: Option<Day>, include: &[Include]) -> Result<Agenda> {
    let practitioner = practitioner::find(tx.conn, id)?;
    let places = stored_plan::workplaces(tx.conn, &tx.env.config.zones, id)?;
    let first = places.first().map_or(TimeZone::UTC, |place| place.zone.clone());
    let day = day.unwrap_or_else(|| tx.now.in_zone(&first).date());
    let days: Vec<_> = places.into_iter().map(|place| LocalDay::new(place.location_id, place.zone, day)).collect();
    // The day in any time zone. What is not on the day at its own location is dropped below.
    let around = SignedDuration::from_hours(15);
    let utc = LocalDay::new(LocationId(uuid::Uuid::nil()), TimeZone::UTC, day);
    let (from, to) = (utc.from.minus(around), utc.to.plus(around));

    let appointments = visits(tx, Of::Practitioner(id), day, (from, to))?;
    let exceptions = exceptions(tx, Whose::Practitioner(id), &days)?;
    let mut gaps = slot_gaps(tx, Of::Practitioner(id), day, (from, to), &exceptions)?;
    gaps.extend(exceptions);
    gaps.sort_by_key(|gap| (gap.starts_at, gap.ends_at));
    let included = Included::load(tx.conn, include, || {
        let visits = appointments.iter().map(|AgendaAppointment { appointment, .. }| appointment);
        visits.map(|visit| (visit.practitioner_id, visit.location_id, visit.visit_type_id)).collect()
    })?;
    Ok(Agenda {
        practitioner_id: id,
        practitioner_name: practitioner.name,
        date: Date(day),
        calls: calls(tx, &appointments)?,
        appointments,
        gaps,
        included,
    })
}

/// Returns the appointments that are not cancelled, by start.
pub(super) fn visits(tx: &mut Tx, of: Of, day: Day, span: (Timestamp, Timestamp)) -> Result<Vec<AgendaAppointment>> {
    let mut found = Vec::new();
    for visit in queries::between(tx, of, span)? {
        if let Some(zone) =
            zone_if_on(&tx.env.config.zones, day, visit.appointment.starts_at, &visit.location.time_zone)?
        {
            found.push((visit, zone));
        }
    }
    let patients: Vec<_> = found.iter().map(|(visit, _)| visit.patient.id).collect();
    let urgent = flags::patients_with_urgent(tx.conn, &patients)?;
    let missed = missed_visits::of(tx.conn, &patients)?;
    let consents = outstanding::of(tx.conn, &patients)?;
    let waiting = found.iter().filter(|(visit, _)| visit.appointment.status == AppointmentStatus::CheckedIn);
    let waiting: Vec<_> = waiting.map(|(visit, _)| visit.appointment.id).collect();
    let since = history::checked_in_at(tx.conn, &waiting)?;
    let now = tx.now;
    let shown = |(visit, zone): (AppointmentDetails, TimeZone)| {
        let minutes = since.get(&visit.appointment.id).map(|at| now.since(*at).as_mins());
        Ok(AgendaAppointment {
            visit_type: visit.visit_type.name.clone(),
            practitioner_name: visit.practitioner.name.clone(),
            starts_local: local(visit.appointment.starts_at, &zone),
            ends_local: local(visit.appointment.ends_at, &zone),
            consents_outstanding: consents.get(&visit.patient.id).cloned().unwrap_or_default(),
            urgent: urgent.contains(&visit.patient.id),
            missed_visits: missed.get(&visit.patient.id).copied().unwrap_or_default(),
            waiting_minutes: minutes.map(|minutes| u32::try_from(minutes).unwrap_or(0)),
            appointment: AppointmentView::new(tx, visit)?,
        })
    };
    found.into_iter().map(shown).collect()
}

/// Returns the calls to make about these appointments, if the actor makes calls.
pub(super) fn calls(tx: &mut Tx, appointments: &[AgendaAppointment]) -> Result<Vec<MessageView>> {
    if tx.actor.reach(Action::MessageManage) != Reach::Any {
        return Ok(Vec::new());
    }
    let ids: Vec<_> = appointments.iter().map(|visit| visit.appointment.id).collect();
    calls_about(tx.conn, tx.env, &ids)
}

/// Returns the gaps of the slots that are not booked. Adjacent slots of one kind are one gap. Slots that had begun when an absence was
/// entered stay published, and nobody can be booked into them: `exceptions` takes them out.
pub(super) fn slot_gaps(
    tx: &mut Tx,
    of: Of,
    day: Day,
    (from, to): (Timestamp, Timestamp),
    exceptions: &[AgendaGap],
) -> Result<Vec<AgendaGap>> {
    type Row = (Slot, Option<Vec<u8>>, String, String);
    let mut query = slots::table
        .inner_join(locations::table.on(locations::id.eq(slots::location_id)))
        .inner_join(practitioners::table.on(practitioners::id.eq(slots::practitioner_id)))
        .filter(slots::starts_at.ge(from))
        .filter(slots::starts_at.lt(to))
        .filter(slots::appointment_id.is_null())
        .order((slots::practitioner_id, slots::starts_at))
        .select((Slot::as_select(), slots::blocked_reason, locations::time_zone, practitioners::name))
        .into_boxed();
    query = match of {
        Of::Practitioner(id) => query.filter(slots::practitioner_id.eq(id)),
        // By practitioner, because the index of slots begins with it.
        Of::Location(id) => {
            let here = practitioner_locations::table.filter(practitioner_locations::location_id.eq(id));
            let here = here.select(practitioner_locations::practitioner_id);
            query.filter(slots::practitioner_id.eq_any(here)).filter(slots::location_id.eq(id))
        }
    };
    let rows: Vec<Row> = query.load(tx.conn)?;
    let mut gaps = Vec::new();
    for (slot, reason, time_zone, name) in rows {
        let Some(zone) = zone_if_on(&tx.env.config.zones, day, slot.starts_at, &time_zone)? else { continue };
        let kind = if slot.blocked {
            AgendaGapKind::Blocked
        } else if slot.ends_at <= tx.now {
            continue;
        } else if slot.is_held(tx.now, None) {
            AgendaGapKind::Held
        } else if slot.starts_at <= tx.now || exceptions.iter().any(|one| is_absence_in(one, &slot)) {
            continue;
        } else {
            AgendaGapKind::Free
        };
        let reason = reason.map(|sealed| blocks::open_reason(tx.env, slot.id, sealed)).transpose()?;
        gaps.push(AgendaGap {
            kind,
            practitioner_id: Some(slot.practitioner_id),
            practitioner_name: Some(name),
            starts_at: slot.starts_at,
            ends_at: slot.ends_at,
            starts_local: Some(local(slot.starts_at, &zone)),
            ends_local: Some(local(slot.ends_at, &zone)),
            location_id: Some(slot.location_id),
            time_zone: Some(time_zone),
            reason,
        });
    }
    Ok(joined(gaps))
}

/// Returns whether the practitioner is away, or the location closed, in the time of a slot.
fn is_absence_in(gap: &AgendaGap, slot: &Slot) -> bool {
    let is_absence = match gap.kind {
        AgendaGapKind::TimeOff => gap.practitioner_id == Some(slot.practitioner_id),
        AgendaGapKind::Closure => true,
        _ => false,
    };
    is_absence
        && gap.location_id.is_none_or(|location| location == slot.location_id)
        && gap.starts_at < slot.ends_at
        && slot.starts_at < gap.ends_at
}

/// Joins adjacent gaps of one kind. The gaps must be sorted.
fn joined(gaps: Vec<AgendaGap>) -> Vec<AgendaGap> {
    let mut joined: Vec<AgendaGap> = Vec::new();
    for gap in gaps {
        match joined.last_mut() {
            Some(last)
                if last.ends_at == gap.starts_at
                    && last.practitioner_id == gap.practitioner_id
                    && (last.kind, last.location_id, &last.reason) == (gap.kind, gap.location_id, &gap.reason) =>
            {
                last.ends_at = gap.ends_at;
                last.ends_local = gap.ends_local;
            }
            _ => joined.push(gap),
        }
    }
    joined
}

/// Returns the time off, the extra hours and the closures that overlap the day, with their full length.
pub(super) fn exceptions(tx: &mut Tx, whose: Whose, days: &[LocalDay]) -> Result<Vec<AgendaGap>> {
    let (Some(from), Some(to)) = (days.iter().map(|day| day.from).min(), days.iter().map(|day| day.to).max()) else {
        return Ok(Vec::new());
    };
    let mut gaps = Vec::new();
    for (found, name) in exception::between(tx.conn, whose, (from, to))? {
        // What concerns all locations has the time of one place only on the sheet of that place.
        let at = match whose {
            Whose::Location(_) => days.first(),
            Whose::Practitioner(_) => days.iter().find(|day| Some(day.location_id) == found.location_id),
        };
        gaps.push(AgendaGap {
            kind: match found.kind {
                ExceptionKind::TimeOff => AgendaGapKind::TimeOff,
                ExceptionKind::ExtraHours => AgendaGapKind::ExtraHours,
            },
            practitioner_id: Some(found.practitioner_id),
            practitioner_name: Some(name),
            starts_at: found.starts_at,
            ends_at: found.ends_at,
            starts_local: at.map(|day| local(found.starts_at, &day.zone)),
            ends_local: at.map(|day| local(found.ends_at, &day.zone)),
            location_id: found.location_id,
            time_zone: at.and_then(LocalDay::zone_name),
            reason: found.reason_for(tx.env, tx.actor)?,
        });
    }
    gaps.extend(closures(tx, days, from.minus(SignedDuration::from_hours(24)))?);
    Ok(gaps)
}

/// Returns the closures that overlap the day, with their full length.
fn closures(tx: &mut Tx, days: &[LocalDay], from: Timestamp) -> Result<Vec<AgendaGap>> {
    let mut gaps = Vec::new();
    let ids: Vec<_> = days.iter().map(|day| day.location_id).collect();
    for closure in closure::ending_after(tx.conn, &ids, from)? {
        let Some(day) = days.iter().find(|day| day.location_id == closure.location_id) else { continue };
        let (starts_at, ends_at) = closure.span(&day.zone);
        if starts_at < day.to && day.from < ends_at {
            gaps.push(AgendaGap {
                kind: AgendaGapKind::Closure,
                practitioner_id: None,
                practitioner_name: None,
                starts_at,
                ends_at,
                starts_local: Some(local(starts_at, &day.zone)),
                ends_local: Some(local(ends_at, &day.zone)),
                location_id: Some(day.location_id),
                time_zone: day.zone_name(),
                reason: Some(closure.name),
            });
        }
    }
    Ok(gaps)
}
