//! Locations, practitioners and visit types; practitioners' hours, and the slots that they give. Owns the tables `locations`,
//! `location_closures`, `visit_types`, `practitioners`, `practitioner_identifiers`, `practitioner_visit_types`,
//! `practitioner_locations`, `practitioner_exceptions`, `availability`, `slots`, `holds`, `resources`, `resource_units`, `visit_type_resources` and
//! `resource_occupancy`.
//!
//! Every transaction takes its locks in one order, so that no two wait for each other: the clinic's set-up ([`setup::lock`]),
//! practitioners by id ([`setup::practitioner::lock`]), slots by practitioner and start ([`slots::locking`]), units of resources by id
//! ([`slots::units`]), rows of `holds`.

mod clock_change;
pub mod hours;
pub mod setup;
pub mod slots;
pub mod visit_time;

use self::hours::{availability, closures, exceptions};
use self::setup::{locations, practitioners, resources, visit_types};
use self::slots::{blocks, days, holds, search, taken};
use crate::http::Endpoints;

/// Registers the endpoints.
pub fn routes(endpoints: &mut Endpoints) {
    endpoints
        .service(search::list_slots)
        .service(days::list_slot_days)
        .service(taken::list_taken_slots)
        .service(holds::get_hold)
        .service(holds::renewing::renew_hold)
        .service(holds::ending::delete_hold)
        .service(blocks::block_slot)
        .service(blocks::unblock_slot)
        .service(locations::list_locations)
        .service(locations::create_location)
        .service(locations::get_location)
        .service(locations::update_location)
        .service(closures::list_closures)
        .service(closures::create_closures)
        .service(closures::get_closure)
        .service(closures::delete_closure)
        .service(visit_types::list_visit_types)
        .service(visit_types::create_visit_type)
        .service(visit_types::get_visit_type)
        .service(visit_types::update_visit_type)
        .service(resources::list_resources)
        .service(resources::create_resource)
        .service(resources::get_resource)
        .service(resources::update_resource)
        .service(practitioners::list_practitioners)
        .service(practitioners::create_practitioner)
        .service(practitioners::get_practitioner)
        .service(practitioners::update_practitioner)
        .service(availability::get_availability)
        .service(availability::replace_availability)
        .service(exceptions::list_exceptions)
        .service(exceptions::create_exception)
        .service(exceptions::get_exception)
        .service(exceptions::delete_exception);
}
