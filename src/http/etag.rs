//! Strong ETags from row versions, and the `If-Match` header of changes (RFC 9110, section 13).

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{ETAG, HeaderValue, IF_MATCH};
use actix_web::{FromRequest, HttpRequest};

use super::problem::{ProblemBuilder, Rejected};
use crate::error::{Error, Result};

/// The greatest length of `If-Match`. The document has it.
pub const LONGEST: usize = 255;

/// Returns the ETag of a version.
pub fn etag(version: i32) -> String {
    format!("\"{version}\"")
}

/// Returns the `ETag` header of a version.
pub fn header(version: i32) -> (actix_web::http::header::HeaderName, HeaderValue) {
    (ETAG, HeaderValue::from_str(&etag(version)).unwrap_or_else(|_| HeaderValue::from_static("\"0\"")))
}

/// The versions that the caller accepts. None without an `If-Match` header.
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

    /// Accepts this version only.
    pub fn version(version: i32) -> Self {
        Self(Some(Versions::These(vec![etag(version)])))
    }

    /// Compares with the current version.
    ///
    /// # Errors
    /// [`Error::Stale`] if `If-Match` names other versions. Without the header every version is accepted.
    pub fn check(&self, version: i32) -> Result<()> {
        match &self.0 {
            None | Some(Versions::Any) => Ok(()),
            // A weak tag never matches strongly, so its `W/` is not removed.
            Some(Versions::These(tags)) if tags.contains(&etag(version)) => Ok(()),
            Some(Versions::These(_)) => Err(Error::Stale),
        }
    }

    /// Requires the header, for changes that must not overwrite others.
    ///
    /// # Errors
    /// [`Error::PreconditionRequired`] without the header.
    pub fn required(self) -> Result<Self> {
        if self.0.is_none() { Err(Error::PreconditionRequired) } else { Ok(self) }
    }
}

impl FromRequest for IfMatch {
    type Error = Rejected;
    type Future = Ready<Result<Self, Rejected>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut tags = Vec::new();
        for value in request.headers().get_all(IF_MATCH) {
            let Ok(text) = value.to_str() else {
                return ready(Err(Rejected(ProblemBuilder::malformed("If-Match is not text."))));
            };
            tags.extend(text.split(',').map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()));
        }
        if tags.iter().map(String::len).sum::<usize>() > LONGEST {
            return ready(Err(Rejected(ProblemBuilder::malformed("If-Match is too long."))));
        }
        // Without this, a client that sends an empty value by mistake would overwrite every version.
        if tags.is_empty() && request.headers().contains_key(IF_MATCH) {
            return ready(Err(Rejected(ProblemBuilder::malformed("If-Match is empty. Send the ETag that you read."))));
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

    fn read(header: &str) -> Result<IfMatch, Rejected> {
        let request = actix_web::test::TestRequest::default().insert_header((IF_MATCH, header)).to_http_request();
        IfMatch::from_request(&request, &mut Payload::None).into_inner()
    }

    fn from(header: &str) -> IfMatch {
        read(header).unwrap_or_else(|_| panic!("{header} is readable"))
    }

    #[test]
    fn an_empty_header_is_not_taken_for_none_and_a_long_one_is_refused() {
        assert!(read("").is_err() && read(" , ").is_err() && read(&"1".repeat(LONGEST + 1)).is_err());
    }

    #[test]
    fn only_the_strong_tag_of_the_version_matches() {
        assert!(from("\"3\"").check(3).is_ok());
        assert!(from("\"2\", \"3\"").check(3).is_ok());
        assert!(from("*").check(3).is_ok());
        assert!(from("\"2\"").check(3).is_err());
        assert!(from("W/\"3\"").check(3).is_err());
    }
}
