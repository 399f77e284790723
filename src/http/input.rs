//! Strict input: unknown members, unknown parameters, duplicate keys and wrong types are refused, each with its place.

use std::future::{Ready, ready};
use std::ops::Deref;
use std::pin::Pin;
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use super::problem::{Draft, Rejected};
use crate::error::{Error, FieldError};

/// The largest body in bytes.
pub const BODY_LIMIT: usize = 64 * 1024;

/// How deep a body's arrays and objects may be nested. The deepest that any operation takes has six levels.
const DEPTH_LIMIT: usize = 32;

/// A JSON body. `T` should carry `#[serde(deny_unknown_fields)]`.
#[derive(Debug)]
pub struct Body<T> {
    /// What it says.
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

/// A merge-patch body (RFC 7396).
#[derive(Debug)]
pub struct Patch<T>(pub T);

/// The query's parameters. `T` should carry `#[serde(deny_unknown_fields)]`.
#[derive(Debug)]
pub struct Params<T>(pub T);

/// The id in the path. What is no id names nothing: 404.
#[derive(Debug, Clone, Copy)]
pub struct PathId<T>(pub T);

async fn read(mut payload: Payload) -> Result<Bytes, actix_web::Error> {
    let mut body = actix_web::web::BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            Rejected(match error {
                PayloadError::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => Draft::timed_out(),
                _ => Draft::malformed("The body broke off."),
            })
        })?;
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(Rejected(Draft::too_large(BODY_LIMIT)).into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn declared_too_large(request: &HttpRequest) -> bool {
    let length = request.headers().get(actix_web::http::header::CONTENT_LENGTH);
    length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok()).is_some_and(|length| length > BODY_LIMIT)
}

/// Whether arrays and objects are nested more than [`DEPTH_LIMIT`] deep. What is no JSON may be told so later.
fn is_too_deep(bytes: &[u8]) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_LIMIT {
            return true;
        }
    }
    false
}

/// Reads JSON strictly.
///
/// # Errors
/// 400 where it is no JSON or nested too deep; 422 with the JSON pointer where it is JSON of another shape.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, actix_web::Error> {
    if is_too_deep(bytes) {
        return Err(
            Rejected(Draft::malformed(format!("The body is nested more than {DEPTH_LIMIT} levels deep."))).into()
        );
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer(error.path());
        let inner = error.into_inner();
        match inner.classify() {
            serde_json::error::Category::Data => {
                let (pointer, code, detail) = shape(pointer, &inner.to_string());
                actix_web::Error::from(Error::Invalid(vec![FieldError::new(pointer, &code, detail)]))
            }
            _ => Rejected(Draft::malformed(format!(
                "The body is not JSON: see line {}, column {}.",
                inner.line(),
                inner.column()
            )))
            .into(),
        }
    })?;
    deserializer.end().map_err(|_| Rejected(Draft::malformed("There is something after the JSON value.")))?;
    Ok(value)
}

/// The path of a deserialisation error as a JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    use std::fmt::Write;
    path.iter().fold(String::new(), |mut pointer, segment| {
        let _ = match segment {
            Segment::Seq { index } => write!(pointer, "/{index}"),
            Segment::Map { key } => write!(pointer, "/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { .. } | Segment::Unknown => Ok(()),
        };
        pointer
    })
}

/// In the message of a deserialisation error it parts a stable code from its sentence, where the type that was read has
/// rules of its own.
pub const CODE_END: char = '\u{1f}';

/// Says what is wrong with the shape, without serde's quotation of the value: it may be somebody's data.
fn shape(pointer: String, message: &str) -> (String, String, String) {
    if let Some((code, detail)) = message.split_once(CODE_END) {
        let detail = detail.split(" at line ").next().unwrap_or_default();
        return (pointer, code.to_owned(), detail.to_owned());
    }
    let (pointer, code, detail) = shape_of(pointer, message);
    (pointer, code.to_owned(), detail)
}

fn shape_of(pointer: String, message: &str) -> (String, &'static str, String) {
    let named = |prefix: &str| -> Option<String> { Some(message.strip_prefix(prefix)?.split('`').next()?.to_owned()) };
    let message_end = message.split(" at line ").next().unwrap_or_default();
    let expected = message_end.split_once("expected ").map(|(_, expected)| expected.to_owned());
    if named("unknown field `").is_some() {
        // serde_path_to_error already points at the unknown member.
        return (pointer, "unknown_field", "there is no such field".to_owned());
    }
    if let Some(name) = named("missing field `") {
        return (format!("{pointer}/{name}"), "required", "must be there".to_owned());
    }
    if let Some(name) = named("duplicate field `") {
        let parent = pointer.strip_suffix(&format!("/{name}")).unwrap_or(&pointer);
        return (format!("{parent}/{name}"), "duplicate_field", "stands there twice".to_owned());
    }
    match expected {
        Some(expected) if message.starts_with("unknown variant") => {
            (pointer, "not_an_option", format!("must be {}", expected.replace('`', "\"")))
        }
        Some(expected) => (pointer, "wrong_type", format!("must be {expected}")),
        None => (pointer, "wrong_value", "cannot be read".to_owned()),
    }
}

