//! Who is treated: registration, search, consents, who may act for whom.

pub mod access;
pub mod adulthood;
pub mod api;
pub mod care;
pub mod consents;
pub mod duplicates;
pub mod ending;
pub mod giving;
pub mod guarding;
pub mod input;
pub mod invitations;
pub mod model;
pub mod names;
pub mod profile;
pub mod recipients;
mod registration;
pub mod store;
pub mod unverified;
