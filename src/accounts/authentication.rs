//! Who asks: reads the access token of a request, once, before its handler runs.

use std::future::{Ready, ready};

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};

use super::{Keys, sessions};
use crate::actor::Actor;
use crate::env::Env;
use crate::error::{Error, Refusal, Result};
use crate::trail::Trail;

/// What the token of this request proved.
#[derive(Clone)]
struct Identity(Option<Actor>);

/// Looks at the `Authorization` header, if there is one, and remembers whom it names. Whether anybody must be named is for
/// the handler to say: it asks for an [`Actor`] or does not.
pub async fn identify(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    if request.headers().contains_key(AUTHORIZATION) {
        let actor = named(&request).await?;
        request.extensions_mut().insert(Identity(actor));
    }
    next.call(request).await
}

/// The caller whom the token names; `None` where it is not good.
async fn named(request: &ServiceRequest) -> Result<Option<Actor>> {
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
    // What is no operation of the API has no trail of its own.
    let trail = request.extensions().get::<Trail>().cloned().unwrap_or_else(|| Trail::of_command("other"));
    let shared = env.clone();
    env.db.read(move |conn| sessions::actor(conn, &shared, claims.sid, claims.sub, &trail)).await
}

impl FromRequest for Actor {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let refuse =
            |detail: &str| Err(Error::Unauthenticated(Refusal { code: "unauthenticated", detail: detail.to_owned() }));
        ready(match request.extensions().get::<Identity>() {
            Some(Identity(Some(actor))) => Ok(actor.clone()),
            Some(Identity(None)) => {
                refuse("The access token is expired, revoked or not ours. Refresh it or sign in again.")
            }
            None => refuse("Sign in, and send the access token as `Authorization: Bearer …`."),
        })
    }
}
