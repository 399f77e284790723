//! The visit types that practitioners offer, and the locations where they work.

use std::collections::HashMap;

use diesel::prelude::*;

use super::is_whole_number_of_slots;
use super::visit_type::Lengths;
use crate::db::Conn;
use crate::db::schema::{locations, practitioner_locations, practitioner_visit_types, visit_types};
use crate::error::{Check, FieldCode, FieldError, Result};
use crate::ids::{LocationId, PractitionerId, VisitTypeId};

/// The columns of [`Lengths`].
const LENGTHS: (visit_types::buffer_before_minutes, visit_types::duration_minutes, visit_types::buffer_after_minutes) =
    (visit_types::buffer_before_minutes, visit_types::duration_minutes, visit_types::buffer_after_minutes);

/// The visit types and locations of several practitioners.
pub(super) struct Offerings {
    visit_types: HashMap<PractitionerId, Vec<VisitTypeId>>,
    locations: HashMap<PractitionerId, Vec<LocationId>>,
}

impl Offerings {
    /// Loads them.
    pub(super) fn load(conn: &mut Conn, practitioners: &[PractitionerId]) -> Result<Self> {
        let visit_types = practitioner_visit_types::table
            .filter(practitioner_visit_types::practitioner_id.eq_any(practitioners.to_vec()))
            .order(practitioner_visit_types::visit_type_id)
            .select((practitioner_visit_types::practitioner_id, practitioner_visit_types::visit_type_id))
            .load::<(PractitionerId, VisitTypeId)>(conn)?;
        let locations = practitioner_locations::table
            .filter(practitioner_locations::practitioner_id.eq_any(practitioners.to_vec()))
            .order(practitioner_locations::location_id)
            .select((practitioner_locations::practitioner_id, practitioner_locations::location_id))
            .load::<(PractitionerId, LocationId)>(conn)?;
        Ok(Self { visit_types: grouped(visit_types), locations: grouped(locations) })
    }

    pub(super) fn visit_types(&self, practitioner: PractitionerId) -> Vec<VisitTypeId> {
        self.visit_types.get(&practitioner).cloned().unwrap_or_default()
    }

    pub(super) fn locations(&self, practitioner: PractitionerId) -> Vec<LocationId> {
        self.locations.get(&practitioner).cloned().unwrap_or_default()
    }
}

fn grouped<T>(pairs: Vec<(PractitionerId, T)>) -> HashMap<PractitionerId, Vec<T>> {
    let mut groups: HashMap<_, Vec<T>> = HashMap::new();
    for (practitioner, value) in pairs {
        groups.entry(practitioner).or_default().push(value);
    }
    groups
}

/// Loads the practitioners who work at a location, in the order in which they are locked.
pub fn working_at(conn: &mut Conn, location: LocationId) -> Result<Vec<PractitionerId>> {
    Ok(practitioner_locations::table
        .filter(practitioner_locations::location_id.eq(location))
        .order(practitioner_locations::practitioner_id)
        .select(practitioner_locations::practitioner_id)
        .load(conn)?)
}

/// Loads the practitioners who work at this location and at no other one.
pub fn working_only_at(conn: &mut Conn, location: LocationId) -> Result<Vec<PractitionerId>> {
    let others = diesel::alias!(practitioner_locations as others);
    let elsewhere = others
        .filter(others.field(practitioner_locations::location_id).ne(location))
        .select(others.field(practitioner_locations::practitioner_id));
    Ok(practitioner_locations::table
        .filter(practitioner_locations::location_id.eq(location))
        .filter(practitioner_locations::practitioner_id.ne_all(elsewhere))
        .select(practitioner_locations::practitioner_id)
        .load(conn)?)
}

/// Loads the lengths of the visits that are offered at a location.
pub(super) fn lengths_at(conn: &mut Conn, location: LocationId) -> Result<Vec<Lengths>> {
    Ok(practitioner_locations::table
        .inner_join(
            practitioner_visit_types::table
                .on(practitioner_visit_types::practitioner_id.eq(practitioner_locations::practitioner_id)),
        )
        .inner_join(visit_types::table.on(visit_types::id.eq(practitioner_visit_types::visit_type_id)))
        .filter(practitioner_locations::location_id.eq(location))
        .select(LENGTHS)
        .distinct()
        .load(conn)?)
}

