//! The units of the resources that a visit needs. A visit takes one unit of each resource for its whole working time.
//!
//! [`Units::choose`] decides for bookings, holds and the search alike. A booking or hold locks the units first, after its slots and in
//! order of id, so that one of two callers gets the last unit and none waits for the other in a circle.

use std::collections::HashMap;

use diesel::prelude::*;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::db::schema::{holds, resource_occupancy, resource_units, resources, visit_type_resources};
use crate::db::types::json_columns;
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::{Error, ProblemCode, Result};
use crate::ids::{AppointmentId, HoldId, LocationId, OccupancyId, ResourceId, ResourceUnitId, VisitTypeId};
use crate::scheduling::visit_time::VisitTime;

/// More than the longest working time of a visit.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// One of a resource's units at a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = resource_units)]
pub struct Unit {
    pub id: ResourceUnitId,
    pub resource_id: ResourceId,
    pub location_id: LocationId,
    /// The number among the resource's units at the location, from 1.
    pub number: i32,
}

/// A resource that an appointment has, as it is stored with the appointment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedResource {
    pub resource_id: ResourceId,
    /// The resource's name at the booking.
    pub name: String,
    /// The unit's number.
    pub unit: i32,
}

/// The resources that an appointment has.
#[derive(
    Debug,
    Clone,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    diesel::expression::AsExpression,
    diesel::deserialize::FromSqlRow,
)]
#[serde(transparent)]
#[diesel(sql_type = diesel::sql_types::Text)]
pub struct UsedResources(pub Vec<UsedResource>);

json_columns!(UsedResources);

/// Who takes a unit's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occupant {
    Appointment(AppointmentId),
    Hold(HoldId),
}

/// The units of the resources that a visit needs, with the times at which they are taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Units {
    /// The resources that the visit needs.
    pub needed: Vec<ResourceId>,
    /// Their units, those with low numbers first.
    pub units: Vec<Unit>,
    /// The times of each unit, in order. They do not overlap.
    pub taken: HashMap<ResourceUnitId, Vec<(Timestamp, Timestamp)>>,
}

impl Units {
    /// Chooses one unit of each resource at a location that is free for the whole time of the visit.
    ///
    /// # Errors
    /// A resource without a free unit.
    pub fn choose(&self, location: LocationId, time: VisitTime) -> Result<Vec<Unit>, ResourceId> {
        let choice = |resource: &ResourceId| {
            let mut units =
                self.units.iter().filter(|unit| (unit.resource_id, unit.location_id) == (*resource, location));
            units.find(|unit| self.is_free(unit.id, time)).copied().ok_or(*resource)
        };
        self.needed.iter().map(choice).collect()
    }

    /// Counts the units of a resource at a location that are free for the whole time of the visit.
    pub fn count_free(&self, resource: ResourceId, location: LocationId, time: VisitTime) -> usize {
        let units = self.units.iter().filter(|unit| (unit.resource_id, unit.location_id) == (resource, location));
        units.filter(|unit| self.is_free(unit.id, time)).count()
    }

    fn is_free(&self, unit: ResourceUnitId, time: VisitTime) -> bool {
        let Some(taken) = self.taken.get(&unit) else { return true };
        let next = taken.partition_point(|(_, until)| *until <= time.busy_from);
        taken.get(next).is_none_or(|(from, _)| *from >= time.busy_until)
    }
}

/// A row of the times that are taken. The last member is when the hold lapses.
type Row = (ResourceUnitId, Timestamp, Timestamp, Option<AppointmentId>, Option<HoldId>, Option<Timestamp>);

