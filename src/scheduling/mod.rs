//! When and where: locations, practitioners, visit types; weekly hours, extra hours, time off and closures → slots, holds.
//!
//! [`plan`] is the one rule which times a practitioner's plan gives, [`publishing`] makes the slots agree with it, and
//! [`releasing`] keeps what is given back in agreement.
//!
//! Order of locks on PostgreSQL, so that no two requests wait for each other: the set-up of the clinic ([`store::set_up`]),
//! practitioners by id ([`store::lock_practitioner`]), slots by practitioner and start ([`slots`]), rows of `holds`.

pub mod affected;
pub mod api;
pub mod availability;
pub mod blocks;
pub mod closures;
pub mod exceptions;
pub mod holds;
pub mod hours;
pub mod locations;
pub mod model;
pub mod offers;
mod params;
pub mod plan;
pub mod plan_store;
pub mod practitioners;
pub mod publishing;
pub mod releasing;
pub mod search;
pub mod slots;
pub mod store;
pub mod visit_types;
