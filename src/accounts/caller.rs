//! The caller of a request: reads the access token once, before the handler runs.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError, web};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use diesel::prelude::*;

use super::sessions::cookie;
use super::sessions::session::idle_limit;
use super::tokens::{Claims, CookieToken, Grant};
use super::{Keys, second_factor};
use crate::actor::{self, Actor, Role};
use crate::audit_context::AuditContext;
use crate::clock::Timestamp;
use crate::context::{Principal, standing};
use crate::db::schema::{sessions, users};
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::{Check, Error, FieldCode, ProblemCode, Result};
use crate::http::fallback::{Operation, is_of_member};
use crate::http::limits::{Limiter, SignInQuota};
use crate::http::problem::Rejected;
use crate::ids::{PractitionerId, SessionId, UserId};
use crate::permissions;
use crate::scopes::{Scope, Scopes};

/// A caller with an active session.
#[derive(Debug, Clone)]
struct Caller {
    actor: Actor,
    /// Whether the caller must set up a second factor before doing anything else.
    must_enrol: bool,
    /// When the access token expires, in seconds since 1970.
    token_expires_at: i64,
    /// Set for a caller with a cookie.
    page: Option<PageCaller>,
}

/// The result of reading a request's access token. None if the token does not work.
#[derive(Clone)]
struct Identity(Option<Caller>);

/// Middleware that reads the `Authorization` header, or the cookie of a page, if there is one, and stores the caller. A handler that needs a caller takes an
/// [`Actor`] or [`SignedIn`].
///
/// It also counts the request per account or address, after it has checked the token's signature, which is cheap, and before it
/// queries the database. A sign-in is counted by its handler ([`SignInQuota`]), which knows the device. If its body is rejected, it is
/// counted here. Its access token, if any, is ignored.
pub async fn identify<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let (Some(env), Some(keys), Some(limiter)) = (
        request.app_data::<web::Data<Env>>().cloned(),
        request.app_data::<web::Data<Keys>>(),
        request.app_data::<web::Data<Limiter>>(),
    ) else {
        return Err(Error::fault("the application has no environment").into());
    };
    // Only operations of the API have callers. For probes, metrics and pages no token is read and no session queried.
    let audit = request.extensions().get::<AuditContext>().cloned();
    if SignInQuota::applies_to(&request) {
        return Ok(SignInQuota::conclude(next.call(request).await?));
    }
    let credential = audit.as_ref().map_or(Credential::None, |_| credential(&request, &env));
    let claims = claims(&request, credential, &env, keys);
    let standing = match limiter.admit(&request, claims.as_ref().map(|claims| claims.sub)) {
        Ok(standing) => standing,
        Err(refused) => {
            if let (Some(claims), Some(audit)) = (&claims, &audit) {
                audit.note_actor(claims.sub, None);
            }
            let mut response = request.error_response(Rejected(refused.problem()));
            refused.standing.show(response.headers_mut());
            return Ok(response.map_into_right_body());
        }
    };
    let mut response = if let Some(audit) = audit.filter(|_| credential != Credential::None) {
        let reason = if credential == Credential::Token { access_reason(&request) } else { Ok(None) };
        let caller = match (find(&env, claims, &audit).await, reason) {
            (Ok(Some(mut caller)), Ok(reason)) => {
                caller.actor.access_reason = reason;
                Ok(Some(caller))
            }
            // A caller without a session gets 401 first.
            (Ok(Some(_)), Err(error)) => Err(error),
            (other, _) => other,
        };
        match caller {
            Ok(caller) => match entry(&request, caller.as_ref()) {
                Entry::Known => {
                    request.extensions_mut().insert(Identity(caller));
                    next.call(request).await?.map_into_left_body()
                }
                Entry::Stranger => {
                    request.extensions_mut().insert(Stranger);
                    next.call(request).await?.map_into_left_body()
                }
                Entry::Closed(scope) => request.into_response(insufficient_scope(scope)).map_into_right_body(),
            },
            Err(error) => request.error_response(error).map_into_right_body(),
        }
    } else {
        next.call(request).await?.map_into_left_body()
    };
    if let Some(standing) = standing {
        standing.show(response.headers_mut());
    }
    Ok(response)
}

/// How a request enters its operation.
enum Entry {
    /// With its caller.
    Known,
    /// Like one without a token: everybody may read this, and the token of the machine client lacks the scope for more.
    Stranger,
    /// Not at all. The operation has this scope, or is closed to machine clients.
    Closed(Option<Scope>),
}

