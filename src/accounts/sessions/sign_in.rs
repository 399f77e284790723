//! Signing in.

use actix_web::{HttpResponse, post, web};
use serde::Deserialize;
use utoipa::ToSchema;

use super::session::{self, OpenSession};
use super::session_tokens::SessionTokens;
use crate::accounts::authenticate::{self, Credentials, SignIn};
use crate::accounts::device::Generation;
use crate::accounts::model::{EmailAddress, User};
use crate::accounts::origin::Origin;
use crate::accounts::passwords::hashing::{self, Caller};
use crate::accounts::{Keys, device, second_factor, store};
use crate::actor::Role;
use crate::context::{Anonymous, Context, Tx};
use crate::env::Env;
use crate::error::{Check, FieldCode, Result};
use crate::http::Body;
use crate::http::limits::SignInQuota;
use crate::http::problem::Rejected;
use crate::ids::UserId;

/// The credentials of an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "patient@demo.legwork.example", "password": "restful-nights-demo"}))]
pub struct NewSession {
    /// The account's address. Upper and lower case are the same.
    #[schema(max_length = 254)]
    email: String,
    /// The password.
    #[schema(max_length = 128)]
    password: String,
    /// Six digits of the authenticator app, or a recovery code. Required if the account has a second factor.
    #[schema(max_length = 64)]
    totp_code: Option<String>,
    /// The last `device_token` for this account on this device, if there is one. A change of the account's password, second factor or address
    /// ends it. Any other value is ignored.
    #[schema(max_length = 128)]
    device_token: Option<String>,
}

/// The greatest length of a device token.
const MAX_DEVICE_TOKEN: usize = 128;

/// Opens a session of a client.
///
/// # Errors
/// Those of [`authenticate::by_email`].
pub async fn sign_in(
    context: &Context<Anonymous>,
    keys: &Keys,
    origin: Origin,
    new: NewSession,
) -> Result<SessionTokens> {
    let (user, session, device_token) = authenticated(context, keys, origin, new, session::open).await?;
    SessionTokens::new(&context.env, keys, &user, session, device_token)
}

/// A session that a browser holds by a cookie.
pub struct PageSession {
    /// The token for the cookie.
    pub token: String,
    /// The token for the device's own cookie. None while the session still has to set up a second factor.
    pub device_token: Option<String>,
    pub role: Role,
}

/// Opens a session of a browser that uses the pages. Its secret is new, whatever the browser had before.
///
/// # Errors
/// Those of [`authenticate::by_email`].
pub async fn sign_in_on_page(
    context: &Context<Anonymous>,
    keys: &Keys,
    origin: Origin,
    new: NewSession,
) -> Result<PageSession> {
    let (user, session, device_token) = authenticated(context, keys, origin, new, session::open_by_cookie).await?;
    Ok(PageSession { token: session.secret, device_token, role: user.role })
}

/// Opens a session in the transaction that uses up the second factor.
type Open = fn(&mut Tx<Anonymous>, UserId, &Origin) -> Result<OpenSession>;

/// Authenticates, and opens a session with `open`. Returns the account, the session and the next token of the device.
async fn authenticated(
    context: &Context<Anonymous>,
    keys: &Keys,
    origin: Origin,
    new: NewSession,
    open: Open,
) -> Result<(User, OpenSession, Option<String>)> {
    let NewSession { email, password, totp_code, device_token } = new;
    let mut check = Check::new();
    let fits = device_token.as_ref().is_none_or(|token| token.len() <= MAX_DEVICE_TOKEN);
    check.require(fits, "/device_token", FieldCode::TooLong, format!("must be at most {MAX_DEVICE_TOKEN} characters"));
    check.done()?;
    // A text that is no address is counted and answered like an address without an account.
    let email_key = EmailAddress::parse(&email).map_or_else(|_| email.to_lowercase(), |email| email.key());
    let credentials = Credentials { password: password.clone(), code: totp_code };
    let sign_in = SignIn { email_key, credentials, origin: origin.clone(), device_token: device_token.clone() };
    let (user, session) = authenticate::by_email(context, keys, sign_in, move |tx, user| {
        let session = open(tx, user.id, &origin)?;
        tx.audit.note_actor(user.id, Some(user.role));
        tx.audit.note_object(session.id.0);
        Ok((user.clone(), session))
    })
    .await?;
    strengthen_hash(context, keys, &user, &password).await?;
    // A session that must set up a second factor was opened with the password alone.
    let is_complete = !second_factor::is_due(&context.env.config.settings, user.role, user.second_factor_at);
    let device_token = is_complete.then(|| device::renew(&context.env, &user, device_token.as_deref()));
    Ok((user, session, device_token))
}

/// Replaces a hash that is weaker than today's. Only at sign-in the server knows the password.
async fn strengthen_hash(context: &Context<Anonymous>, keys: &Keys, user: &User, password: &str) -> Result<()> {
    let required = &context.env.password_params;
    let Some(old) = user.password_hash.clone().filter(|hash| hashing::is_weak(hash, required)) else { return Ok(()) };
    let (id, caller) = (user.id, Caller::Account { id: user.id, lane: &[] });
    let new = keys.passwords.hash_of(caller, password).await?;
    context.env.db.write(move |conn| store::rehash(conn, id, &old, &new)).await
}

/// Counts a sign-in against the quota of the device, or of the caller's address.
///
/// # Errors
/// If the quota is exceeded.
pub fn count(env: &Env, quota: &SignInQuota, device_token: Option<&str>) -> Result<(), Rejected> {
    let known = device_token.and_then(|token| device::generation_of(env, token));
    quota.count(known.map(|Generation { user, number }| (user, number)))
}

/// Sign in
///
/// An address that is not verified yet fails exactly like a wrong password, so that the response does not show who has an account. If the
/// account has a second factor, the right password without a code fails with `totp_required`. Then send both.
///
/// Failed attempts slow down further ones from the same address. While an account is under attack, the first attempt from a new address
/// fails with 429 and a wait of some seconds; the next one is then checked. Send `device_token` so that requests and failures of others do
/// not slow the device down: the known devices of an account have a rate limit of their own, apart from the one of their address.
#[utoipa::path(
    tag = "sessions",
    operation_id = "create_session",
    request_body = NewSession,
    responses(
        (status = 201, description = "Signed in", body = SessionTokens),
        (status = 401, description = "`invalid_credentials`: the address or the password is wrong, or the address is not verified yet. \
            `totp_required`: the password is right, and `totp_code` is missing. `totp_invalid`: the code is wrong, too old or was used already"),
        (status = 429, description = "`too_many_attempts`: too many attempts failed. Retry after the number of seconds in `Retry-After`"),
    ),
)]
#[post("/v1/sessions")]
pub(super) async fn create_session(
    context: Context<Anonymous>,
    keys: web::Data<Keys>,
    origin: Origin,
    quota: SignInQuota,
    body: Body<NewSession>,
) -> actix_web::Result<HttpResponse> {
    count(&context.env, &quota, body.device_token.as_deref())?;
    let tokens = sign_in(&context, &keys, origin, body.value).await?;
    Ok(HttpResponse::Created().json(tokens))
}
