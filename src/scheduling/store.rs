//! The queries on locations, practitioners and visit types.

use std::collections::HashMap;

use diesel::prelude::*;

use super::model::{Location, Practitioner, VisitType};
use crate::db::schema::{
    locations, practitioner_identifiers, practitioner_locations, practitioner_visit_types, practitioners, visit_types,
};
use crate::db::{Conn, per_backend};
use crate::error::Result;
use crate::http::{Cursor, Limit};
use crate::identifiers::{Token, identified};
use crate::ids::{LocationId, PractitionerId, VisitTypeId};

/// Takes the clinic's set-up for this transaction, so that changes of locations, visit types and practitioners, which
/// must fit each other, come one after the other. They are rare. SQLite writes serially anyway.
pub fn set_up(tx: &mut Conn) -> Result<()> {
    if let Conn::Postgres(tx) = tx {
        diesel::sql_query("SELECT pg_advisory_xact_lock(4703213190281735)").execute(tx)?;
    }
    Ok(())
}

/// A location by its id.
///
/// # Errors
/// `NotFound`.
pub fn location(tx: &mut Conn, id: LocationId) -> Result<Location> {
    Ok(locations::table.find(id).select(Location::as_select()).first(tx)?)
}

/// A visit type by its id.
///
/// # Errors
/// `NotFound`.
pub fn visit_type(tx: &mut Conn, id: VisitTypeId) -> Result<VisitType> {
    Ok(per_backend!(tx, tx => visit_types::table.find(id).select(VisitType::as_select()).first(tx))?)
}

/// A practitioner by its id.
///
/// # Errors
/// `NotFound`.
pub fn practitioner(tx: &mut Conn, id: PractitionerId) -> Result<Practitioner> {
    Ok(practitioners::table.find(id).select(Practitioner::as_select()).first(tx)?)
}

/// A practitioner by its id, locked against other changes of it and of its published hours. The lock lets references to
/// the row be written (`FOR NO KEY UPDATE`): a booking that has its slots locked must be able to refer to the doctor.
///
/// # Errors
/// `NotFound`.
pub fn lock_practitioner(tx: &mut Conn, id: PractitionerId) -> Result<Practitioner> {
    if let Conn::Postgres(tx) = tx {
        practitioners::table
            .find(id)
            .select(practitioners::id)
            .for_no_key_update()
            .first::<PractitionerId>(tx)
            .optional()?;
    }
    practitioner(tx, id)
}

/// The locations, oldest first.
pub fn list_locations(tx: &mut Conn, after: Option<Cursor>, limit: Limit) -> Result<Vec<Location>> {
    let mut query = locations::table.select(Location::as_select()).into_boxed();
    if let Some(Cursor { at, id }) = after {
        query = query.filter(
            locations::created_at.gt(at).or(locations::created_at.eq(at).and(locations::id.gt(LocationId(id)))),
        );
    }
    Ok(query.order((locations::created_at, locations::id)).limit(limit.query()).load(tx)?)
}

/// The visit types that are (not) active, oldest first.
pub fn list_visit_types(tx: &mut Conn, active: bool, after: Option<Cursor>, limit: Limit) -> Result<Vec<VisitType>> {
    let mut query =
        visit_types::table.select(VisitType::as_select()).filter(visit_types::active.eq(active)).into_boxed();
    if let Some(Cursor { at, id }) = after {
        query = query.filter(
            visit_types::created_at.gt(at).or(visit_types::created_at.eq(at).and(visit_types::id.gt(VisitTypeId(id)))),
        );
    }
    Ok(query.order((visit_types::created_at, visit_types::id)).limit(limit.query()).load(tx)?)
}

/// The practitioners who are (not) active, oldest first; with `identifier` only those whom it names.
pub fn list_practitioners(
    tx: &mut Conn,
    active: bool,
    identifier: Option<&Token>,
    after: Option<Cursor>,
    limit: Limit,
) -> Result<Vec<Practitioner>> {
    let mut query =
        practitioners::table.select(Practitioner::as_select()).filter(practitioners::active.eq(active)).into_boxed();
    if let Some(token) = identifier {
        query = identified!(query, practitioners::id, practitioner_identifiers, practitioner_id, token);
    }
    if let Some(Cursor { at, id }) = after {
        query = query.filter(
            practitioners::created_at
                .gt(at)
                .or(practitioners::created_at.eq(at).and(practitioners::id.gt(PractitionerId(id)))),
        );
    }
    Ok(query.order((practitioners::created_at, practitioners::id)).limit(limit.query()).load(tx)?)
}

/// What each of `practitioners` offers, and where.
pub struct Offers {
    visit_types: HashMap<PractitionerId, Vec<VisitTypeId>>,
    locations: HashMap<PractitionerId, Vec<LocationId>>,
}

