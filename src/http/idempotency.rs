//! The `Idempotency-Key` header.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest};

use crate::context::{Once, Principal};
use crate::error::{Error, FieldCode, Result};

/// The header's value. None without the header.
#[derive(Debug, Clone)]
pub struct IdempotencyKey(pub Option<String>);

impl IdempotencyKey {
    /// The key together with the bytes that a repeat must send again.
    pub fn once<P: Principal>(self, body: &Bytes) -> Once<P> {
        Once::new(self.0, body.clone())
    }

    /// The key of a request without a body.
    pub fn once_without_body<P: Principal>(self) -> Once<P> {
        Once::new(self.0, Bytes::new())
    }
}

impl FromRequest for IdempotencyKey {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut values = request.headers().get_all("idempotency-key");
        let (first, second) = (values.next(), values.next());
        ready(match (first.map(|value| value.to_str()), second) {
            (None, _) => Ok(Self(None)),
            (Some(Ok(key)), None) if (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()) => {
                Ok(Self(Some(key.to_owned())))
            }
            _ => Err(Error::invalid(
                "Idempotency-Key:",
                FieldCode::WrongValue,
                "must be one value of 1 to 255 visible ASCII characters",
            )),
        })
    }
}
