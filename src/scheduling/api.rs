//! The endpoints of this department; each stands with its subject.

use super::{availability, blocks, closures, exceptions, holds, locations, practitioners, search, visit_types};
use crate::http::Endpoints;

/// The endpoints of this department.
pub fn routes(endpoints: &mut Endpoints) {
    endpoints
        .service(search::list_slots)
        .service(holds::hold_slot)
        .service(holds::renew_hold)
        .service(holds::release_hold)
        .service(blocks::block_slot)
        .service(blocks::unblock_slot)
        .service(locations::list_locations)
        .service(locations::create_location)
        .service(locations::get_location)
        .service(locations::update_location)
        .service(closures::list_closures)
        .service(closures::add_closures)
        .service(closures::delete_closure)
        .service(visit_types::list_visit_types)
        .service(visit_types::create_visit_type)
        .service(visit_types::get_visit_type)
        .service(visit_types::update_visit_type)
        .service(practitioners::list_practitioners)
        .service(practitioners::create_practitioner)
        .service(practitioners::get_practitioner)
        .service(practitioners::update_practitioner)
        .service(availability::get_availability)
        .service(availability::replace_availability)
        .service(exceptions::list_exceptions)
        .service(exceptions::create_exception)
        .service(exceptions::delete_exception);
}