impl Offers {
    /// Loads it.
    ///
    /// # Errors
    /// The database's.
    pub fn of(tx: &mut Conn, practitioners: &[PractitionerId]) -> Result<Self> {
        let visit_types = practitioner_visit_types::table
            .filter(practitioner_visit_types::practitioner_id.eq_any(practitioners.to_vec()))
            .order(practitioner_visit_types::visit_type_id)
            .select((practitioner_visit_types::practitioner_id, practitioner_visit_types::visit_type_id))
            .load::<(PractitionerId, VisitTypeId)>(tx)?;
        let locations = practitioner_locations::table
            .filter(practitioner_locations::practitioner_id.eq_any(practitioners.to_vec()))
            .order(practitioner_locations::location_id)
            .select((practitioner_locations::practitioner_id, practitioner_locations::location_id))
            .load::<(PractitionerId, LocationId)>(tx)?;
        Ok(Self { visit_types: grouped(visit_types), locations: grouped(locations) })
    }

    /// The visit types of one.
    pub fn visit_types(&self, practitioner: PractitionerId) -> Vec<VisitTypeId> {
        self.visit_types.get(&practitioner).cloned().unwrap_or_default()
    }

    /// The locations of one.
    pub fn locations(&self, practitioner: PractitionerId) -> Vec<LocationId> {
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

/// The practitioners who work at a location, in the order in which they are locked.
pub fn working_at(tx: &mut Conn, location: LocationId) -> Result<Vec<PractitionerId>> {
    Ok(practitioner_locations::table
        .filter(practitioner_locations::location_id.eq(location))
        .order(practitioner_locations::practitioner_id)
        .select(practitioner_locations::practitioner_id)
        .load(tx)?)
}

/// Those of the visit types that exist.
pub fn visit_types_of(tx: &mut Conn, ids: &[VisitTypeId]) -> Result<Vec<VisitType>> {
    Ok(visit_types::table.filter(visit_types::id.eq_any(ids.to_vec())).select(VisitType::as_select()).load(tx)?)
}

/// Those of the locations that exist.
pub fn locations_of(tx: &mut Conn, ids: &[LocationId]) -> Result<Vec<Location>> {
    Ok(locations::table.filter(locations::id.eq_any(ids.to_vec())).select(Location::as_select()).load(tx)?)
}

/// The lengths of the visits that are offered at a location.
pub fn durations_at(tx: &mut Conn, location: LocationId) -> Result<Vec<i32>> {
    Ok(practitioner_locations::table
        .inner_join(
            practitioner_visit_types::table
                .on(practitioner_visit_types::practitioner_id.eq(practitioner_locations::practitioner_id)),
        )
        .inner_join(visit_types::table.on(visit_types::id.eq(practitioner_visit_types::visit_type_id)))
        .filter(practitioner_locations::location_id.eq(location))
        .select(visit_types::duration_minutes)
        .distinct()
        .load(tx)?)
}

/// The lengths of the slots wherever a visit type is offered.
pub fn slot_lengths_for(tx: &mut Conn, visit_type: VisitTypeId) -> Result<Vec<i32>> {
    Ok(practitioner_visit_types::table
        .inner_join(
            practitioner_locations::table
                .on(practitioner_locations::practitioner_id.eq(practitioner_visit_types::practitioner_id)),
        )
        .inner_join(locations::table.on(locations::id.eq(practitioner_locations::location_id)))
        .filter(practitioner_visit_types::visit_type_id.eq(visit_type))
        .select(locations::slot_minutes)
        .distinct()
        .load(tx)?)
}

/// Writes what a practitioner offers and where, in place of what was there.
pub fn set_offers(
    tx: &mut Conn,
    practitioner: PractitionerId,
    visit_types: &[VisitTypeId],
    locations: &[LocationId],
) -> Result<()> {
    use diesel::dsl::delete;
    delete(practitioner_visit_types::table.filter(practitioner_visit_types::practitioner_id.eq(practitioner)))
        .execute(tx)?;
    delete(practitioner_locations::table.filter(practitioner_locations::practitioner_id.eq(practitioner)))
        .execute(tx)?;
    for id in visit_types {
        diesel::insert_into(practitioner_visit_types::table)
            .values((
                practitioner_visit_types::practitioner_id.eq(practitioner),
                practitioner_visit_types::visit_type_id.eq(id),
            ))
            .execute(tx)?;
    }
    for id in locations {
        diesel::insert_into(practitioner_locations::table)
            .values((
                practitioner_locations::practitioner_id.eq(practitioner),
                practitioner_locations::location_id.eq(id),
            ))
            .execute(tx)?;
    }
    Ok(())
}
