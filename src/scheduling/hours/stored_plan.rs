//! Loads a practitioner's plan from the tables.

use diesel::prelude::*;

use super::plan::{Absence, AttentionReason, Plan};
use super::weekly::{Weekday, WeeklyRule, Workplace};
use super::{closure, exception};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{availability, locations, practitioner_locations};
use crate::db::types::Date;
use crate::error::{Error, Result};
use crate::ids::{LocationId, PractitionerId};
use crate::scheduling::setup::location::Location;
use crate::scheduling::setup::practitioner::Practitioner;
use crate::zones::Zones;

/// Loads what counts from an instant on. An inactive practitioner has no hours, but absences, because they tell why.
pub fn load(conn: &mut Conn, zones: &Zones, practitioner: &Practitioner, from: Timestamp) -> Result<Plan> {
    let places = workplaces(conn, zones, practitioner.id)?;
    let (extra, mut absences) = exception::of_plan(conn, practitioner.id, from)?;
    absences.extend(closed(conn, &places, from)?);
    if !practitioner.active {
        return Ok(Plan { places, absences, ..Plan::default() });
    }
    Ok(Plan { rules: weekly_rules(conn, practitioner.id)?, extra, absences, places })
}

/// Loads a practitioner's weekly hours, in order.
pub(super) fn weekly_rules(conn: &mut Conn, practitioner: PractitionerId) -> Result<Vec<WeeklyRule>> {
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
        .load::<(LocationId, i32, i32, i32, Option<Date>, Option<Date>)>(conn)?;
    rows.into_iter()
        .map(|(location_id, weekday, start_minute, end_minute, valid_from, valid_until)| {
            let weekday = Weekday::from_iso(weekday).ok_or_else(|| Error::fault("a stored weekday is not 1 to 7"))?;
            let (valid_from, valid_until) = (valid_from.map(|day| day.0), valid_until.map(|day| day.0));
            Ok(WeeklyRule { location_id, weekday, start_minute, end_minute, valid_from, valid_until })
        })
        .collect()
}

/// Loads the locations where a practitioner works, oldest first.
pub fn workplaces(conn: &mut Conn, zones: &Zones, practitioner: PractitionerId) -> Result<Vec<Workplace>> {
    let locations: Vec<Location> = practitioner_locations::table
        .inner_join(locations::table.on(locations::id.eq(practitioner_locations::location_id)))
        .filter(practitioner_locations::practitioner_id.eq(practitioner))
        .order(locations::id)
        .select(Location::as_select())
        .load(conn)?;
    locations
        .into_iter()
        .map(|location| {
            let zone = location.zone(zones)?;
            Ok(Workplace { location_id: location.id, zone, slot_minutes: location.slot_minutes })
        })
        .collect()
}

fn closed(conn: &mut Conn, places: &[Workplace], from: Timestamp) -> Result<Vec<Absence>> {
    let mut absences = Vec::new();
    let ids: Vec<_> = places.iter().map(|place| place.location_id).collect();
    for closure in closure::ending_after(conn, &ids, from)? {
        let Some(place) = places.iter().find(|place| place.location_id == closure.location_id) else { continue };
        let (starts_at, ends_at) = closure.span(&place.zone);
        absences.push(Absence {
            starts_at,
            ends_at,
            location_id: Some(place.location_id),
            why: AttentionReason::Closure,
        });
    }
    Ok(absences)
}