/// Marks a request whose token is ignored.
struct Stranger;

/// Decides whether a machine client may call the operation of the request. Its role decides later, like that of a person.
fn entry(request: &ServiceRequest, caller: Option<&Caller>) -> Entry {
    let Some(scopes) = caller.and_then(|caller| caller.actor.client_scopes.as_ref()) else { return Entry::Known };
    let operation = request.extensions().get::<Arc<Operation>>().cloned();
    let scope = operation.as_ref().and_then(|operation| operation.scope);
    let reads = *request.method() == Method::GET;
    match scope {
        Some(scope) if scopes.contains(scope) => Entry::Known,
        _ if operation.is_some_and(|operation| operation.is_public || (reads && operation.is_session_optional)) => {
            Entry::Stranger
        }
        scope => Entry::Closed(scope),
    }
}

/// 403 for a machine client (RFC 6750, 3.1).
fn insufficient_scope(scope: Option<Scope>) -> HttpResponse {
    let (detail, challenge) = match scope {
        Some(scope) => (
            format!(
                "Your access token lacks the scope {scope}. Ask for a token with it, or an administrator to grant it."
            ),
            format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\""),
        ),
        None => (
            "This operation is closed to machine clients.".to_owned(),
            "Bearer error=\"insufficient_scope\"".to_owned(),
        ),
    };
    let mut response = Error::forbidden(ProblemCode::InsufficientScope, detail).error_response();
    if let Ok(challenge) = HeaderValue::from_str(&challenge) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

/// What a request presents. The API reads access tokens and no cookies; pages read cookies and no access tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Credential {
    Token,
    Cookie,
    None,
}

fn credential(request: &ServiceRequest, env: &Env) -> Credential {
    if is_of_member(request.path()) {
        return cookie::session(env, request.headers()).map_or(Credential::None, |_| Credential::Cookie);
    }
    let is_api = request.path().starts_with("/v1/") && request.headers().contains_key(AUTHORIZATION);
    if is_api { Credential::Token } else { Credential::None }
}

/// The claims of the request's token or cookie; none if there is none or it is not valid.
fn claims(request: &ServiceRequest, credential: Credential, env: &Env, keys: &Keys) -> Option<Claims> {
    match credential {
        Credential::None => None,
        Credential::Cookie => {
            let token = cookie::session(env, request.headers())?;
            let (account, token) = cookie::read(env, token)?;
            Some(Claims::of_cookie(account, token, env.now()))
        }
        Credential::Token => {
            let mut headers = request.headers().get_all(AUTHORIZATION);
            let (Some(header), None) = (headers.next(), headers.next()) else { return None };
            let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| keys.tokens.read(token.trim(), env.now()))?
        }
    }
}

/// The header with a practitioner's reason for break-glass access to a record.
const ACCESS_REASON: &str = "access-reason";
/// The most characters of the reason.
pub const MAX_REASON: usize = 200;

fn access_reason(request: &ServiceRequest) -> Result<Option<String>> {
    let mut values = request.headers().get_all(ACCESS_REASON);
    let (Some(value), other) = (values.next(), values.next()) else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes()).ok().filter(|_| other.is_none());
    let wrong = || Error::invalid("Access-Reason:", FieldCode::WrongValue, "must be one line of text in UTF-8");
    checked_reason(text.ok_or_else(wrong)?, "Access-Reason:").map(Some)
}

/// Checks a practitioner's reason for break-glass access. `place` says where it stands.
///
/// # Errors
/// Every broken rule.
pub fn checked_reason(text: &str, place: &str) -> Result<String> {
    let mut check = Check::new();
    let reason = check.field(place, text::one_line(text, MAX_REASON));
    if let Some(reason) = &reason {
        check.require(reason.chars().count() >= 5, place, FieldCode::TooShort, "must be at least 5 characters");
        let letters = reason.chars().filter(|character| character.is_alphabetic()).count();
        check.require(letters >= 3, place, FieldCode::WrongValue, "must say in words why you need the record");
    }
    check.done()?;
    reason.ok_or_else(|| Error::fault("a reason that kept the rules is missing"))
}

