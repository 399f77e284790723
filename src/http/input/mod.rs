//! Strict input. The published document decides what a body and a query may hold: [`shape`] compiles its schemas, [`tree`]
//! parses a body, [`check`] and [`query`] compare. Everything that is wrong is reported at once, each error with its place.

mod change;
mod check;
mod near;
mod query;
pub mod several;
pub mod shape;
mod tree;

use std::future::{Ready, ready};
use std::ops::Deref;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::change::Change;
pub use self::several::Several;
use self::shape::Shape;
use self::tree::{Failure, Tree};
use super::fallback::Operation;
use super::problem::{ProblemBuilder, Rejected};
use crate::error::{Error, FieldCode, FieldError};

/// The largest body in bytes.
pub const BODY_LIMIT: usize = 64 * 1024;

/// A JSON body. `T` should carry `#[serde(deny_unknown_fields)]`.
#[derive(Debug)]
pub struct Body<T> {
    pub value: T,
    /// Its bytes, for the fingerprint of an idempotent request.
    pub raw: Bytes,
}

impl<T> Deref for Body<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A merge-patch body (RFC 7396). Many clients can only send `application/json`, which means the same here.
#[derive(Debug)]
pub struct Patch<T>(pub T);

/// Parameters of the query. A handler may extract several sets. [`query::check`] rejects those that the operation does not have.
#[derive(Debug)]
pub struct Params<T>(pub T);

/// The id in the path. A text that is no id is 404.
#[derive(Debug, Clone, Copy)]
pub struct PathId<T>(pub T);

async fn read(mut payload: Payload) -> Result<Bytes, actix_web::Error> {
    let mut body = actix_web::web::BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            Rejected(match error {
                PayloadError::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => ProblemBuilder::timed_out(),
                _ => ProblemBuilder::malformed("The body broke off."),
            })
        })?;
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(Rejected(ProblemBuilder::too_large(BODY_LIMIT)).into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn declared_too_large(request: &HttpRequest) -> bool {
    let length = request.headers().get(actix_web::http::header::CONTENT_LENGTH);
    length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok()).is_some_and(|length| length > BODY_LIMIT)
}

/// Reads a body strictly: parses it, checks it against its shape in the document, and deserialises it.
///
/// # Errors
/// 400 if it is not JSON or nested too deeply. 422 with the JSON pointer of each place with another shape. Limits that
/// a handler checks are reported only together with such errors.
fn parse<T: DeserializeOwned>(bytes: &[u8], shape: &Shape) -> Result<T, actix_web::Error> {
    let Tree { value, duplicates } = tree::parse(bytes).map_err(|failure| match failure {
        Failure::Malformed(detail) => actix_web::Error::from(Rejected(ProblemBuilder::malformed(detail))),
        Failure::Number(error) => Error::Invalid(vec![error]).into(),
    })?;
    Ok(fit(value, duplicates, shape)?)
}

/// Checks a parsed body against its shape, and deserialises it. `errors` were found before.
fn fit<T: DeserializeOwned>(mut value: Value, mut errors: Vec<FieldError>, shape: &Shape) -> Result<T, Error> {
    let found = check::check(shape, &mut value);
    errors.extend(found.errors);
    if !errors.is_empty() {
        errors.extend(found.limits);
        errors.truncate(check::MAX_ERRORS);
        return Err(Error::Invalid(errors));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        // A number may exceed its type.
        let limits = found.limits;
        if limits.is_empty() { unreadable(pointer(error.path())) } else { Error::Invalid(limits) }
    })
}

/// Reads a body that a page built from its form, with the checks of a body that a client sends.
///
/// # Errors
/// Those of a body: 422 with the JSON pointer of each place with another shape.
pub fn read_built<T: DeserializeOwned>(built: &Value, operation: &Operation) -> Result<Body<T>, Error> {
    let shape = operation.body.as_ref().ok_or_else(|| Error::fault("an operation without a body takes none"))?;
    let value = fit(built.clone(), Vec::new(), shape)?;
    Ok(Body { value, raw: Bytes::from(built.to_string()) })
}

/// The path of a deserialisation error as a JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter().fold(String::new(), |mut pointer, segment| {
        match segment {
            Segment::Seq { index } => tree::descend(&mut pointer, &index.to_string()),
            Segment::Map { key } => tree::descend(&mut pointer, key),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
        pointer
    })
}

/// Reports a value that fits its shape but not its type: the document is wider than the type. The message of serde stays
/// out, since it quotes the value, which may be personal data, and names Rust types.
fn unreadable(pointer: String) -> Error {
    Error::invalid(pointer, FieldCode::WrongValue, "cannot be read")
}

/// Returns the operation of a request.
fn operation(request: &HttpRequest) -> Result<Arc<Operation>, Error> {
    request.extensions().get::<Arc<Operation>>().cloned().ok_or_else(|| Error::fault("a request without its operation"))
}

/// Checks the content type, reads and parses.
async fn json<T: DeserializeOwned>(
    request: HttpRequest,
    payload: Payload,
    accepted: &'static [&'static str],
) -> Result<Body<T>, actix_web::Error> {
    let essence = request.content_type().to_ascii_lowercase();
    if !accepted.contains(&essence.as_str()) {
        let missing = request.headers().get(CONTENT_TYPE).is_none();
        let detail = if missing { " The Content-Type header is missing." } else { "" };
        let mut problem = ProblemBuilder::media_type(accepted[0]);
        problem.detail.push_str(detail);
        return Err(Rejected(problem).into());
    }
    let charset =
        request.mime_type().ok().flatten().and_then(|media| media.get_param("charset").map(|it| it.to_string()));
    if charset.is_some_and(|charset| !charset.eq_ignore_ascii_case("utf-8")) {
        return Err(Rejected(ProblemBuilder::charset()).into());
    }
    if declared_too_large(&request) {
        return Err(Rejected(ProblemBuilder::too_large(BODY_LIMIT)).into());
    }
    let operation = operation(&request)?;
    let shape = operation.body.as_ref().ok_or_else(|| Error::fault("an operation without a body takes none"))?;
    let raw = read(payload).await?;
    Ok(Body { value: parse(&raw, shape)?, raw })
}

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        Box::pin(json(request.clone(), payload.take(), &["application/json"]))
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Patch<T> {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = json(request.clone(), payload.take(), &["application/merge-patch+json", "application/json"]);
        Box::pin(async move { Ok(Self(body.await?.value)) })
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Params<T> {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parameters(request).map(Self))
    }
}

fn parameters<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, Error> {
    read_query(request.query_string(), &*operation(request)?)
}

/// Reads the parameters of an operation from a query, which may be one that a page has built.
///
/// # Errors
/// Every parameter that the operation does not have or that has another shape.
pub fn read_query<T: DeserializeOwned>(query: &str, operation: &Operation) -> Result<T, Error> {
    let errors = query::check(query, &operation.parameters);
    if !errors.is_empty() {
        return Err(Error::Invalid(errors));
    }
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    serde_path_to_error::deserialize(serde_html_form::Deserializer::new(pairs))
        .map_err(|error| unreadable(format!("?{}", pointer(error.path()).trim_start_matches('/'))))
}

impl<T: FromStr + 'static> FromRequest for PathId<T> {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request.match_info().get("id").and_then(|text| text.parse().ok());
        ready(id.map(Self).ok_or(Error::NotFound))
    }
}

#[cfg(test)]
mod tests;