/// Loads the times between two instants at which units of the resources are taken that a visit type needs, by unit and start.
fn taken_between(conn: &mut Conn, visit_type: VisitTypeId, from: Timestamp, to: Timestamp) -> Result<Vec<Row>> {
    let needed = visit_type_resources::table
        .filter(visit_type_resources::visit_type_id.eq(visit_type))
        .select(visit_type_resources::resource_id);
    let units = resource_units::table.filter(resource_units::resource_id.eq_any(needed)).select(resource_units::id);
    Ok(per_backend!(conn, conn => resource_occupancy::table
        .left_join(holds::table.on(holds::id.nullable().eq(resource_occupancy::hold_id)))
        .filter(resource_occupancy::unit_id.eq_any(units))
        .filter(resource_occupancy::busy_from.gt(from.minus(LONGEST)))
        .filter(resource_occupancy::busy_from.lt(to))
        .filter(resource_occupancy::busy_until.gt(from))
        .order((resource_occupancy::unit_id, resource_occupancy::busy_from))
        .select((
            resource_occupancy::unit_id,
            resource_occupancy::busy_from,
            resource_occupancy::busy_until,
            resource_occupancy::appointment_id,
            resource_occupancy::hold_id,
            holds::expires_at.nullable(),
        ))
        .load(conn))?)
}

/// Loads the times between two instants at which the units are taken, for a search.
pub fn load_taken(
    conn: &mut Conn,
    visit_type: VisitTypeId,
    (from, to): (Timestamp, Timestamp),
    now: Timestamp,
) -> Result<HashMap<ResourceUnitId, Vec<(Timestamp, Timestamp)>>> {
    let mut taken: HashMap<_, Vec<_>> = HashMap::new();
    for (unit, busy_from, busy_until, _, hold, expires_at) in taken_between(conn, visit_type, from, to)? {
        if hold.is_none() || expires_at.is_some_and(|at| at > now) {
            taken.entry(unit).or_default().push((busy_from, busy_until));
        }
    }
    Ok(taken)
}

/// Units that are locked and chosen for a visit.
#[derive(Debug, Clone, Default)]
pub struct ChosenUnits {
    units: Vec<Unit>,
    names: Vec<String>,
    /// Holds that lapsed and still have rows in the time.
    lapsed: Vec<HoldId>,
}

/// The rows that do not count: those of the appointment that moves, and of the caller's hold that is used or replaced.
#[derive(Debug, Clone, Copy, Default)]
pub struct Own {
    pub appointment: Option<AppointmentId>,
    pub hold: Option<HoldId>,
}

/// Locks the units at the locations that visits of these types could take, in order of id. The visits' slots must be locked, and no row of
/// `holds` yet.
pub fn lock(conn: &mut Conn, visit_types: &[VisitTypeId], locations: &[LocationId]) -> Result<Vec<Unit>> {
    let needed = visit_type_resources::table
        .filter(visit_type_resources::visit_type_id.eq_any(visit_types))
        .select(visit_type_resources::resource_id);
    let units = resource_units::table
        .filter(resource_units::resource_id.eq_any(needed))
        .filter(resource_units::location_id.eq_any(locations))
        .filter(resource_units::in_use)
        .order(resource_units::id);
    Ok(match conn {
        Conn::Sqlite(conn) => units.select(Unit::as_select()).load(conn)?,
        Conn::Postgres(conn) => units.select(Unit::as_select()).for_no_key_update().load(conn)?,
    })
}

