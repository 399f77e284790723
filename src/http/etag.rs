//! Strong ETags from row versions, and the `If-Match` that a change must show (RFC 9110, section 13).

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{ETAG, HeaderValue, IF_MATCH};
use actix_web::{FromRequest, HttpRequest};

use super::problem::{Draft, Rejected};
use crate::error::{Error, Result};

/// The ETag of a row's version.
pub fn etag(version: i32) -> String {
    format!("\"{version}\"")
}

/// The `ETag` header for a row's version.
pub fn header(version: i32) -> (actix_web::http::header::HeaderName, HeaderValue) {
    (ETAG, HeaderValue::from_str(&etag(version)).unwrap_or_else(|_| HeaderValue::from_static("\"0\"")))
}

/// The versions that the caller accepts; `None` where they sent no `If-Match`.
#[derive(Debug, Clone)]
pub struct IfMatch(Option<Versions>);

#[derive(Debug, Clone)]
enum Versions {
    Any,
    These(Vec<String>),
}

impl IfMatch {
    /// Accepts every version.
    pub fn any() -> Self {
        Self(None)
    }

    /// Compares with the version that is there.
    ///
    /// # Errors
    /// [`Error::Stale`] where `If-Match` names other versions. Without the header everything fits.
    pub fn check(&self, version: i32) -> Result<()> {
        match &self.0 {
            None | Some(Versions::Any) => Ok(()),
            // A weak tag never matches strongly, so it is not stripped of its W/.
            Some(Versions::These(tags)) if tags.contains(&etag(version)) => Ok(()),
            Some(Versions::These(_)) => Err(Error::Stale),
        }
    }

    /// For changes that must not be made blindly.
    ///
    /// # Errors
    /// 428 without the header.
    pub fn required(self) -> Result<Self, Rejected> {
        if self.0.is_none() { Err(Rejected(Draft::precondition_required())) } else { Ok(self) }
    }
}

impl FromRequest for IfMatch {
    type Error = Rejected;
    type Future = Ready<Result<Self, Rejected>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut tags = Vec::new();
        for value in request.headers().get_all(IF_MATCH) {
            let Ok(text) = value.to_str() else {
                return ready(Err(Rejected(Draft::malformed("If-Match is not text."))));
            };
            tags.extend(text.split(',').map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()));
        }
        ready(Ok(Self(match tags.as_slice() {
            [] => None,
            [any] if any == "*" => Some(Versions::Any),
            _ => Some(Versions::These(tags)),
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(header: &str) -> IfMatch {
        let request = actix_web::test::TestRequest::default().insert_header((IF_MATCH, header)).to_http_request();
        IfMatch::from_request(&request, &mut Payload::None).into_inner().expect("readable")
    }

    #[test]
    fn a_strong_tag_of_the_version_matches_and_a_weak_or_other_one_does_not() {
        assert!(from("\"3\"").check(3).is_ok());
        assert!(from("\"2\", \"3\"").check(3).is_ok());
        assert!(from("*").check(3).is_ok());
        assert!(from("\"2\"").check(3).is_err());
        assert!(from("W/\"3\"").check(3).is_err());
    }
}
