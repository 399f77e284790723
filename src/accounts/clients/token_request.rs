//! The request of an access token: its form and its `Authorization` header, as RFC 6749 and RFC 7521 define them.

use actix_web::http::header::AUTHORIZATION;
use actix_web::{HttpMessage, HttpRequest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::assertion;
use crate::ids::UserId;

/// The most bytes of a form.
const LONGEST: usize = 16 * 1024;

/// What a client authenticates with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    Secret(String),
    Assertion(String),
}

/// A request that is well-formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// The client that it says it is from. None if that is no id, so there is no such client.
    pub client: Option<UserId>,
    pub proof: Proof,
    /// The scopes that it asks for.
    pub scope: Option<String>,
}

/// Why a request is not well-formed (RFC 6749, 5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Malformed {
    InvalidRequest(&'static str),
    UnsupportedGrantType,
    /// It has no credentials, or some that cannot be read.
    InvalidClient,
}

/// The parameters of the form. Unknown ones are ignored, and empty ones count as absent (RFC 6749, 3.2).
struct Form(Vec<(String, String)>);

impl Form {
    fn read(body: &[u8]) -> Result<Self, Malformed> {
        if body.len() > LONGEST {
            return Err(Malformed::InvalidRequest("The form is too long."));
        }
        let fields: Vec<(String, String)> = url::form_urlencoded::parse(body).into_owned().collect();
        for (index, (name, _)) in fields.iter().enumerate() {
            if fields[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(Malformed::InvalidRequest("A parameter is sent twice."));
            }
        }
        Ok(Self(fields))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }
}

impl TokenRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// If it is not well-formed.
    pub fn read(request: &HttpRequest, body: &[u8]) -> Result<Self, Malformed> {
        if !request.content_type().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Malformed::InvalidRequest("Send a form: Content-Type: application/x-www-form-urlencoded."));
        }
        let mut headers = request.headers().get_all(AUTHORIZATION);
        let header = headers.next().map(|value| value.to_str().unwrap_or_default().to_owned());
        Self::of(header.as_deref(), &Form::read(body)?)
    }

    fn of(authorization: Option<&str>, form: &Form) -> Result<Self, Malformed> {
        match form.get("grant_type") {
            None => return Err(Malformed::InvalidRequest("grant_type is missing.")),
            Some("client_credentials") => {}
            Some(_) => return Err(Malformed::UnsupportedGrantType),
        }
        let named = form.get("client_id");
        let (client, proof) = match (authorization, form.get("client_secret"), form.get("client_assertion")) {
            (Some(header), None, None) => {
                let (id, secret) = basic(header).ok_or(Malformed::InvalidClient)?;
                if named.is_some_and(|named| named != id) {
                    return Err(Malformed::InvalidRequest("client_id is not the client of the Authorization header."));
                }
                (id.parse().ok(), Proof::Secret(secret))
            }
            (None, Some(secret), None) => {
                let id = named.ok_or(Malformed::InvalidRequest("client_id is missing."))?;
                (id.parse().ok(), Proof::Secret(secret.to_owned()))
            }
            (None, None, Some(text)) => {
                if form.get("client_assertion_type") != Some(assertion::TYPE) {
                    return Err(Malformed::InvalidRequest("client_assertion_type must be that of a JWT (RFC 7523)."));
                }
                let client = assertion::client_of(text);
                if named.is_some_and(|named| named.parse().ok() != client) {
                    return Err(Malformed::InvalidClient);
                }
                (client, Proof::Assertion(text.to_owned()))
            }
            (None, None, None) => return Err(Malformed::InvalidClient),
            _ => return Err(Malformed::InvalidRequest("Authenticate in one way only.")),
        };
        Ok(Self { client, proof, scope: form.get("scope").map(str::to_owned) })
    }
}

/// The id and the secret of an `Authorization: Basic` header. Both are encoded like the values of a form (RFC 6749, 2.3.1).
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let plain = |text: &str| url::form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned());
    Some((plain(id)?, plain(secret)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55";

    fn read(header: Option<&str>, form: &str) -> Result<TokenRequest, Malformed> {
        TokenRequest::of(header, &Form::read(form.as_bytes())?)
    }

    fn header(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn a_client_authenticates_in_one_of_three_ways() {
        let expected = |proof| TokenRequest { client: ID.parse().ok(), proof, scope: None };
        let secret = || Proof::Secret("a-b_c".into());
        let basic = read(Some(&header(&format!("{ID}:a-b%5Fc"))), "grant_type=client_credentials&scope=");
        assert_eq!(basic, Ok(expected(secret())));
        let post = format!("grant_type=client_credentials&client_id={ID}&client_secret=a-b_c&audience=other");
        assert_eq!(read(None, &post), Ok(expected(secret())));
        let named = format!("grant_type=client_credentials&client_id={ID}");
        assert_eq!(read(Some(&header(&format!("{ID}:a-b_c"))), &named), Ok(expected(secret())));
        let unknown = read(Some(&header("nobody:x")), "grant_type=client_credentials").expect("well-formed");
        assert_eq!(unknown.client, None);
    }

    #[test]
    fn a_request_that_is_not_well_formed_has_the_error_of_the_standard() {
        use Malformed::{InvalidClient, UnsupportedGrantType};
        let good = header(&format!("{ID}:x"));
        let invalid = |result: Result<TokenRequest, Malformed>| matches!(result, Err(Malformed::InvalidRequest(_)));
        assert!(invalid(read(Some(&good), "")));
        assert_eq!(read(Some(&good), "grant_type=password"), Err(UnsupportedGrantType));
        let form = "grant_type=client_credentials";
        assert!(invalid(read(Some(&good), &format!("{form}&{form}"))));
        assert!(invalid(read(Some(&good), &format!("{form}&client_secret=x&client_id={ID}"))));
        assert!(invalid(read(Some(&good), &format!("{form}&client_id=another"))));
        assert!(invalid(read(None, &format!("{form}&client_secret=x"))));
        assert!(invalid(read(None, &format!("{form}&client_assertion=x&client_assertion_type=saml"))));
        assert!(invalid(read(Some(&good), &format!("{form}&x={}", "y".repeat(LONGEST)))));
        for header in ["Bearer x", "Basic", "Basic ?", &header("no colon"), "Basic /w=="] {
            assert_eq!(read(Some(header), form), Err(InvalidClient), "{header}");
        }
        assert_eq!(read(None, form), Err(InvalidClient));
    }
}
