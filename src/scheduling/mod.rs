//! When and where: locations, practitioners, visit types, availability → slots, holds.
pub mod api;
pub mod publishing;
