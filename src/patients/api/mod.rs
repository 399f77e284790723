//! The endpoints.

mod access;
mod access_log;
mod consents;
mod duplicates;
mod invitations;
mod me;
mod patients;

use utoipa_actix_web::service_config::ServiceConfig;

pub use consents::ConsentDto;
pub use patients::PatientDto;

/// The endpoints of this department.
pub fn routes(cfg: &mut ServiceConfig) {
    super::registration::routes(cfg);
    me::routes(cfg);
    patients::routes(cfg);
    duplicates::routes(cfg);
    consents::routes(cfg);
    access::routes(cfg);
    invitations::routes(cfg);
    access_log::routes(cfg);
}
