//! Passwords: which ones are accepted, hashing them without blocking the service, and setting a new one.

pub mod changing;
pub mod hashing;
mod queue;
pub mod resetting;

use crate::http::Endpoints;

/// Registers the endpoints.
pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints.service(changing::change_password).service(resetting::confirm_password_reset);
}
