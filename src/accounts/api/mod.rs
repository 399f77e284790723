//! The endpoints.

mod passwords;
mod sessions;
mod users;

use utoipa_actix_web::service_config::ServiceConfig;

pub use users::UserDto;

/// The endpoints of this department.
pub fn routes(cfg: &mut ServiceConfig) {
    sessions::routes(cfg);
    passwords::routes(cfg);
    users::routes(cfg);
}
