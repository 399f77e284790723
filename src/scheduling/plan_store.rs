//! A practitioner's plan as it stands in the tables.

use diesel::prelude::*;
use jiff::ToSpan;
use jiff::tz::TimeZone;

use super::hours::{self, Place, Rule, Stretch, Weekday};
use super::model::{ExceptionKind, Location, OffPlan, Practitioner};
use super::plan::{Absence, Plan};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{availability, location_closures, locations, practitioner_exceptions, practitioner_locations};
use crate::db::types::Date;
use crate::error::{Error, Result};
use crate::ids::{ClosureId, LocationId, PractitionerId};

/// What counts from an instant on. Of a practitioner who is not active nothing does, but the absences tell why.
///
/// # Errors
/// The database's.
pub fn plan(tx: &mut Conn, practitioner: &Practitioner, from: Timestamp) -> Result<Plan> {
    let places = places(tx, practitioner.id)?;
    let (extra, mut absences) = exceptions(tx, practitioner.id, from)?;
    absences.extend(closed(tx, &places, from)?);
    if !practitioner.active {
        return Ok(Plan { places, absences, ..Plan::default() });
    }
    Ok(Plan { rules: rules(tx, practitioner.id)?, extra, absences, places })
}

/// The weekly hours, in order.
///
/// # Errors
/// The database's.
pub fn rules(tx: &mut Conn, practitioner: PractitionerId) -> Result<Vec<Rule>> {
    let rows = availability::table
        .filter(availability::practitioner_id.eq(practitioner))
        .order((availability::weekday, availability::start_minute, availability::valid_from, availability::id))
        .select((
            availability::location_id,
            availability::weekday,
            availability::start_minute,
            availability::end_minute,
            availability::valid_from,
            availability::valid_until,
        ))
        .load::<(LocationId, i32, i32, i32, Option<Date>, Option<Date>)>(tx)?;
    rows.into_iter()
        .map(|(location_id, weekday, start_minute, end_minute, valid_from, valid_until)| {
            let weekday = Weekday::from_iso(weekday).ok_or_else(|| Error::fault("a weekday that is none"))?;
            let (valid_from, valid_until) = (valid_from.map(|day| day.0), valid_until.map(|day| day.0));
            Ok(Rule { location_id, weekday, start_minute, end_minute, valid_from, valid_until })
        })
        .collect()
}

/// The places where a practitioner works now, oldest first.
///
/// # Errors
/// The database's.
pub fn places(tx: &mut Conn, practitioner: PractitionerId) -> Result<Vec<Place>> {
    let places = practitioner_locations::table
        .inner_join(locations::table.on(locations::id.eq(practitioner_locations::location_id)))
        .filter(practitioner_locations::practitioner_id.eq(practitioner))
        .order(locations::id)
        .select(Location::as_select())
        .load(tx)?;
    places
        .into_iter()
        .map(|place| Ok(Place { location_id: place.id, zone: place.zone()?, slot_minutes: place.slot_minutes }))
        .collect()
}

/// The extra hours, earliest first, and the time off that end after an instant.
fn exceptions(tx: &mut Conn, practitioner: PractitionerId, from: Timestamp) -> Result<(Vec<Stretch>, Vec<Absence>)> {
    use practitioner_exceptions::dsl;
    let rows = practitioner_exceptions::table
        .filter(dsl::practitioner_id.eq(practitioner))
        .filter(dsl::ends_at.gt(from))
        .order((dsl::starts_at, dsl::id))
        .select((dsl::kind, dsl::starts_at, dsl::ends_at, dsl::location_id))
        .load::<(ExceptionKind, Timestamp, Timestamp, Option<LocationId>)>(tx)?;
    let (mut extra, mut off) = (Vec::new(), Vec::new());
    for (kind, starts_at, ends_at, location_id) in rows {
        match (kind, location_id) {
            (ExceptionKind::TimeOff, _) => {
                off.push(Absence { starts_at, ends_at, location_id, why: OffPlan::TimeOff });
            }
            (ExceptionKind::ExtraHours, Some(location_id)) => extra.push(Stretch { starts_at, ends_at, location_id }),
            (ExceptionKind::ExtraHours, None) => return Err(Error::fault("extra hours without a location")),
        }
    }
    Ok((extra, off))
}

fn closed(tx: &mut Conn, places: &[Place], from: Timestamp) -> Result<Vec<Absence>> {
    let mut absences = Vec::new();
    let ids: Vec<_> = places.iter().map(|place| place.location_id).collect();
    for closure in closures(tx, &ids, from)? {
        let Some(place) = places.iter().find(|place| place.location_id == closure.location_id) else { continue };
        let (starts_at, ends_at) = closure.span(&place.zone);
        absences.push(Absence { starts_at, ends_at, location_id: Some(place.location_id), why: OffPlan::Closure });
    }
    Ok(absences)
}

/// A time at which a location is closed. Its day stands as a day, so that it is the right one even where the rules of
/// the zone change later.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = location_closures, treat_none_as_default_value = false)]
pub struct Closure {
    /// Its id.
    pub id: ClosureId,
    /// Where.
    pub location_id: LocationId,
    /// The whole of this day of the location's calendar; else there are instants.
    pub day: Option<Date>,
    /// Its start.
    pub starts_at: Option<Timestamp>,
    /// Its end.
    pub ends_at: Option<Timestamp>,
    /// What it is called.
    pub name: String,
    /// When it was entered.
    pub created_at: Timestamp,
}

impl Closure {
    /// From when until when, in the location's zone.
    pub fn span(&self, zone: &TimeZone) -> (Timestamp, Timestamp) {
        match (self.day, self.starts_at, self.ends_at) {
            (Some(Date(day)), ..) => (hours::midnight(day, zone), hours::midnight(day.saturating_add(1.day()), zone)),
            (None, Some(starts_at), Some(ends_at)) => (starts_at, ends_at),
            // The database refuses such a row.
            _ => (self.created_at, self.created_at),
        }
    }
}

/// The closures of locations that end after an instant, wherever it is midnight then; a day more may be among them.
///
/// # Errors
/// The database's.
pub fn closures(tx: &mut Conn, locations: &[LocationId], from: Timestamp) -> Result<Vec<Closure>> {
    use location_closures::dsl;
    let day = from.in_zone(&TimeZone::UTC).date().yesterday().unwrap_or(jiff::civil::Date::MIN);
    Ok(location_closures::table
        .filter(dsl::location_id.eq_any(locations.to_vec()))
        .filter(dsl::day.ge(Date(day)).or(dsl::ends_at.gt(from)))
        .order(dsl::id)
        .select(Closure::as_select())
        .load(tx)?)
}
