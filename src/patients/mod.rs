//! Who is treated: registration, search, consents, who may act for whom.
pub mod api;