/// Loads the slot lengths of the locations where a visit type is offered.
pub(super) fn slot_lengths_for(conn: &mut Conn, visit_type: VisitTypeId) -> Result<Vec<i32>> {
    Ok(practitioner_visit_types::table
        .inner_join(
            practitioner_locations::table
                .on(practitioner_locations::practitioner_id.eq(practitioner_visit_types::practitioner_id)),
        )
        .inner_join(locations::table.on(locations::id.eq(practitioner_locations::location_id)))
        .filter(practitioner_visit_types::visit_type_id.eq(visit_type))
        .select(locations::slot_minutes)
        .distinct()
        .load(conn)?)
}

/// Replaces the visit types and locations of a practitioner.
pub fn replace(
    conn: &mut Conn,
    practitioner: PractitionerId,
    visit_types: &[VisitTypeId],
    locations: &[LocationId],
) -> Result<()> {
    use diesel::dsl::delete;
    delete(practitioner_visit_types::table.filter(practitioner_visit_types::practitioner_id.eq(practitioner)))
        .execute(conn)?;
    delete(practitioner_locations::table.filter(practitioner_locations::practitioner_id.eq(practitioner)))
        .execute(conn)?;
    for id in visit_types {
        diesel::insert_into(practitioner_visit_types::table)
            .values((
                practitioner_visit_types::practitioner_id.eq(practitioner),
                practitioner_visit_types::visit_type_id.eq(id),
            ))
            .execute(conn)?;
    }
    for id in locations {
        diesel::insert_into(practitioner_locations::table)
            .values((
                practitioner_locations::practitioner_id.eq(practitioner),
                practitioner_locations::location_id.eq(id),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// Checks that all visit types and locations exist, and that each visit takes a whole number of slots at each location. A visit
/// that does not fit is reported at the visit types, unless the request has only the locations.
pub(super) fn check(
    conn: &mut Conn,
    visit_type_ids: &[VisitTypeId],
    location_ids: &[LocationId],
    has_visit_types: bool,
) -> Result<()> {
    let mut check = Check::new();
    let lengths: HashMap<VisitTypeId, Lengths> = visit_types::table
        .filter(visit_types::id.eq_any(visit_type_ids.to_vec()))
        .select((visit_types::id, LENGTHS))
        .load::<(VisitTypeId, Lengths)>(conn)?
        .into_iter()
        .collect();
    let slot_lengths: HashMap<LocationId, i32> = locations::table
        .filter(locations::id.eq_any(location_ids.to_vec()))
        .select((locations::id, locations::slot_minutes))
        .load::<(LocationId, i32)>(conn)?
        .into_iter()
        .collect();
    let unknown = |list: &str, index: usize, what: &str| {
        FieldError::new(format!("/{list}/{index}"), FieldCode::UnknownReference, format!("there is no such {what}"))
    };
    for (index, _) in visit_type_ids.iter().enumerate().filter(|(_, id)| !lengths.contains_key(id)) {
        check.add(unknown("visit_type_ids", index, "visit type"));
    }
    for (index, _) in location_ids.iter().enumerate().filter(|(_, id)| !slot_lengths.contains_key(id)) {
        check.add(unknown("location_ids", index, "location"));
    }
    if has_visit_types {
        for (index, id) in visit_type_ids.iter().enumerate() {
            let fits_at = |visit: &Lengths| slot_lengths.values().all(|slot| is_whole_number_of_slots(*visit, *slot));
            let detail = "its duration or a buffer is not a multiple of the slot length of one of the locations";
            let fits = lengths.get(id).is_none_or(fits_at);
            check.require(fits, format!("/visit_type_ids/{index}"), FieldCode::DoesNotFit, detail);
        }
    } else {
        for (index, id) in location_ids.iter().enumerate() {
            let fits_all = |slot: &i32| lengths.values().all(|visit| is_whole_number_of_slots(*visit, *slot));
            let detail = "its slot length does not divide the duration or a buffer of one of the visit types";
            let fits = slot_lengths.get(id).is_none_or(fits_all);
            check.require(fits, format!("/location_ids/{index}"), FieldCode::DoesNotFit, detail);
        }
    }
    check.done()
}
