//! A resource as it is stored, its units at each location, and the visit types that need it.

use std::collections::HashMap;

use diesel::prelude::*;

use crate::clock::Timestamp;
use crate::context::Tx;
use crate::db::Conn;
use crate::db::schema::{resource_occupancy, resource_units, resources, visit_type_resources};
use crate::error::Result;
use crate::ids::{AppointmentId, LocationId, ResourceId, ResourceUnitId, VisitTypeId};

/// A resource's row.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = resources)]
pub struct Resource {
    pub id: ResourceId,
    pub name: String,
    /// Grows with each change, also of the capacities.
    pub version: i32,
    /// The time at which it was created.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
}

/// Loads a resource.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound).
pub fn find(conn: &mut Conn, id: ResourceId) -> Result<Resource> {
    Ok(resources::table.find(id).select(Resource::as_select()).first(conn)?)
}

/// The number of units at each location.
pub type Capacities = Vec<(LocationId, i32)>;

/// Loads the capacities of resources.
pub(super) fn capacities(conn: &mut Conn, ids: &[ResourceId]) -> Result<HashMap<ResourceId, Capacities>> {
    let units: Vec<(ResourceId, LocationId)> = resource_units::table
        .filter(resource_units::resource_id.eq_any(ids.to_vec()))
        .filter(resource_units::in_use)
        .order((resource_units::resource_id, resource_units::location_id))
        .select((resource_units::resource_id, resource_units::location_id))
        .load(conn)?;
    let mut capacities: HashMap<ResourceId, Capacities> = HashMap::new();
    for (resource, location) in units {
        let of_resource = capacities.entry(resource).or_default();
        match of_resource.last_mut() {
            Some((last, units)) if *last == location => *units += 1,
            _ => of_resource.push((location, 1)),
        }
    }
    Ok(capacities)
}

/// Sets the number of units at each location. A location that is not in the list gets none. Units above the number are kept for the
/// visits that have them, and new visits do not get them.
pub fn set_capacities<P>(tx: &mut Tx<P>, resource: ResourceId, wanted: &[(LocationId, i32)]) -> Result<()> {
    // Locked in the order in which bookings lock them.
    let units = resource_units::table
        .filter(resource_units::resource_id.eq(resource))
        .order(resource_units::id)
        .select((resource_units::id, resource_units::location_id, resource_units::number, resource_units::in_use));
    let units: Vec<(ResourceUnitId, LocationId, i32, bool)> = match tx.conn {
        Conn::Sqlite(conn) => units.load(conn)?,
        Conn::Postgres(conn) => units.for_no_key_update().load(conn)?,
    };
    let wanted: HashMap<LocationId, i32> = wanted.iter().copied().collect();
    for (id, location, number, in_use) in &units {
        let keep = wanted.get(location).is_some_and(|units| number <= units);
        if keep != *in_use {
            diesel::update(resource_units::table.find(id)).set(resource_units::in_use.eq(keep)).execute(tx.conn)?;
        }
    }
    for (location, count) in wanted {
        let known =
            units.iter().filter(|(_, at, ..)| *at == location).map(|(_, _, number, _)| *number).max().unwrap_or(0);
        for number in known + 1..=count {
            diesel::insert_into(resource_units::table)
                .values((
                    resource_units::id.eq(tx.env.new_id::<ResourceUnitId>()),
                    resource_units::resource_id.eq(resource),
                    resource_units::location_id.eq(location),
                    resource_units::number.eq(number),
                    resource_units::in_use.eq(true),
                ))
                .execute(tx.conn)?;
        }
    }
    Ok(())
}

/// Loads the appointments that have not ended and keep a unit above the capacity.
pub(super) fn appointments_above_capacity<P>(tx: &mut Tx<P>, resource: ResourceId) -> Result<Vec<AppointmentId>> {
    let taken = resource_occupancy::table
        .inner_join(resource_units::table.on(resource_units::id.eq(resource_occupancy::unit_id)))
        .filter(resource_units::resource_id.eq(resource))
        .filter(resource_units::in_use.eq(false))
        .filter(resource_occupancy::busy_until.gt(tx.now));
    let appointments: Vec<Option<AppointmentId>> = taken.select(resource_occupancy::appointment_id).load(tx.conn)?;
    Ok(appointments.into_iter().flatten().collect())
}

/// Loads the resources that visit types need.
pub(super) fn needed_by(conn: &mut Conn, visit_types: &[VisitTypeId]) -> Result<HashMap<VisitTypeId, Vec<ResourceId>>> {
    let pairs: Vec<(VisitTypeId, ResourceId)> = visit_type_resources::table
        .filter(visit_type_resources::visit_type_id.eq_any(visit_types.to_vec()))
        .order((visit_type_resources::visit_type_id, visit_type_resources::resource_id))
        .select((visit_type_resources::visit_type_id, visit_type_resources::resource_id))
        .load(conn)?;
    let mut needed: HashMap<VisitTypeId, Vec<ResourceId>> = HashMap::new();
    for (visit_type, resource) in pairs {
        needed.entry(visit_type).or_default().push(resource);
    }
    Ok(needed)
}

/// Replaces the resources that a visit type needs.
pub fn set_needed(conn: &mut Conn, visit_type: VisitTypeId, resources: &[ResourceId]) -> Result<()> {
    diesel::delete(visit_type_resources::table.filter(visit_type_resources::visit_type_id.eq(visit_type)))
        .execute(conn)?;
    for resource in resources {
        diesel::insert_into(visit_type_resources::table)
            .values((
                visit_type_resources::visit_type_id.eq(visit_type),
                visit_type_resources::resource_id.eq(resource),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// Returns the positions of ids that are not a resource.
pub(super) fn unknown(conn: &mut Conn, ids: &[ResourceId]) -> Result<Vec<usize>> {
    let known: Vec<ResourceId> =
        resources::table.filter(resources::id.eq_any(ids.to_vec())).select(resources::id).load(conn)?;
    Ok(ids.iter().enumerate().filter(|(_, id)| !known.contains(id)).map(|(index, _)| index).collect())
}
