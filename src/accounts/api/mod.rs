//! The endpoints.

mod devices;
mod me;
mod passwords;
mod second_factor;
mod sessions;
mod users;

pub use users::UserDto;

use crate::http::Endpoints;

/// The endpoints of this department.
pub fn routes(endpoints: &mut Endpoints) {
    sessions::routes(endpoints);
    devices::routes(endpoints);
    second_factor::routes(endpoints);
    me::routes(endpoints);
    passwords::routes(endpoints);
    users::routes(endpoints);
}