/// Checks the content type, reads, parses.
async fn json<T: DeserializeOwned>(
    request: HttpRequest,
    payload: Payload,
    accepted: &'static [&'static str],
) -> Result<Body<T>, actix_web::Error> {
    let essence = request.content_type().to_ascii_lowercase();
    if !accepted.contains(&essence.as_str()) {
        let missing = request.headers().get(CONTENT_TYPE).is_none();
        let detail = if missing { " The Content-Type header is missing." } else { "" };
        let mut draft = Draft::media_type(accepted[0]);
        draft.detail.push_str(detail);
        return Err(Rejected(draft).into());
    }
    if declared_too_large(&request) {
        return Err(Rejected(Draft::too_large(BODY_LIMIT)).into());
    }
    let raw = read(payload).await?;
    Ok(Body { value: parse(&raw)?, raw })
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
        let body = json(request.clone(), payload.take(), &["application/merge-patch+json"]);
        Box::pin(async move { Ok(Self(body.await?.value)) })
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Params<T> {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let deserializer =
            serde_html_form::Deserializer::new(url::form_urlencoded::parse(request.query_string().as_bytes()));
        ready(serde_path_to_error::deserialize(deserializer).map(Self).map_err(|error| {
            let place = pointer(error.path());
            let message = error.into_inner().to_string();
            let (place, code, detail) = shape(place, &message);
            Error::invalid(
                format!("?{}", place.trim_start_matches('/')),
                code.replace("field", "parameter").as_str(),
                detail,
            )
        }))
    }
}

impl<T: FromStr + 'static> FromRequest for PathId<T> {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request.match_info().get("id").and_then(|text| text.parse().ok());
        ready(id.map(Self).ok_or(Error::NotFound))
    }
}

/// A member of a merge patch: absent, `null` or a value. Use with `#[serde(default)]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Change<T> {
    /// The member is not there: keep what is.
    #[default]
    Keep,
    /// `null`: take it away.
    Clear,
    /// The new value.
    Set(T),
}

impl<'de, T: serde::Deserialize<'de>> serde::Deserialize<'de> for Change<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

impl<T> Change<T> {
    /// Applies the change to a value that may be missing.
    pub fn apply(self, to: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *to = None,
            Self::Set(value) => *to = Some(value),
        }
    }

    /// Applies the change to a value that must be there.
    ///
    /// # Errors
    /// Where it would be taken away.
    pub fn apply_required(self, to: &mut T) -> Result<(), crate::error::Rule> {
        match self {
            Self::Keep => {}
            Self::Clear => return Err(crate::error::Rule::new("required", "cannot be taken away")),
            Self::Set(value) => *to = value,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[serde(rename = "n")]
        _n: u8,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(rename = "items")]
        _items: Vec<Inner>,
    }

    fn problem(json: &str) -> (u16, Vec<FieldError>) {
        let error = parse::<Outer>(json.as_bytes()).expect_err("refused");
        let response = error.error_response();
        let draft = response.extensions().get::<Draft>().cloned().expect("a problem");
        (draft.status.as_u16(), draft.errors)
    }

    #[test]
    fn each_wrong_shape_is_told_with_its_place_and_without_its_value() {
        for (json, pointer, code) in [
            (r#"{"items":[{"n":1},{"n":"secret"}]}"#, "/items/1/n", "wrong_type"),
            (r#"{"items":[{"n":1,"x":2}]}"#, "/items/0/x", "unknown_field"),
            (r#"{"items":[{}]}"#, "/items/0/n", "required"),
            (r#"{"items":[{"n":1,"n":2}]}"#, "/items/0/n", "duplicate_field"),
            (r#"{"items":[],"items":[]}"#, "/items", "duplicate_field"),
            ("{}", "/items", "required"),
            ("[]", "/items", "required"),
        ] {
            let (status, errors) = problem(json);
            assert_eq!(status, 422, "{json}");
            if json != "[]" {
                assert_eq!((errors[0].pointer.as_str(), errors[0].code.as_str()), (pointer, code), "{json}");
            }
            assert!(!errors[0].detail.contains("secret"));
        }
        let nested = |depth: usize| format!(r#"{{"items":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert_eq!(problem(&nested(31)).0, 422);
        assert_eq!(problem(&nested(32)).0, 400);
        assert_eq!(
            problem(&format!(r#"{{"items":"{}\\\"{}"}}"#, "[".repeat(40), "{".repeat(40))).0,
            422,
            "text is not nested"
        );
        assert_eq!(problem("{").0, 400);
        assert_eq!(problem("").0, 400);
        assert_eq!(problem(r#"{"items":[]} x"#).0, 400);
    }
}
