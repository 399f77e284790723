//! Who has an account: users, passwords, sessions, tokens.
pub mod admin;
pub mod api;
pub mod authentication;

use crate::env::Env;

/// x
pub struct Keys;
impl Keys {
    /// x
    pub fn new(_env: &Env) -> Result<Self, String> {
        Ok(Self)
    }
}
