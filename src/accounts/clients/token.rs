//! The token endpoint (RFC 6749, 3.2). Its errors are those of the standard, not problem documents.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, ResponseError, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::authentication::{Authenticated, Denied, authenticate};
use super::token_request::{Malformed, TokenRequest};
use crate::accounts::Keys;
use crate::accounts::origin::Origin;
use crate::accounts::tokens::ACCESS_SECONDS;
use crate::context::{Anonymous, Context};
use crate::error::Result;

/// The form of a token request. Authenticate in one way: the client's id and secret in the `Authorization` header, both in the form, or an
/// assertion. Unknown parameters are ignored.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "only for the document: the handler reads the form by the rules of OAuth")]
#[schema(example = json!({
    "grant_type": "client_credentials", "client_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55",
    "client_secret": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE", "scope": "slots:read"
}))]
pub struct NewAccessToken {
    /// `client_credentials`.
    #[schema(max_length = 64)]
    grant_type: String,
    /// The scopes that the token should have, separated by spaces. Default: all that the client was granted.
    #[schema(nullable = false, max_length = 1024)]
    scope: Option<String>,
    /// The client's id, if it is not in the `Authorization` header.
    #[schema(nullable = false, max_length = 64)]
    client_id: Option<String>,
    /// The client's secret, if it is not in the `Authorization` header.
    #[schema(nullable = false, max_length = 128)]
    client_secret: Option<String>,
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`, with `client_assertion`.
    #[schema(nullable = false, max_length = 64)]
    client_assertion_type: Option<String>,
    /// A JWT that the client signed with a registered key (RFC 7523): `iss` and `sub` are the client's id, `aud` is the address of this
    /// operation or the issuer, `exp` is at most five minutes ahead, and each `jti` works once. The header has `alg` and `kid`.
    #[schema(nullable = false, max_length = 4096)]
    client_assertion: Option<String>,
}

/// An access token.
#[derive(Serialize, ToSchema)]
#[allow(clippy::struct_field_names, reason = "the name is that of RFC 6749")]
#[schema(example = json!({"access_token": "eyJ…", "token_type": "Bearer", "expires_in": 600, "scope": "slots:read"}))]
pub struct AccessToken {
    /// The token, for `Authorization: Bearer …`.
    access_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// After how many seconds it expires. There is no refresh token: ask for another access token.
    expires_in: i64,
    /// Its scopes, separated by spaces.
    scope: String,
}

/// An error of a token request (RFC 6749, 5.2).
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"error": "invalid_client", "error_description": "The client is unknown or revoked, or its credential is wrong."}))]
pub struct AccessTokenError {
    /// `invalid_request`, `invalid_client`, `invalid_scope`, `unsupported_grant_type` or `temporarily_unavailable`.
    error: &'static str,
    /// What is wrong, and what to do.
    error_description: &'static str,
}

impl AccessTokenError {
    fn response(status: StatusCode, error: &'static str, error_description: &'static str) -> HttpResponse {
        let mut response = HttpResponse::build(status);
        response.insert_header((CACHE_CONTROL, "no-store")).insert_header((PRAGMA, "no-cache"));
        if status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Basic realm=\"legwork\", charset=\"UTF-8\""));
        }
        response.json(Self { error, error_description })
    }

    /// `broken_rule` is what is wrong with an assertion by itself.
    fn invalid_client(broken_rule: Option<&'static str>) -> HttpResponse {
        let detail = "The client is unknown or revoked, or its credential is missing or wrong.";
        Self::response(StatusCode::UNAUTHORIZED, "invalid_client", broken_rule.unwrap_or(detail))
    }
}

impl From<Malformed> for HttpResponse {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::InvalidRequest(detail) => {
                AccessTokenError::response(StatusCode::BAD_REQUEST, "invalid_request", detail)
            }
            Malformed::UnsupportedGrantType => AccessTokenError::response(
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                "The only grant_type is client_credentials.",
            ),
            Malformed::InvalidClient => AccessTokenError::invalid_client(None),
        }
    }
}

impl From<Denied> for HttpResponse {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::InvalidClient(broken_rule) => AccessTokenError::invalid_client(broken_rule),
            Denied::InvalidScope => AccessTokenError::response(
                StatusCode::BAD_REQUEST,
                "invalid_scope",
                "The client was not granted all of these scopes.",
            ),
            Denied::Wait(seconds) => {
                let detail = "Too many attempts from your network failed. Retry after the seconds in Retry-After.";
                let status = StatusCode::TOO_MANY_REQUESTS;
                let mut response = AccessTokenError::response(status, "temporarily_unavailable", detail);
                response.headers_mut().insert(RETRY_AFTER, seconds.into());
                response
            }
            Denied::Failed(error) => error.error_response(),
        }
    }
}

/// Get an access token
///
/// For machine clients: OAuth 2.0 client credentials (RFC 6749, 4.4). An administrator creates the client: `POST /v1/clients`. The client
/// authenticates with its secret (`client_secret_basic`, `client_secret_post`) or with an assertion (`private_key_jwt`). Errors are those
/// of OAuth, not problem documents. Failed attempts slow down further ones that fail from the same address, and never one that is right.
#[utoipa::path(
    tag = "clients",
    operation_id = "create_access_token",
    request_body(content = NewAccessToken, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The access token", body = AccessToken),
        (status = 400, description = "`invalid_request`, `unsupported_grant_type`, `invalid_scope`", body = AccessTokenError),
        (status = 401, description = "`invalid_client`: the client is unknown or revoked, or its credential is missing or wrong", body = AccessTokenError),
        (status = 429, description = "`temporarily_unavailable`: too many attempts from the address failed. Retry after the number of seconds in `Retry-After`", body = AccessTokenError),
    ),
)]
#[post("/oauth2/token")]
pub(super) async fn create_access_token(
    context: Context<Anonymous>,
    keys: web::Data<Keys>,
    origin: Origin,
    request: HttpRequest,
    body: web::Bytes,
) -> Result<HttpResponse> {
    let token_request = match TokenRequest::read(&request, &body) {
        Ok(token_request) => token_request,
        Err(malformed) => return Ok(malformed.into()),
    };
    match authenticate(&context, &origin, token_request).await {
        Ok(Authenticated { client, scopes }) => {
            let env = &context.env;
            let access_token = keys.tokens.sign_for_client(client, &scopes, &env.entropy, env.now())?;
            let scope = scopes.to_string();
            let token = AccessToken { access_token, token_type: "Bearer", expires_in: ACCESS_SECONDS, scope };
            let mut response = HttpResponse::Ok();
            Ok(response.insert_header((CACHE_CONTROL, "no-store")).insert_header((PRAGMA, "no-cache")).json(token))
        }
        Err(denied) => Ok(denied.into()),
    }
}
