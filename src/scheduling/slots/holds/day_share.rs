//! Loads the day of a location, and requires that all strangers together take at most a share of the visits that fit into it. The rule is
//! in [`share`](super::share).
//!
//! Each visit type counts that the hold could leave without a time: those that the practitioner offers, with this practitioner, and those
//! that need a resource, with everybody who offers them. One visit a day is always allowed, so that strangers can take the last times of a
//! day that is nearly full.

use std::collections::HashMap;

use diesel::prelude::*;

use super::holder::Holder;
use super::share::{Day, PractitionerDay, Span, UnitDay, Visits};
use crate::clock::Timestamp;
use crate::context::Tx;
use crate::db::per_backend;
use crate::db::schema::{
    holds, practitioner_visit_types, resource_occupancy, resource_units, slots, visit_type_resources, visit_types,
};
use crate::error::{Error, ProblemCode, Result};
use crate::ids::{HoldId, LocationId, PractitionerId, ResourceId, ResourceUnitId, VisitTypeId};
use crate::scheduling::hours::weekly;
use crate::scheduling::setup::location::Location;
use crate::scheduling::setup::visit_type::VisitType;
use crate::scheduling::slots::slot::{Slot, is_open};
use crate::scheduling::slots::units::Unit;

/// A visit that a stranger is about to hold. Its slots and units are locked.
pub(super) struct HeldVisit<'a> {
    pub location: &'a Location,
    pub slots: &'a [Slot],
    /// The units that it takes.
    pub units: &'a [Unit],
}

/// Requires that strangers leave enough of the visit's local day with it, and of the next one if it lasts until after midnight. `replaced`
/// is a hold that ends with it.
///
/// # Errors
/// The conflict `hold_limit`.
pub(super) fn require(tx: &mut Tx<Holder>, visit: &HeldVisit<'_>, replaced: Option<HoldId>) -> Result<()> {
    let (Some(first), Some(last)) = (visit.slots.first(), visit.slots.last()) else { return Ok(()) };
    let zone = visit.location.zone(&tx.env.config.zones)?;
    let affected = affected_visits(tx, first.practitioner_id, visit.units)?;
    let mut midnight = weekly::midnight(first.starts_at.in_zone(&zone).date(), &zone);
    while midnight < last.ends_at {
        let date = midnight.in_zone(&zone).date();
        let next = date.tomorrow().map_err(|error| Error::internal("the day after a visit", error))?;
        let end = weekly::midnight(next, &zone);
        let place = Place { location: visit.location.id, from: midnight.max(tx.now), end, replaced };
        require_of_day(tx, visit, &affected, &place)?;
        midnight = end;
    }
    Ok(())
}

fn require_of_day(tx: &mut Tx<Holder>, visit: &HeldVisit<'_>, affected: &[Visits], place: &Place) -> Result<()> {
    let (Some(first), Some(last)) = (visit.slots.first(), visit.slots.last()) else { return Ok(()) };
    let span = Span { from: first.starts_at, until: last.ends_at };
    let practitioners = ids_of(affected, |visits| &visits.practitioners);
    let resources = ids_of(affected, |visits| &visits.resources);
    let longest = affected.iter().map(|visits| visits.length.before + visits.length.from_start()).max();
    // Visits that start before midnight need times after it.
    let until = place.end.plus(longest.unwrap_or_default());

    let practitioners = days_of_practitioners(tx, place, until, &practitioners)?;
    let mut units = days_of_units(tx, place, until, &resources)?;
    let without = Day { end: place.end, practitioners, units: by_resource(units.clone()) };
    let mut with = without.clone();
    with.practitioners.entry(first.practitioner_id).or_default().held.push(span);
    for unit in visit.units {
        if let Some((_, unit)) = units.get_mut(&unit.id) {
            unit.held.push(span);
        }
    }
    with.units = by_resource(units);
    let percent = tx.env.config.settings.stranger_hold_percent;
    let is_too_much = |visits: &&Visits| without.is_held(visits) && !with.leaves_enough(visits, percent);
    match affected.iter().find(is_too_much) {
        None => Ok(()),
        Some(visits) if visits.resources.is_empty() => Err(too_many(
            "Callers without an account hold too many of the practitioner's times on this day. Choose another day",
        )),
        Some(_) => Err(too_many(
            "Callers without an account hold too many times of a room or device, or of those who use it, on this day. Choose another day",
        )),
    }
}

