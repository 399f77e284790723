//! Who asks: reads the access token of a request, once, before its handler runs.

use std::future::{Ready, ready};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};

use super::Keys;
use super::sessions::{self, Caller};
use super::tokens::Claims;
use crate::actor::Actor;
use crate::env::Env;
use crate::error::{Check, Error, Result, Rule};
use crate::http::limits::Limiter;
use crate::http::problem::Rejected;
use crate::text;
use crate::trail::Trail;

/// What the token of this request proved.
#[derive(Clone)]
struct Identity(Option<Caller>);

/// Looks at the `Authorization` header, if there is one, and remembers whom it names. Whether anybody must be named is for
/// the handler to say: it asks for an [`Actor`] or does not.
///
/// On the way the request is counted, on the account or on the address: after the token's signature has been checked, which is
/// cheap, and before the database is asked.
pub async fn identify<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let (Some(env), Some(keys), Some(limiter)) = (
        request.app_data::<web::Data<Env>>().cloned(),
        request.app_data::<web::Data<Keys>>(),
        request.app_data::<web::Data<Limiter>>(),
    ) else {
        return Err(Error::fault("the application lacks its surroundings").into());
    };
    // Only operations of the API ask who calls. What else there is (probes, figures, pages) reads no token and never asks the
    // database for its session.
    let trail = request.extensions().get::<Trail>().cloned();
    let claims = trail.as_ref().and_then(|_| claims(&request, &env, keys));
    let standing = match limiter.admit(&request, claims.as_ref().map(|claims| claims.sub)) {
        Ok(standing) => standing,
        Err(refused) => {
            if let (Some(claims), Some(trail)) = (&claims, &trail) {
                trail.note_actor(claims.sub, None);
            }
            let mut response = request.error_response(Rejected(refused.problem()));
            refused.standing.show(response.headers_mut());
            return Ok(response.map_into_right_body());
        }
    };
    let mut answer = if let Some(trail) = trail.filter(|_| request.headers().contains_key(AUTHORIZATION)) {
        let caller = match (named(&env, claims, &trail).await, access_reason(&request)) {
            (Ok(Some(mut caller)), Ok(reason)) => {
                caller.actor.access_reason = reason;
                Ok(Some(caller))
            }
            // Who is nobody is told that first.
            (Ok(Some(_)), Err(error)) => Err(error),
            (other, _) => other,
        };
        match caller {
            Ok(caller) => {
                request.extensions_mut().insert(Identity(caller));
                next.call(request).await?.map_into_left_body()
            }
            Err(error) => request.error_response(error).map_into_right_body(),
        }
    } else {
        next.call(request).await?.map_into_left_body()
    };
    if let Some(standing) = standing {
        standing.show(answer.headers_mut());
    }
    Ok(answer)
}

/// What the request's token says; `None` where there is none or it is not good.
fn claims(request: &ServiceRequest, env: &Env, keys: &Keys) -> Option<Claims> {
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let (Some(header), None) = (headers.next(), headers.next()) else { return None };
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| keys.tokens.read(token.trim(), env.now()))?
}

/// The header in which a practitioner says why they need a record that is none of theirs.
const ACCESS_REASON: &str = "access-reason";

/// What that header says, if it is there.
fn access_reason(request: &ServiceRequest) -> Result<Option<String>> {
    let mut values = request.headers().get_all(ACCESS_REASON);
    let (Some(value), other) = (values.next(), values.next()) else { return Ok(None) };
    let mut check = Check::new();
    let text = std::str::from_utf8(value.as_bytes()).ok().filter(|_| other.is_none());
    let parsed = text.ok_or_else(|| Rule::new("wrong_value", "must be one line of text in UTF-8"));
    let reason = check.field("Access-Reason:", parsed.and_then(|text| text::one_line(text, 200)));
    if let Some(reason) = &reason {
        check.require(reason.chars().count() >= 5, "Access-Reason:", "too_short", "must have 5 characters or more");
    }
    check.done()?;
    Ok(reason)
}

/// The caller whom the token names, if their session still stands.
async fn named(env: &Env, claims: Option<Claims>, trail: &Trail) -> Result<Option<Caller>> {
    let Some(claims) = claims else { return Ok(None) };
    let (shared, trail) = (env.clone(), trail.clone());
    env.db.read(move |conn| sessions::caller(conn, &shared, claims.sid, claims.sub, &trail)).await
}

/// Whoever is signed in, though it be only to set up a second factor. Whatever else they want asks for an [`Actor`].
#[derive(Debug, Clone)]
pub struct SignedIn(pub Actor);

fn caller(request: &HttpRequest) -> Result<Caller> {
    let refuse = |detail: &str| Err(Error::unauthenticated("unauthenticated", detail));
    if !request.extensions().contains::<Trail>() {
        // Nobody is served of whom nothing could be written down.
        return Err(Error::fault("an operation without a trail"));
    }
    match request.extensions().get::<Identity>() {
        Some(Identity(Some(caller))) => Ok(caller.clone()),
        Some(Identity(None)) => {
            refuse("The access token is expired, revoked or not ours. Refresh it or sign in again.")
        }
        None => refuse("Sign in, and send the access token as `Authorization: Bearer …`."),
    }
}

impl FromRequest for SignedIn {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(caller(request).map(|caller| Self(caller.actor)))
    }
}

impl FromRequest for Actor {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(caller(request).and_then(|caller| {
            if caller.must_enrol {
                return Err(Error::forbidden(
                    "second_factor_required",
                    "Staff sign in with an authenticator app as well. Set it up first: POST /v1/me/second-factor.",
                ));
            }
            Ok(caller.actor)
        }))
    }
}
