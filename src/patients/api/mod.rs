//! The endpoints.

mod access;
mod access_log;
mod consents;
mod duplicates;
mod invitations;
mod me;
mod patients;

pub use consents::ConsentDto;
pub use patients::PatientDto;

use crate::http::Endpoints;

/// The endpoints of this department.
pub fn routes(endpoints: &mut Endpoints) {
    super::registration::routes(endpoints);
    me::routes(endpoints);
    patients::routes(endpoints);
    duplicates::routes(endpoints);
    consents::routes(endpoints);
    access::routes(endpoints);
    invitations::routes(endpoints);
    access_log::routes(endpoints);
}
