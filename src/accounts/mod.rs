//! Who has an account: users, passwords, second factors, sessions, tokens that travel in mails, staff invitations.

pub mod admin;
pub mod api;
pub mod authentication;
pub mod closing;
pub mod device;
mod evenly;
pub mod model;
pub mod notices;
pub mod one_time;
pub mod origin;
pub mod passwords;
pub mod proof;
pub mod purge;
pub mod second_factor;
pub mod sessions;
pub mod store;
pub mod throttle;
pub mod tokens;
pub mod totp;

pub use evenly::evenly;

use secrecy::ExposeSecret;

use crate::env::Env;

/// What signs people in: the password hash and the ring of token secrets.
pub struct Keys {
    /// Checks and hashes passwords.
    pub passwords: passwords::Passwords,
    /// Signs and reads access tokens.
    pub tokens: tokens::TokenRing,
}

impl Keys {
    /// Reads the secrets from the settings.
    ///
    /// # Errors
    /// In words for the operator.
    pub fn new(env: &Env) -> Result<Self, String> {
        Ok(Self {
            passwords: passwords::Passwords::new(env)?,
            tokens: tokens::TokenRing::parse(env.config.jwt_secret.expose_secret())?,
        })
    }
}
