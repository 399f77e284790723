//! Loads a practitioner's day and the days of resources, and requires that all strangers together take at most a share of the visits that
//! fit into them. The rule is in [`share`](super::share).
//!
//! One visit a day is always allowed, so that strangers can take the last times of a day that is nearly full.

use std::collections::HashMap;

use diesel::prelude::*;

use super::holder::Holder;
use super::share::{Day, Span, leaves_enough};
use crate::clock::Timestamp;
use crate::context::Tx;
use crate::db::per_backend;
use crate::db::schema::{
    holds, practitioner_visit_types, resource_occupancy, slots, visit_type_resources, visit_types,
};
use crate::error::{Conflict, Error, Result};
use crate::ids::{HoldId, ResourceId, ResourceUnitId, UserId};
use crate::scheduling::hours::weekly;
use crate::scheduling::setup::location::Location;
use crate::scheduling::setup::visit_type::VisitType;
use crate::scheduling::slots::slot::{Slot, is_open};
use crate::scheduling::slots::units::Unit;
use crate::scheduling::visit_time::VisitLength;

/// A visit that a stranger is about to hold. Its slots and units are locked.
pub(super) struct HeldVisit<'a> {
    pub location: &'a Location,
    pub slots: &'a [Slot],
    /// The units at the location of the resources that it needs.
    pub units: &'a [Unit],
    /// Those of them that it takes.
    pub chosen: &'a [Unit],
}

/// Requires that strangers leave enough of the visit's local day with it. `replaced` is a hold that ends with it.
///
/// # Errors
/// The conflict `hold_limit`.
pub(super) fn require(tx: &mut Tx<Holder>, visit: &HeldVisit<'_>, replaced: Option<HoldId>) -> Result<()> {
    let (Some(first), Some(last)) = (visit.slots.first(), visit.slots.last()) else { return Ok(()) };
    let span = Span { from: first.starts_at, until: last.ends_at };
    let rest = rest_of_day(tx, visit.location, span.from)?;
    let day = day_of_practitioner(tx, first, rest, replaced)?;
    if !day.held.is_empty() {
        let lengths = lengths_of_practitioner(tx, first)?;
        judge(tx, &[day.with(span)], &lengths, "of the practitioner's times")?;
    }
    if visit.units.is_empty() {
        return Ok(());
    }
    let mut days = days_of_units(tx, visit, rest, replaced)?;
    for chosen in visit.chosen {
        if let Some(day) = days.get_mut(&chosen.id) {
            day.held.push(span);
        }
    }
    for (resource, lengths) in lengths_of_resources(tx, visit.chosen)? {
        let units = visit.units.iter().filter(|unit| unit.resource_id == resource);
        let days: Vec<Day> = units.filter_map(|unit| days.remove(&unit.id)).collect();
        let holds: usize = days.iter().map(|day| day.held.len()).sum();
        if holds > 1 {
            judge(tx, &days, &lengths, "of the times of a room or device")?;
        }
    }
    Ok(())
}

pub(super) fn too_many(detail: &str) -> Error {
    Error::conflict(Conflict::HOLD_LIMIT, format!("{detail}, sign in, or call the clinic."))
}

fn judge(tx: &Tx<Holder>, days: &[Day], lengths: &[VisitLength], what: &str) -> Result<()> {
    let percent = tx.env.config.settings.stranger_hold_percent;
    if lengths.iter().all(|length| leaves_enough(days, *length, percent)) {
        return Ok(());
    }
    Err(too_many(&format!("Callers without an account hold too many {what} on this day. Choose another day")))
}

/// From now, or from the midnight before an instant, to the midnight after it, in the location's zone.
fn rest_of_day(tx: &Tx<Holder>, location: &Location, at: Timestamp) -> Result<(Timestamp, Timestamp)> {
    let zone = location.zone(&tx.env.config.zones)?;
    let day = at.in_zone(&zone).date();
    let next = day.tomorrow().map_err(|error| Error::internal("the day after a visit", error))?;
    Ok((weekly::midnight(day, &zone).max(tx.now), weekly::midnight(next, &zone)))
}

/// The practitioner's slots that are neither booked, blocked nor held by an account, and what strangers hold of them.
fn day_of_practitioner(
    tx: &mut Tx<Holder>,
    slot: &Slot,
    (from, to): (Timestamp, Timestamp),
    replaced: Option<HoldId>,
) -> Result<Day> {
    type Row = (Timestamp, Timestamp, Option<Timestamp>, Option<HoldId>);
    let rows: Vec<Row> = per_backend!(tx.conn, conn => slots::table
        .left_join(holds::table.on(slots::hold_id.eq(holds::id.nullable()).and(holds::user_id.is_null())))
        .filter(slots::practitioner_id.eq(slot.practitioner_id))
        .filter(slots::starts_at.ge(from))
        .filter(slots::starts_at.lt(to))
        .filter(is_open())
        .order(slots::starts_at)
        .select((slots::starts_at, slots::ends_at, slots::held_until, holds::id.nullable()))
        .load(conn))?;
    let mut day = Day::default();
    for (from, until, held_until, of_stranger) in rows {
        let is_held = held_until.is_some_and(|until| until > tx.now);
        match of_stranger {
            None if is_held => continue,
            Some(hold) if is_held && Some(hold) != replaced => day.held.push(Span { from, until }),
            _ => {}
        }
        day.slots.push(Span { from, until });
    }
    Ok(day)
}

