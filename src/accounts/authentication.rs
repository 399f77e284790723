//! Who asks: reads the access token of a request, once, before its handler runs.

use std::future::{Ready, ready};

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use crate::actor::Actor;
use crate::error::{Error, Refusal, Result};

/// What the token of this request proved.
#[derive(Clone)]
struct Identity(std::result::Result<Actor, Refusal>);

/// Looks at the `Authorization` header, if there is one, and remembers whom it names.
pub async fn identify(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> std::result::Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    next.call(request).await
}

impl FromRequest for Actor {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match request.extensions().get::<Identity>() {
            Some(Identity(Ok(actor))) => Ok(actor.clone()),
            Some(Identity(Err(refusal))) => Err(Error::Unauthenticated(refusal.clone())),
            None => Err(Error::unauthenticated(
                "unauthenticated",
                "Sign in, and send the access token as `Authorization: Bearer …`.",
            )),
        })
    }
}