/// The caller whom the claims name, if the session or the machine client is active.
async fn find(env: &Env, claims: Option<Claims>, audit: &AuditContext) -> Result<Option<Caller>> {
    let Some(claims) = claims else { return Ok(None) };
    let (shared, audit) = (env.clone(), audit.clone());
    let found = env.db.read(move |conn| find_by_claims(conn, &shared, &claims, &audit)).await?;
    if let Some(Caller { actor, page: Some(page), .. }) = &found
        && let Err(error) = cookie::mark_used(env, actor.session_id, page.last_used_at).await
    {
        // The page is shown all the same. The next one tries again.
        tracing::warn!(%error, "a session could not be marked as used");
    }
    Ok(found)
}

/// The account of an active grant.
struct Found {
    role: Role,
    practitioner_id: Option<PractitionerId>,
    second_factor_at: Option<Timestamp>,
    /// Nil for a machine client.
    session_id: SessionId,
    page: Option<PageCaller>,
}

/// What pages need to know of a caller with a cookie.
#[derive(Debug, Clone)]
pub struct PageCaller {
    /// The owner's name, or the address of a patient's account.
    pub name: String,
    pub email: String,
    pub role: Role,
    /// The token that each form of this session carries.
    pub form_token: String,
    last_used_at: Timestamp,
}

/// Narrows a query of sessions to the active ones of an account.
macro_rules! active_of {
    ($env:expr, $now:expr, $user:expr) => {
        sessions::table
            .inner_join(users::table)
            .filter(sessions::user_id.eq($user))
            .filter(sessions::revoked_at.is_null())
            .filter(sessions::expires_at.gt($now))
            .filter(sessions::last_used_at.gt(idle_limit($env, $now)))
            .filter(users::disabled_at.is_null())
    };
}

fn active_session(conn: &mut Conn, env: &Env, user: UserId, session_id: SessionId) -> Result<Option<Found>> {
    type Row = (Role, Option<PractitionerId>, Option<Timestamp>);
    let active = active_of!(env, env.now(), user).filter(sessions::id.eq(session_id)).select((
        users::role,
        users::practitioner_id,
        users::second_factor_at,
    ));
    let row: Option<Row> = per_backend!(conn, conn => active.first(conn)).optional()?;
    Ok(row.map(|(role, practitioner_id, second_factor_at)| Found {
        role,
        practitioner_id,
        second_factor_at,
        session_id,
        page: None,
    }))
}

fn active_by_cookie(conn: &mut Conn, env: &Env, user: UserId, token: &CookieToken) -> Result<Option<Found>> {
    type Row = (Role, Option<PractitionerId>, Option<Timestamp>, SessionId, Option<String>, String, Timestamp);
    let active = active_of!(env, env.now(), user).filter(sessions::cookie_hash.eq(token.digest())).select((
        users::role,
        users::practitioner_id,
        users::second_factor_at,
        sessions::id,
        users::name,
        users::email,
        sessions::last_used_at,
    ));
    let row: Option<Row> = per_backend!(conn, conn => active.first(conn)).optional()?;
    Ok(row.map(|(role, practitioner_id, second_factor_at, session_id, name, email, last_used_at)| {
        let page = PageCaller {
            name: name.unwrap_or_else(|| email.clone()),
            email,
            role,
            form_token: token.form_token(),
            last_used_at,
        };
        Found { role, practitioner_id, second_factor_at, session_id, page: Some(page) }
    }))
}

/// The active account of a grant. A machine client must still have the scopes of its token.
fn active(conn: &mut Conn, env: &Env, user: UserId, grant: &Grant) -> Result<Option<Found>> {
    match grant {
        Grant::Session(session) => active_session(conn, env, user, *session),
        Grant::Cookie(token) => active_by_cookie(conn, env, user, token),
        Grant::Client(scopes) => Ok(standing::role_of_client(conn, user, scopes)?.map(|role| Found {
            role,
            practitioner_id: None,
            second_factor_at: None,
            session_id: SessionId(uuid::Uuid::nil()),
            page: None,
        })),
    }
}

/// Returns whether the session or the machine client of a caller is still active, with the same role. For responses that last.
pub async fn is_still_active(env: &Env, actor: &Actor) -> Result<bool> {
    let (shared, user, role) = (env.clone(), actor.user_id, actor.role);
    let grant = actor.client_scopes.clone().map_or(Grant::Session(actor.session_id), Grant::Client);
    let is_client = actor.client_scopes.is_some();
    let found = env.db.read(move |conn| active(conn, &shared, user, &grant)).await?;
    let settings = &env.config.settings;
    Ok(found.is_some_and(|found| {
        found.role == role && (is_client || !second_factor::is_due(settings, found.role, found.second_factor_at))
    }))
}

