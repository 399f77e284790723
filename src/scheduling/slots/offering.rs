//! What a slot search reads of the clinic's set-up, in one query.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Nullable};
use jiff::tz::TimeZone;

use super::units::{self, Unit, Units};
use crate::clock::Timestamp;
use crate::db::schema::{
    locations, practitioner_visit_types, practitioners, resource_units, visit_type_resources, visit_types,
};
use crate::db::types::Uid;
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::{LocationId, PractitionerId, ResourceId, ResourceUnitId, VisitTypeId};
use crate::scheduling::setup::visit_type::earliest_for_patients;
use crate::scheduling::visit_time::VisitLength;
use crate::zones::Zones;

/// A visit type with who offers it and where.
pub struct Offering {
    id: VisitTypeId,
    /// Whether the visit type can be booked.
    pub active: bool,
    /// The length of a visit with its buffers.
    pub length: VisitLength,
    booking_notice_minutes: i32,
    /// The active practitioners who offer it.
    pub practitioners: HashSet<PractitionerId>,
    /// The time zones of all locations.
    pub zones: HashMap<LocationId, TimeZone>,
    /// The units of the resources that a visit needs, without the times at which they are taken.
    pub units: Units,
}

type Minutes = (Option<i32>, Option<i32>, Option<i32>, Option<i32>);
/// A practitioner with the visit type's active, lengths (buffer before, visit, buffer after) and notice, a location with its zone, or a
/// resource with a unit.
type Row = (Option<bool>, Minutes, Option<PractitionerId>, Option<LocationId>, Option<String>, UnitColumns);
/// A resource that the visit needs, and the id, location and number of one of its units.
type UnitColumns = (Option<ResourceId>, Option<ResourceUnitId>, Option<LocationId>, Option<i32>);

impl Offering {
    /// Returns what is offered. Loads it after a change of the set-up only.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such visit type; a fault if the time zone of a location is unknown.
    pub fn find(conn: &mut Conn, env: &Env, id: VisitTypeId) -> Result<Arc<Self>> {
        env.setup.get(conn, id.0, |conn| Self::load(conn, &env.config.zones, id))
    }

    fn load(conn: &mut Conn, zones: &Zones, id: VisitTypeId) -> Result<Self> {
        let rows: Vec<Row> = per_backend!(conn, conn => visit_types::table
            .left_join(
                practitioner_visit_types::table.on(practitioner_visit_types::visit_type_id.eq(visit_types::id)),
            )
            .left_join(practitioners::table.on(
                practitioners::id.eq(practitioner_visit_types::practitioner_id).and(practitioners::active.eq(true)),
            ))
            .filter(visit_types::id.eq(id))
            .select((
                visit_types::active.nullable(),
                (
                    visit_types::buffer_before_minutes.nullable(),
                    visit_types::duration_minutes.nullable(),
                    visit_types::buffer_after_minutes.nullable(),
                    visit_types::booking_notice_minutes.nullable(),
                ),
                practitioners::id.nullable(),
                None::<LocationId>.into_sql::<Nullable<Uid>>(),
                None::<String>.into_sql::<Nullable<diesel::sql_types::Text>>(),
                (
                    None::<ResourceId>.into_sql::<Nullable<Uid>>(),
                    None::<ResourceUnitId>.into_sql::<Nullable<Uid>>(),
                    None::<LocationId>.into_sql::<Nullable<Uid>>(),
                    None::<i32>.into_sql::<Nullable<Integer>>(),
                ),
            ))
            .union_all(locations::table.select((
                None::<bool>.into_sql::<Nullable<Bool>>(),
                (
                    None::<i32>.into_sql::<Nullable<Integer>>(),
                    None::<i32>.into_sql::<Nullable<Integer>>(),
                    None::<i32>.into_sql::<Nullable<Integer>>(),
                    None::<i32>.into_sql::<Nullable<Integer>>(),
                ),
                None::<PractitionerId>.into_sql::<Nullable<Uid>>(),
                locations::id.nullable(),
                locations::time_zone.nullable(),
                (
                    None::<ResourceId>.into_sql::<Nullable<Uid>>(),
                    None::<ResourceUnitId>.into_sql::<Nullable<Uid>>(),
                    None::<LocationId>.into_sql::<Nullable<Uid>>(),
                    None::<i32>.into_sql::<Nullable<Integer>>(),
                ),
            )))
            .union_all(
                visit_type_resources::table
                    .left_join(
                        resource_units::table.on(resource_units::resource_id
                            .eq(visit_type_resources::resource_id)
                            .and(resource_units::in_use)),
                    )
                    .filter(visit_type_resources::visit_type_id.eq(id))
                    .select((
                        None::<bool>.into_sql::<Nullable<Bool>>(),
                        (
                            None::<i32>.into_sql::<Nullable<Integer>>(),
                            None::<i32>.into_sql::<Nullable<Integer>>(),
                            None::<i32>.into_sql::<Nullable<Integer>>(),
                            None::<i32>.into_sql::<Nullable<Integer>>(),
                        ),
                        None::<PractitionerId>.into_sql::<Nullable<Uid>>(),
                        None::<LocationId>.into_sql::<Nullable<Uid>>(),
                        None::<String>.into_sql::<Nullable<diesel::sql_types::Text>>(),
                        (
                            visit_type_resources::resource_id.nullable(),
                            resource_units::id.nullable(),
                            resource_units::location_id.nullable(),
                            resource_units::number.nullable(),
                        ),
                    )),
            )
            .load(conn))?;
        let (mut found, mut practitioners, mut local) = (None, HashSet::new(), HashMap::new());
        let mut units = Units::default();
        for (active, minutes, practitioner, location, zone, (resource, unit, at, number)) in rows {
            if let Some(resource_id) = resource {
                if !units.needed.contains(&resource_id) {
                    units.needed.push(resource_id);
                }
                if let (Some(id), Some(location_id), Some(number)) = (unit, at, number) {
                    units.units.push(Unit { id, resource_id, location_id, number });
                }
            }
            if let (Some(active), (Some(before), Some(visit), Some(after), Some(notice))) = (active, minutes) {
                found = Some((active, VisitLength::of_minutes(before, visit, after), notice));
            }
            practitioners.extend(practitioner);
            if let Some((location, zone)) = location.zip(zone) {
                local.insert(location, zones.stored(&zone)?);
            }
        }
        let (active, length, booking_notice_minutes) = found.ok_or(Error::NotFound)?;
        Ok(Self { id, active, length, booking_notice_minutes, practitioners, zones: local, units })
    }

    /// Loads the times between two instants at which the units are taken; nothing if the visit needs none.
    pub fn units_between(
        &self,
        conn: &mut Conn,
        span: (Timestamp, Timestamp),
        now: Timestamp,
    ) -> Result<Option<Arc<Units>>> {
        if self.units.needed.is_empty() {
            return Ok(None);
        }
        let taken = units::load_taken(conn, self.id, span, now)?;
        Ok(Some(Arc::new(Units { taken, ..self.units.clone() })))
    }

    /// Returns the earliest start of a visit that a patient books now.
    pub fn earliest_for_patients(&self, now: Timestamp) -> Timestamp {
        earliest_for_patients(now, self.booking_notice_minutes)
    }
}