/// Chooses the units of a visit from those that are locked.
///
/// # Errors
/// The conflict `slot_taken` if a resource has no unit that is free throughout.
pub fn choose(
    conn: &mut Conn,
    visit_type: VisitTypeId,
    locked: Vec<Unit>,
    (location, time): (LocationId, VisitTime),
    own: Own,
    now: Timestamp,
) -> Result<ChosenUnits> {
    let needed: Vec<(ResourceId, String)> = per_backend!(conn, conn => visit_type_resources::table
        .inner_join(resources::table.on(resources::id.eq(visit_type_resources::resource_id)))
        .filter(visit_type_resources::visit_type_id.eq(visit_type))
        .order(resources::id)
        .select((resources::id, resources::name))
        .load(conn))?;
    let (mut taken, mut lapsed) = (HashMap::<_, Vec<_>>::new(), Vec::new());
    for (unit, from, until, appointment, hold, expires_at) in
        taken_between(conn, visit_type, time.busy_from, time.busy_until)?
    {
        let is_own = appointment.is_some() && appointment == own.appointment || hold.is_some() && hold == own.hold;
        match hold {
            _ if is_own => {}
            Some(hold) if expires_at.is_none_or(|at| at <= now) => lapsed.push((unit, hold)),
            _ => taken.entry(unit).or_default().push((from, until)),
        }
    }
    let mut units = locked;
    units.sort_unstable_by_key(|unit| unit.number);
    let all = Units { needed: needed.iter().map(|(id, _)| *id).collect(), units, taken };
    let units = all.choose(location, time).map_err(conflict)?;
    lapsed.retain(|(lapsed, _)| units.iter().any(|unit| unit.id == *lapsed));
    Ok(ChosenUnits {
        units,
        names: needed.into_iter().map(|(_, name)| name).collect(),
        lapsed: lapsed.into_iter().map(|(_, hold)| hold).collect(),
    })
}

fn conflict(resource: ResourceId) -> Error {
    let detail = "A room or device that the visit needs is taken at that time, or the location has none.";
    let members = [("resource_id".to_owned(), resource.0.to_string().into())].into_iter().collect();
    Error::conflict_with(ProblemCode::SlotTaken, detail, members)
}

impl ChosenUnits {
    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    /// The resources as they are stored with the appointment.
    pub fn used(&self) -> UsedResources {
        let used = self.units.iter().zip(&self.names).map(|(unit, name)| UsedResource {
            resource_id: unit.resource_id,
            name: name.clone(),
            unit: unit.number,
        });
        UsedResources(used.collect())
    }

    /// Gives the units' time to an appointment or a hold that is stored, in place of holds that lapsed.
    ///
    /// # Errors
    /// [`Error::Retry`] if a hold was renewed meanwhile.
    pub fn take(&self, conn: &mut Conn, env: &Env, time: VisitTime, occupant: Occupant, now: Timestamp) -> Result<()> {
        for hold in &self.lapsed {
            delete_lapsed(conn, *hold, now)?;
        }
        let (appointment, hold) = match occupant {
            Occupant::Appointment(appointment) => (Some(appointment), None),
            Occupant::Hold(hold) => (None, Some(hold)),
        };
        for unit in &self.units {
            per_backend!(conn, conn => diesel::insert_into(resource_occupancy::table)
                .values((
                    resource_occupancy::id.eq(env.new_id::<OccupancyId>()),
                    resource_occupancy::unit_id.eq(unit.id),
                    resource_occupancy::busy_from.eq(time.busy_from),
                    resource_occupancy::busy_until.eq(time.busy_until),
                    resource_occupancy::appointment_id.eq(appointment),
                    resource_occupancy::hold_id.eq(hold),
                ))
                .execute(conn))?;
        }
        Ok(())
    }
}

/// Deletes the rows of a hold that lapsed. Its own row is locked first, because its holder may renew it at this moment.
fn delete_lapsed(conn: &mut Conn, hold: HoldId, now: Timestamp) -> Result<()> {
    let lapsed = holds::table.find(hold).filter(holds::expires_at.le(now)).select(holds::id);
    let found: Option<HoldId> = match conn {
        Conn::Sqlite(conn) => lapsed.first(conn).optional()?,
        Conn::Postgres(conn) => lapsed.for_no_key_update().first(conn).optional()?,
    };
    found.ok_or(Error::Retry)?;
    diesel::delete(resource_occupancy::table.filter(resource_occupancy::hold_id.eq(hold))).execute(conn)?;
    Ok(())
}

/// The ids of the appointments that have a unit of a resource, as a sub-query.
#[diesel::dsl::auto_type(no_type_alias)]
pub fn visits_with(resource: ResourceId) -> _ {
    resource_occupancy::table
        .inner_join(resource_units::table.on(resource_units::id.eq(resource_occupancy::unit_id)))
        .filter(resource_units::resource_id.eq(resource))
        .select(resource_occupancy::appointment_id)
}

