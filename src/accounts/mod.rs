//! Accounts: users, passwords, second factors, sessions, single-use links, invitations of staff. Owns the tables `users`,
//! `new_accounts`, `clients`, `client_secrets`, `client_assertions`, `sessions`, `refresh_tokens`, `second_factors`, `recovery_codes`, `one_time_tokens`, `address_requests` and `sign_in_failures`.
//!
//! An attempt to authenticate takes its locks in one order: the counters of failed passwords, the user, the counter of failed codes.

pub mod address_requests;
pub mod admin;
pub mod authenticate;
pub mod caller;
pub mod changes_per_hour;
pub mod changing_email;
pub mod clients;
pub mod closing;
pub mod device;
pub mod linked_visit;
pub mod model;
pub mod new_accounts;
pub mod notices;
pub mod one_time;
pub mod origin;
pub mod passwords;
pub mod purge;
pub mod requested_links;
pub mod second_factor;
pub mod sessions;
pub mod store;
pub mod throttle;
pub mod tokens;
pub mod typed_code;
pub mod typed_link;
mod uniform_delay;
pub mod users;
pub mod verification;

use secrecy::ExposeSecret;

pub use self::uniform_delay::uniform_delay;
use crate::env::Env;
use crate::http::Endpoints;

/// Hashes passwords, and signs and reads access tokens.
pub struct Keys {
    /// Checks and hashes passwords.
    pub passwords: passwords::hashing::Passwords,
    /// Signs and reads access tokens.
    pub tokens: tokens::TokenRing,
}

impl Keys {
    /// Reads the secrets from the settings.
    ///
    /// # Errors
    /// A text for the operator.
    pub fn new(env: &Env) -> Result<Self, String> {
        Ok(Self {
            passwords: passwords::hashing::Passwords::new(env)?,
            tokens: tokens::TokenRing::parse(env.config.jwt_secret.expose_secret())?,
        })
    }
}

/// Registers the endpoints.
pub fn routes(endpoints: &mut Endpoints) {
    sessions::routes(endpoints);
    second_factor::routes(endpoints);
    passwords::routes(endpoints);
    clients::routes(endpoints);
    endpoints
        .service(changing_email::change_email)
        .service(requested_links::resend_verification)
        .service(requested_links::request_password_reset)
        .service(users::create_user)
        .service(users::list_users)
        .service(users::get_user)
        .service(users::update_user);
}
