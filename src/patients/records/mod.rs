//! Patients' records: their fields and the rules for them, creating, searching, reading and changing.

pub mod by_name;
pub mod creating;
mod declare;
pub mod demographics;
pub mod model;
pub mod mrn;
mod near;
pub mod profile;
pub mod searching;
pub mod store;
pub mod updating;