/// Frees the units of a cancelled or moved appointment.
pub(super) fn free(conn: &mut Conn, appointment: AppointmentId) -> Result<()> {
    diesel::delete(resource_occupancy::table.filter(resource_occupancy::appointment_id.eq(appointment)))
        .execute(conn)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::scheduling::visit_time::VisitLength;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_micros(1_772_460_000_000_000).expect("an instant").plus(SignedDuration::from_mins(minutes))
    }

    fn unit(id: u128, resource: u128, location: u128, number: i32) -> Unit {
        Unit {
            id: Uuid::from_u128(id).into(),
            resource_id: Uuid::from_u128(resource).into(),
            location_id: Uuid::from_u128(location).into(),
            number,
        }
    }

    #[test]
    fn two_units_that_are_each_free_for_half_of_the_visit_are_not_one_free_unit() {
        let here: LocationId = Uuid::from_u128(1).into();
        let chairs = [unit(1, 7, 1, 1), unit(2, 7, 1, 2)];
        let taken = HashMap::from([(chairs[0].id, vec![(at(0), at(30))]), (chairs[1].id, vec![(at(30), at(60))])]);
        let units = Units { needed: vec![Uuid::from_u128(7).into()], units: chairs.to_vec(), taken };
        let visit = |start, minutes| VisitLength::of_minutes(0, minutes, 0).starting(at(start));
        assert_eq!(units.choose(here, visit(0, 60)), Err(Uuid::from_u128(7).into()));
        assert_eq!(units.choose(here, visit(15, 30)), Err(Uuid::from_u128(7).into()));
        assert_eq!(units.choose(here, visit(0, 30)), Ok(vec![chairs[1]]));
        assert_eq!(units.choose(here, visit(30, 30)), Ok(vec![chairs[0]]));
        assert_eq!(units.choose(here, visit(60, 30)), Ok(vec![chairs[0]]));
        assert!(units.choose(Uuid::from_u128(2).into(), visit(60, 30)).is_err(), "none at another location");
        let buffer = VisitLength::of_minutes(15, 15, 0).starting(at(30));
        assert_eq!(units.choose(here, buffer), Err(Uuid::from_u128(7).into()), "the buffer counts");
    }

    proptest! {
        #[test]
        fn a_unit_is_chosen_exactly_if_it_is_free_in_every_minute(
            spans in prop::collection::vec((0..3_u128, 0..120_i64, 1..40_i64), 0..10), start in 0..120_i64, minutes in 1..60_i32,
        ) {
            let units: Vec<Unit> = (0..3).map(|id| unit(id, 7, 1, i32::try_from(id).expect("small") + 1)).collect();
            let mut taken: HashMap<ResourceUnitId, Vec<(Timestamp, Timestamp)>> = HashMap::new();
            for (id, from, length) in spans {
                let times = taken.entry(Uuid::from_u128(id).into()).or_default();
                let (from, until) = (at(from), at(from + length));
                // As the database has it: no two times of a unit overlap.
                if times.iter().all(|(other, end)| *end <= from || until <= *other) {
                    times.push((from, until));
                    times.sort_unstable();
                }
            }
            let is_free = |unit: &Unit| (start..start + i64::from(minutes)).all(|minute| {
                taken.get(&unit.id).is_none_or(|times| times.iter().all(|(from, until)| at(minute) < *from || at(minute) >= *until))
            });
            let expected = units.iter().find(|unit| is_free(unit)).copied();
            let all = Units { needed: vec![Uuid::from_u128(7).into()], units: units.clone(), taken: taken.clone() };
            let time = VisitLength::of_minutes(0, minutes, 0).starting(at(start));
            prop_assert_eq!(all.choose(Uuid::from_u128(1).into(), time).ok().map(|chosen| chosen[0]), expected);
        }
    }
}
