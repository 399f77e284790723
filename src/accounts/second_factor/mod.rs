//! The second factor: an authenticator app beside the password. It is on if `users.second_factor_at` is set. The secret of the codes
//! is sealed in a table of its own.
//!
//! If the clinic requires it of staff (`REQUIRE_TOTP`), the sessions of a member of staff without one can only set it up: see
//! [`is_due`]. Every request checks this, so a change of the setting and an administrator's reset take effect at once. Setting it up
//! ends all other sessions, because they were opened with the password alone.

pub mod codes;
pub mod enrolment;
pub mod recovery_codes;
pub mod switching_off;
pub mod totp;

use crate::actor::Role;
use crate::clock::Timestamp;
use crate::config::{RequireTotp, Settings};
use crate::http::Endpoints;

/// Registers the endpoints.
pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints
        .service(enrolment::get_second_factor)
        .service(enrolment::begin_second_factor)
        .service(enrolment::confirm_second_factor)
        .service(recovery_codes::renew_recovery_codes)
        .service(switching_off::disable_second_factor)
        .service(switching_off::delete_user_second_factor);
}

/// Whether an account must set up a second factor before it may do anything else.
pub fn is_due(settings: &Settings, role: Role, second_factor_at: Option<Timestamp>) -> bool {
    settings.require_totp == RequireTotp::Staff && role.is_staff() && second_factor_at.is_none()
}
