//! Data protection: the [`export`] of everything stored about a patient, the closing of an account by its holder ([`own_account`]), and the
//! deletion of data after its [`retention`] period. Owns no tables. It is above all other domain modules, because it uses all of them.

mod due;
pub mod export;
pub mod own_account;
pub mod records;
mod registrations;
pub mod retention;

use crate::http::Endpoints;

/// Registers the endpoints.
pub fn routes(endpoints: &mut Endpoints) {
    endpoints.service(export::get_patient_export).service(own_account::close_account);
}
