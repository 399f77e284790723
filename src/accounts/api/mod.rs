//! The endpoints.

mod devices;
mod me;
mod passwords;
mod second_factor;
mod sessions;
mod users;

use utoipa_actix_web::service_config::ServiceConfig;

pub use users::UserDto;

/// The endpoints of this department.
pub fn routes(cfg: &mut ServiceConfig) {
    sessions::routes(cfg);
    devices::routes(cfg);
    second_factor::routes(cfg);
    me::routes(cfg);
    passwords::routes(cfg);
    users::routes(cfg);
}
