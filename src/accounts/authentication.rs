//! Who asks: reads the access token of a request, once, before its handler runs.

use std::future::{Ready, ready};

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};

use super::Keys;
use super::sessions::{self, Caller};
use crate::actor::Actor;
use crate::env::Env;
use crate::error::{Error, Result};

/// What the token of this request proved.
#[derive(Clone)]
struct Identity(Option<Caller>);

/// Looks at the `Authorization` header, if there is one, and remembers whom it names. Whether anybody must be named is for
/// the handler to say: it asks for an [`Actor`] or does not.
pub async fn identify(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    if request.headers().contains_key(AUTHORIZATION) {
        let caller = named(&request).await?;
        request.extensions_mut().insert(Identity(caller));
    }
    next.call(request).await
}

/// The caller whom the token names; `None` where it is not good.
async fn named(request: &ServiceRequest) -> Result<Option<Caller>> {
    let (Some(env), Some(keys)) = (request.app_data::<web::Data<Env>>(), request.app_data::<web::Data<Keys>>()) else {
        return Err(Error::fault("the application lacks its surroundings"));
    };
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let (Some(header), None) = (headers.next(), headers.next()) else { return Ok(None) };
    let Some((scheme, token)) = header.to_str().ok().and_then(|text| text.split_once(' ')) else { return Ok(None) };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    let Some(claims) = keys.tokens.read(token.trim(), env.now()) else { return Ok(None) };
    let shared = env.clone();
    env.db.read(move |conn| sessions::caller(conn, &shared, claims.sid, claims.sub)).await
}

/// Whoever is signed in, though it be only to set up a second factor. Whatever else they want asks for an [`Actor`].
#[derive(Debug, Clone)]
pub struct SignedIn(pub Actor);

fn caller(request: &HttpRequest) -> Result<Caller> {
    let refuse = |detail: &str| Err(Error::unauthenticated("unauthenticated", detail));
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
        ready(caller(request).and_then(|caller| match caller.must_enrol {
            false => Ok(caller.actor),
            true => Err(Error::forbidden(
                "second_factor_required",
                "Staff sign in with an authenticator app as well. Set it up first: POST /v1/me/second-factor.",
            )),
        }))
    }
}