/// The lengths of the visits that patients can book online with the practitioner of a slot.
fn lengths_of_practitioner(tx: &mut Tx<Holder>, slot: &Slot) -> Result<Vec<VisitLength>> {
    let offered: Vec<VisitType> = per_backend!(tx.conn, conn => practitioner_visit_types::table
        .inner_join(visit_types::table.on(visit_types::id.eq(practitioner_visit_types::visit_type_id)))
        .filter(practitioner_visit_types::practitioner_id.eq(slot.practitioner_id))
        .filter(visit_types::active.eq(true))
        .filter(visit_types::online_bookable.eq(true))
        .select(VisitType::as_select())
        .load(conn))?;
    Ok(offered.iter().map(VisitType::length).collect())
}

/// For each unit the location's open slots in which neither a visit nor an account's hold has it, and what strangers hold of them.
fn days_of_units(
    tx: &mut Tx<Holder>,
    visit: &HeldVisit<'_>,
    (from, to): (Timestamp, Timestamp),
    replaced: Option<HoldId>,
) -> Result<HashMap<ResourceUnitId, Day>> {
    type Row = (ResourceUnitId, Timestamp, Timestamp, Option<HoldId>, Option<UserId>, Option<Timestamp>);
    let open: Vec<(Timestamp, Timestamp)> = per_backend!(tx.conn, conn => slots::table
        .filter(slots::location_id.eq(visit.location.id))
        .filter(slots::starts_at.ge(from))
        .filter(slots::starts_at.lt(to))
        .filter(is_open())
        .select((slots::starts_at, slots::ends_at))
        .distinct()
        .order((slots::starts_at, slots::ends_at))
        .load(conn))?;
    let ids: Vec<ResourceUnitId> = visit.units.iter().map(|unit| unit.id).collect();
    let rows: Vec<Row> = per_backend!(tx.conn, conn => resource_occupancy::table
        .left_join(holds::table.on(holds::id.nullable().eq(resource_occupancy::hold_id)))
        .filter(resource_occupancy::unit_id.eq_any(&ids))
        .filter(resource_occupancy::busy_from.lt(to))
        .filter(resource_occupancy::busy_until.gt(from))
        .select((
            resource_occupancy::unit_id,
            resource_occupancy::busy_from,
            resource_occupancy::busy_until,
            resource_occupancy::hold_id,
            holds::user_id.nullable(),
            holds::expires_at.nullable(),
        ))
        .load(conn))?;
    let slots: Vec<Span> = open.into_iter().map(|(from, until)| Span { from, until }).collect();
    let mut days: HashMap<_, _> =
        ids.into_iter().map(|id| (id, Day { slots: slots.clone(), held: Vec::new() })).collect();
    for (unit, from, until, hold, user, expires_at) in rows {
        let (Some(day), span) = (days.get_mut(&unit), Span { from, until }) else { continue };
        let is_lapsed = hold.is_some() && expires_at.is_none_or(|at| at <= tx.now);
        match hold {
            Some(hold) if is_lapsed || Some(hold) == replaced => {}
            Some(_) if user.is_none() => day.held.push(span),
            _ => day.slots.retain(|slot| !slot.overlaps(span)),
        }
    }
    Ok(days)
}

/// For each resource of the units the lengths of the visits that need it and that patients can book online.
fn lengths_of_resources(tx: &mut Tx<Holder>, units: &[Unit]) -> Result<HashMap<ResourceId, Vec<VisitLength>>> {
    let resources: Vec<ResourceId> = units.iter().map(|unit| unit.resource_id).collect();
    let needing: Vec<(ResourceId, VisitType)> = per_backend!(tx.conn, conn => visit_type_resources::table
        .inner_join(visit_types::table.on(visit_types::id.eq(visit_type_resources::visit_type_id)))
        .filter(visit_type_resources::resource_id.eq_any(&resources))
        .filter(visit_types::active.eq(true))
        .filter(visit_types::online_bookable.eq(true))
        .select((visit_type_resources::resource_id, VisitType::as_select()))
        .load(conn))?;
    let mut lengths: HashMap<_, Vec<_>> = HashMap::new();
    for (resource, visit_type) in needing {
        lengths.entry(resource).or_default().push(visit_type.length());
    }
    Ok(lengths)
}
