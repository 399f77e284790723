//! The metadata of the authorization server (RFC 8414).

use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::keys::KeyAlgorithm;
use crate::env::Env;
use crate::http::fallback::TOKEN_PATH;
use crate::http::response;
use crate::scopes::Scope;

/// The issuer: `PUBLIC_URL` without a slash at its end.
fn issuer(env: &Env) -> String {
    env.config.settings.public_url.as_str().trim_end_matches('/').to_owned()
}

fn token_endpoint(env: &Env) -> String {
    format!("{}{TOKEN_PATH}", issuer(env))
}

/// Returns the names of this service, of which an assertion must have one as its `aud`.
pub fn audiences(env: &Env) -> [String; 2] {
    [token_endpoint(env), issuer(env)]
}

/// What a client needs to know to get access tokens (RFC 8414).
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "issuer": "https://clinic.example", "token_endpoint": "https://clinic.example/oauth2/token",
    "grant_types_supported": ["client_credentials"], "response_types_supported": [],
    "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt"],
    "token_endpoint_auth_signing_alg_values_supported": ["ES256", "ES384", "RS256", "RS384"],
    "scopes_supported": ["appointments:read"], "service_documentation": "https://clinic.example/docs"
}))]
pub struct AuthorizationServer {
    /// The issuer.
    issuer: String,
    /// The address of `POST /oauth2/token`.
    token_endpoint: String,
    /// `client_credentials`.
    grant_types_supported: Vec<&'static str>,
    /// Empty: there is no authorization endpoint.
    response_types_supported: Vec<&'static str>,
    /// How clients authenticate.
    token_endpoint_auth_methods_supported: Vec<&'static str>,
    /// The algorithms of assertions.
    token_endpoint_auth_signing_alg_values_supported: Vec<KeyAlgorithm>,
    /// All scopes.
    scopes_supported: Vec<Scope>,
    /// The documentation of the API.
    service_documentation: String,
}

/// Read how clients get access tokens
///
/// The metadata of OAuth 2.0 (RFC 8414).
#[utoipa::path(
    tag = "clients",
    operation_id = "get_authorization_server",
    responses((status = 200, description = "The metadata", body = AuthorizationServer)),
)]
#[get("/.well-known/oauth-authorization-server")]
pub(super) async fn get_authorization_server(env: web::Data<Env>) -> HttpResponse {
    response::ok(&AuthorizationServer {
        issuer: issuer(&env),
        token_endpoint: token_endpoint(&env),
        grant_types_supported: vec!["client_credentials"],
        response_types_supported: vec![],
        token_endpoint_auth_methods_supported: vec!["client_secret_basic", "client_secret_post", "private_key_jwt"],
        token_endpoint_auth_signing_alg_values_supported: KeyAlgorithm::ALL.to_vec(),
        scopes_supported: Scope::ALL.to_vec(),
        service_documentation: format!("{}/docs", issuer(&env)),
    })
}
