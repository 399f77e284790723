//! The slots that overbooking can take: a visit that starts there shares the time of other visits.

use actix_web::{HttpResponse, get};
use diesel::prelude::*;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::filter::span_of;
use super::free::SlotView;
use super::offering::Offering;
use super::search::SlotPage;
use super::slot::{Slot, check_fit, check_overbooking};
use crate::actor::Action;
use crate::clock::Timestamp;
use crate::context::{Context, Tx};
use crate::db::Conn;
use crate::db::schema::slots;
use crate::db::types::Date;
use crate::error::{Error, FieldCode, Result};
use crate::http::{Params, response};
use crate::ids::{PractitionerId, VisitTypeId};

/// More than the longest visit with its buffers.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// Whose day, and for which kind of visit.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TakenParams {
    /// The kind of visit.
    visit_type_id: VisitTypeId,
    /// The practitioner.
    practitioner_id: PractitionerId,
    /// The day of the start, by the location's calendar.
    #[param(value_type = String, format = Date, example = "2026-03-09")]
    date: Date,
}

/// Lists the slots of a practitioner's day that a visit can take only by overbooking.
///
/// # Errors
/// A broken rule if there is no such visit type.
pub async fn list(context: &Context, params: TakenParams) -> Result<SlotPage> {
    context.require(Action::AgendaRead)?;
    let items = context.read(move |tx| load(tx, params)).await?;
    Ok(SlotPage { items, next_cursor: None, included: None })
}

fn load(tx: &mut Tx, params: TakenParams) -> Result<Vec<SlotView>> {
    let TakenParams { visit_type_id, practitioner_id, date: Date(day) } = params;
    let visit = Offering::find(tx.conn, tx.env, visit_type_id).map_err(|error| match error {
        Error::NotFound => Error::invalid("?visit_type_id", FieldCode::UnknownReference, "there is no such visit type"),
        other => other,
    })?;
    let is_offered = visit.active && visit.practitioners.contains(&practitioner_id);
    let Some((from, to)) = span_of(&visit, &(day..=day)).filter(|_| is_offered) else { return Ok(Vec::new()) };
    let around = of_practitioner(tx.conn, practitioner_id, (from.minus(LONGEST), to.plus(LONGEST)))?;
    let zone = |slot: &Slot| visit.zones.get(&slot.location_id).cloned().unwrap_or(TimeZone::UTC);
    let is_of_day = |slot: &&Slot| slot.ends_at > tx.now && slot.starts_at.in_zone(&zone(slot)).date() == day;
    let units = visit.units_between(tx.conn, (from.minus(LONGEST), to.plus(LONGEST)), tx.now)?;
    // Overbooking does not share a room or a device.
    let has_units = |slot: &&Slot| {
        let time = visit.length.starting(slot.starts_at);
        units.as_ref().is_none_or(|units| units.choose(slot.location_id, time).is_ok())
    };
    let taken =
        around.iter().filter(is_of_day).filter(|slot| is_shareable(&around, slot, &visit, tx.now)).filter(has_units);
    let shown = |slot: &Slot| SlotView {
        id: slot.id,
        practitioner_id,
        location_id: slot.location_id,
        starts_at: slot.starts_at,
        ends_at: slot.starts_at.plus(visit.length.visit),
        time_zone: zone(slot).iana_name().unwrap_or_default().to_owned(),
    };
    Ok(taken.map(shown).collect())
}

/// Loads the slots that start in a period, earliest first.
fn of_practitioner(
    conn: &mut Conn,
    practitioner: PractitionerId,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<Slot>> {
    Ok(slots::table
        .filter(slots::practitioner_id.eq(practitioner))
        .filter(slots::starts_at.ge(from))
        .filter(slots::starts_at.lt(to))
        .order(slots::starts_at)
        .select(Slot::as_select())
        .load(conn)?)
}

/// Whether a visit that starts in a slot fits only by sharing time. `around` are the practitioner's slots, earliest first.
fn is_shareable(around: &[Slot], first: &Slot, visit: &Offering, now: Timestamp) -> bool {
    let time = visit.length.starting(first.starts_at);
    let before = |end: Timestamp| around.partition_point(|slot| slot.starts_at < end);
    let within = &around[before(time.busy_from)..before(time.busy_until)];
    check_fit(within, time, now, None).is_err() && check_overbooking(within, time, now, None).is_ok()
}

/// List the slots that overbooking can take
///
/// Staff only. Returns the slots of a practitioner's day in which a visit of this kind would share the time of other visits, earliest first.
/// Free slots are not among them (`GET /v1/slots`), nor are blocked and held ones, nor those at which a room or device that the visit needs
/// is taken. Booking one needs `overbook` with a reason. The patient may be busy.
#[utoipa::path(
    tag = "slots",
    operation_id = "list_taken_slots",
    security(("bearer" = [])),
    params(TakenParams),
    responses((status = 200, description = "The slots", body = SlotPage)),
)]
#[get("/v1/slots/taken")]
pub(in crate::scheduling) async fn list_taken_slots(
    context: Context,
    Params(params): Params<TakenParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, params).await?))
}
