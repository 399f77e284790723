//! When and where: locations, practitioners, visit types, weekly hours → slots, holds.
//!
//! Order of locks on PostgreSQL, so that no two requests wait for each other: the set-up of the clinic ([`store::set_up`]),
//! practitioners by id ([`store::lock_practitioner`]), slots by practitioner and start ([`slots`]), rows of `holds`.

pub mod api;
pub mod availability;
pub mod blocks;
pub mod holds;
pub mod hours;
pub mod locations;
pub mod model;
mod params;
pub mod practitioners;
pub mod publishing;
pub mod search;
pub mod slots;
pub mod store;
pub mod visit_types;