/// The ids of all visits, each once.
fn ids_of<T: Copy + Ord>(affected: &[Visits], ids: impl Fn(&Visits) -> &Vec<T>) -> Vec<T> {
    let mut all: Vec<T> = affected.iter().flat_map(|visits| ids(visits).iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

pub(super) fn too_many(detail: &str) -> Error {
    Error::conflict(ProblemCode::HoldLimit, format!("{detail}, sign in, or call the clinic."))
}

/// Where and when strangers' holds are counted.
struct Place {
    location: LocationId,
    /// The midnight before the day, or now.
    from: Timestamp,
    /// The midnight after it.
    end: Timestamp,
    /// A hold that no longer counts.
    replaced: Option<HoldId>,
}

/// The kinds of visits that patients book online and that the hold could leave without a time.
fn affected_visits(tx: &mut Tx<Holder>, practitioner: PractitionerId, units: &[Unit]) -> Result<Vec<Visits>> {
    let offered = practitioner_visit_types::table
        .filter(practitioner_visit_types::practitioner_id.eq(practitioner))
        .select(practitioner_visit_types::visit_type_id);
    let taken: Vec<ResourceId> = units.iter().map(|unit| unit.resource_id).collect();
    let needing = visit_type_resources::table
        .filter(visit_type_resources::resource_id.eq_any(&taken))
        .select(visit_type_resources::visit_type_id);
    let kinds: Vec<VisitType> = visit_types::table
        .filter(visit_types::active.eq(true))
        .filter(visit_types::online_bookable.eq(true))
        .filter(visit_types::id.eq_any(offered).or(visit_types::id.eq_any(needing)))
        .select(VisitType::as_select())
        .load(tx.conn)?;
    let ids: Vec<VisitTypeId> = kinds.iter().map(|kind| kind.id).collect();
    let needed: Vec<(VisitTypeId, ResourceId)> = visit_type_resources::table
        .filter(visit_type_resources::visit_type_id.eq_any(&ids))
        .select((visit_type_resources::visit_type_id, visit_type_resources::resource_id))
        .load(tx.conn)?;
    let with_resources: Vec<VisitTypeId> = needed.iter().map(|(kind, _)| *kind).collect();
    let offering: Vec<(VisitTypeId, PractitionerId)> = if with_resources.is_empty() {
        Vec::new()
    } else {
        practitioner_visit_types::table
            .filter(practitioner_visit_types::visit_type_id.eq_any(&with_resources))
            .select((practitioner_visit_types::visit_type_id, practitioner_visit_types::practitioner_id))
            .load(tx.conn)?
    };
    let mut affected: Vec<Visits> = Vec::new();
    // Many visit types differ in their names only.
    let mut add = |visits: Visits| {
        if !affected.contains(&visits) {
            affected.push(visits);
        }
    };
    for kind in &kinds {
        let (length, earliest) = (kind.length(), kind.earliest_for_patients(tx.now));
        let resources: Vec<ResourceId> = of_kind(&needed, kind.id);
        let all: Vec<PractitionerId> = of_kind(&offering, kind.id);
        if resources.is_empty() || all.contains(&practitioner) {
            add(Visits { length, earliest, practitioners: vec![practitioner], resources: resources.clone() });
        }
        if !resources.is_empty() {
            add(Visits { length, earliest, practitioners: all, resources });
        }
    }
    Ok(affected)
}

/// The values of the rows of a visit type, in order.
fn of_kind<T: Copy + Ord>(rows: &[(VisitTypeId, T)], kind: VisitTypeId) -> Vec<T> {
    let mut values: Vec<T> = rows.iter().filter(|(of, _)| *of == kind).map(|(_, value)| *value).collect();
    values.sort_unstable();
    values
}

/// The slots that are neither booked, blocked nor held by an account or for a patient, and what strangers hold of them.
fn days_of_practitioners(
    tx: &mut Tx<Holder>,
    place: &Place,
    until: Timestamp,
    practitioners: &[PractitionerId],
) -> Result<HashMap<PractitionerId, PractitionerDay>> {
    type Row = (PractitionerId, Timestamp, Timestamp, Option<Timestamp>, Option<HoldId>);
    let rows: Vec<Row> = per_backend!(tx.conn, conn => slots::table
        .left_join(holds::table.on(slots::hold_id.eq(holds::id.nullable()).and(holds::secret_hash.is_not_null())))
        .filter(slots::practitioner_id.eq_any(practitioners))
        .filter(slots::location_id.eq(place.location))
        .filter(slots::starts_at.ge(place.from))
        .filter(slots::starts_at.lt(until))
        .filter(is_open())
        .order(slots::starts_at)
        .select((slots::practitioner_id, slots::starts_at, slots::ends_at, slots::held_until, holds::id.nullable()))
        .load(conn))?;
    let mut days: HashMap<PractitionerId, PractitionerDay> = HashMap::new();
    for (practitioner, from, until, held_until, of_stranger) in rows {
        let is_held = held_until.is_some_and(|until| until > tx.now);
        let day = days.entry(practitioner).or_default();
        match of_stranger {
            None if is_held => continue,
            Some(hold) if is_held && Some(hold) != place.replaced => day.held.push(Span { from, until }),
            _ => {}
        }
        day.slots.push(Span { from, until });
    }
    Ok(days)
}

/// The units of the resources at the location: what visits and other holds take of them, and what strangers hold.
fn days_of_units(
    tx: &mut Tx<Holder>,
    place: &Place,
    until: Timestamp,
    resources: &[ResourceId],
) -> Result<HashMap<ResourceUnitId, (ResourceId, UnitDay)>> {
    type Row = (ResourceUnitId, Timestamp, Timestamp, Option<HoldId>, Option<Vec<u8>>, Option<Timestamp>);
    if resources.is_empty() {
        return Ok(HashMap::new());
    }
    let units: Vec<(ResourceUnitId, ResourceId)> = resource_units::table
        .filter(resource_units::resource_id.eq_any(resources))
        .filter(resource_units::location_id.eq(place.location))
        .filter(resource_units::in_use.eq(true))
        .select((resource_units::id, resource_units::resource_id))
        .load(tx.conn)?;
    let mut days: HashMap<ResourceUnitId, (ResourceId, UnitDay)> =
        units.into_iter().map(|(id, resource)| (id, (resource, UnitDay::default()))).collect();
    let ids: Vec<ResourceUnitId> = days.keys().copied().collect();
    let rows: Vec<Row> = per_backend!(tx.conn, conn => resource_occupancy::table
        .left_join(holds::table.on(holds::id.nullable().eq(resource_occupancy::hold_id)))
        .filter(resource_occupancy::unit_id.eq_any(&ids))
        .filter(resource_occupancy::busy_from.lt(until))
        .filter(resource_occupancy::busy_until.gt(place.from))
        .select((
            resource_occupancy::unit_id,
            resource_occupancy::busy_from,
            resource_occupancy::busy_until,
            resource_occupancy::hold_id,
            holds::secret_hash.nullable(),
            holds::expires_at.nullable(),
        ))
        .load(conn))?;
    for (unit, from, until, hold, secret, expires_at) in rows {
        let (Some((_, day)), span) = (days.get_mut(&unit), Span { from, until }) else { continue };
        let has_lapsed = hold.is_some() && expires_at.is_none_or(|at| at <= tx.now);
        match hold {
            Some(hold) if has_lapsed || Some(hold) == place.replaced => {}
            Some(_) if secret.is_some() => day.held.push(span),
            _ => day.taken.push(span),
        }
    }
    Ok(days)
}

fn by_resource(units: HashMap<ResourceUnitId, (ResourceId, UnitDay)>) -> HashMap<ResourceId, Vec<UnitDay>> {
    let mut resources: HashMap<ResourceId, Vec<UnitDay>> = HashMap::new();
    for (resource, day) in units.into_values() {
        resources.entry(resource).or_default().push(day);
    }
    resources
}
