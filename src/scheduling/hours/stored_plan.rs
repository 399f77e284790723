//! Loads a practitioner's plan from the tables.

use diesel::prelude::*;

use super::plan::{Absence, AttentionReason, Plan};
use super::weekly::Workplace;
use super::{availability, closure, exception};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{locations, practitioner_locations};
use crate::error::Result;
use crate::ids::PractitionerId;
use crate::scheduling::setup::location::Location;
use crate::scheduling::setup::practitioner::Practitioner;

/// Loads what counts from an instant on. An inactive practitioner has no hours, but absences, because they tell why.
pub fn load(conn: &mut Conn, practitioner: &Practitioner, from: Timestamp) -> Result<Plan> {
    let places = workplaces(conn, practitioner.id)?;
    let (extra, mut absences) = exception::of_plan(conn, practitioner.id, from)?;
    absences.extend(closed(conn, &places, from)?);
    if !practitioner.active {
        return Ok(Plan { places, absences, ..Plan::default() });
    }
    Ok(Plan { rules: availability::rules(conn, practitioner.id)?, extra, absences, places })
}

/// Loads the locations where a practitioner works, oldest first.
pub fn workplaces(conn: &mut Conn, practitioner: PractitionerId) -> Result<Vec<Workplace>> {
    let locations: Vec<Location> = practitioner_locations::table
        .inner_join(locations::table.on(locations::id.eq(practitioner_locations::location_id)))
        .filter(practitioner_locations::practitioner_id.eq(practitioner))
        .order(locations::id)
        .select(Location::as_select())
        .load(conn)?;
    locations
        .into_iter()
        .map(|location| {
            let zone = location.zone()?;
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