/// The caller whom the claims name, if active. Every request runs one indexed query, so that signing out, disabling an account, and
/// revoking or narrowing a machine client take effect at once on every instance.
fn find_by_claims(conn: &mut Conn, env: &Env, claims: &Claims, audit: &AuditContext) -> Result<Option<Caller>> {
    let user_id = claims.sub;
    let found = active(conn, env, user_id, &claims.grant)?;
    let client_scopes: Option<Scopes> = match &claims.grant {
        Grant::Client(scopes) => Some(scopes.clone()),
        Grant::Session(_) | Grant::Cookie(_) => None,
    };
    audit.note_actor(user_id, found.as_ref().map(|found| found.role));
    let audit = audit.clone();
    Ok(found.map(|found| {
        let Found { role, practitioner_id, second_factor_at, session_id, page } = found;
        Caller {
            // A machine client has no second factor.
            must_enrol: client_scopes.is_none() && second_factor::is_due(&env.config.settings, role, second_factor_at),
            actor: Actor { user_id, session_id, client_scopes, role, practitioner_id, access_reason: None, audit },
            token_expires_at: claims.expires_at(),
            page,
        }
    }))
}

/// The caller of an operation that works with and without a session. A token that does not work is rejected: otherwise a caller whose
/// session has ended would get the response for strangers without noticing.
#[derive(Debug, Clone)]
pub struct MaybeSignedIn(pub Option<Actor>);

/// A signed-in caller who may still have to set up a second factor. Operations that are not open to such a session take an [`Actor`].
#[derive(Debug, Clone)]
pub struct SignedIn(pub Actor);

impl Principal for SignedIn {
    fn actor(&self) -> Option<&Actor> {
        Some(&self.0)
    }
}

fn of_request(request: &HttpRequest) -> Result<Caller> {
    if !request.extensions().contains::<AuditContext>() {
        // A request whose audit event cannot be stored is rejected.
        return Err(Error::fault("an operation without an audit context"));
    }
    match request.extensions().get::<Identity>() {
        Some(Identity(Some(caller))) => Ok(caller.clone()),
        Some(Identity(None)) => Err(Error::unauthenticated(
            ProblemCode::Unauthenticated,
            "The access token is expired, revoked or not valid. Refresh it or sign in again.",
        )),
        None => Err(actor::no_session()),
    }
}

/// When the caller's access token expires, in seconds since 1970. For responses that last.
#[derive(Debug, Clone, Copy)]
pub struct TokenExpiry(pub i64);

impl FromRequest for TokenExpiry {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(of_request(request).map(|caller| Self(caller.token_expires_at)))
    }
}

impl PageCaller {
    /// Returns whether a form carries the token of this session.
    pub fn sent(&self, form_token: &str) -> bool {
        verify_slices_are_equal(form_token.as_bytes(), self.form_token.as_bytes()).is_ok()
    }
}

impl FromRequest for PageCaller {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let page = of_request(request).map(|caller| caller.page);
        ready(page.and_then(|page| page.ok_or_else(|| Error::fault("a page without a cookie"))))
    }
}

impl FromRequest for SignedIn {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(of_request(request).map(|caller| Self(caller.actor)))
    }
}

impl FromRequest for MaybeSignedIn {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        if !request.headers().contains_key(AUTHORIZATION) || request.extensions().contains::<Stranger>() {
            return ready(Ok(Self(None)));
        }
        ready(Actor::from_request(request, payload).into_inner().map(|actor| Self(Some(actor))))
    }
}

impl FromRequest for Actor {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(of_request(request).and_then(|caller| {
            if caller.must_enrol {
                return Err(Error::forbidden(
                    ProblemCode::SecondFactorRequired,
                    "The clinic requires a second factor of staff. Set it up first: POST /v1/me/second-factor.",
                ));
            }
            // A page names one of the operations that it runs, and responds to a refusal itself.
            if caller.page.is_none()
                && let Some(operation) = request.extensions().get::<Arc<Operation>>()
            {
                permissions::check(&caller.actor, &operation.id)?;
            }
            Ok(caller.actor)
        }))
    }
}
