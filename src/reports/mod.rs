//! Reports over visits, time and the waitlist. Owns no table: each module counts its own.

mod figures;
mod picture;
pub mod utilisation;

use crate::http::Endpoints;

/// Registers the endpoints.
pub fn routes(endpoints: &mut Endpoints) {
    endpoints.service(utilisation::get_utilisation);
}
