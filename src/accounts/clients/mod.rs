//! Machine clients: programs that get in with OAuth 2.0 client credentials (RFC 6749, 4.4). Each has a service account, a row of `users`
//! that is no person. Owns the tables `clients`, `client_secrets` and `client_assertions`.
//!
//! A client may call an operation if its role may, and if the operation's scope ([`crate::scopes`]) is granted to it and is in its token.

pub mod assertion;
pub mod authentication;
pub mod discovery;
pub mod keys;
pub mod managing;
pub mod model;
pub mod secrets;
pub mod store;
pub mod token;
pub mod token_request;

use crate::http::Endpoints;

/// Registers the endpoints.
pub fn routes(endpoints: &mut Endpoints) {
    endpoints
        .service(token::create_access_token)
        .service(discovery::get_authorization_server)
        .service(managing::create_client)
        .service(managing::list_clients)
        .service(managing::get_client)
        .service(managing::update_client)
        .service(managing::delete_client)
        .service(secrets::create_client_secret)
        .service(secrets::delete_client_secret);
}
