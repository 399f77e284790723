//! Assertions of clients (RFC 7523, 3): short-lived JWTs that a client signs with a registered key, each for one token.

use aws_lc_rs::digest;
use jiff::SignedDuration;
use jsonwebtoken::Validation;
use serde::Deserialize;

use super::keys::{JsonWebKeySet, KeyAlgorithm};
use crate::clock::Timestamp;
use crate::ids::UserId;

/// The value of `client_assertion_type`.
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How far ahead an assertion may expire, in seconds.
const LONGEST_SECONDS: i64 = 300;
/// The largest difference of two machines' clocks, in seconds.
const LEEWAY_SECONDS: i64 = 30;
/// The longest `jti`, in bytes.
const LONGEST_JTI: usize = 256;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    nbf: Option<i64>,
    iat: Option<i64>,
    jti: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// An assertion that is valid, unless it was used before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// SHA-256 of its `jti`.
    pub jti_hash: Vec<u8>,
    /// How long the `jti` must be remembered.
    pub remembered_until: Timestamp,
}

/// Returns the client that the assertion says it is from. Nothing is verified.
pub fn client_of(assertion: &str) -> Option<UserId> {
    let claims: Claims = jsonwebtoken::dangerous::insecure_decode(assertion).ok()?.claims;
    claims.sub.parse().ok()
}

/// Verifies an assertion of a client. `audiences` are the names of this service, of which it must have one.
pub fn verify(
    assertion: &str,
    client: UserId,
    keys: &JsonWebKeySet,
    audiences: &[String],
    now: Timestamp,
) -> Option<Verified> {
    let header = jsonwebtoken::decode_header(assertion).ok()?;
    // Keys in the header are never used, and extensions that must be understood are not.
    if header.crit.is_some() {
        return None;
    }
    let key = keys.find(header.kid.as_deref()?, KeyAlgorithm::accepted(header.alg)?)?;
    let mut validation = Validation::new(header.alg);
    validation.required_spec_claims.clear();
    // The library reads the machine's clock, and does not tell one audience from several.
    (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
    let claims = jsonwebtoken::decode::<Claims>(assertion, &key, &validation).ok()?.claims;
    is_current(&claims, now.as_seconds()).then_some(())?;
    let id = client.to_string();
    let is_from_client = claims.iss == id && claims.sub == id;
    (is_from_client && is_addressed(&claims.aud, audiences) && has_id(&claims)).then(|| Verified {
        jti_hash: digest::digest(&digest::SHA256, claims.jti.as_bytes()).as_ref().to_vec(),
        // Another instance's clock may be behind.
        remembered_until: now.plus(SignedDuration::from_secs(LONGEST_SECONDS + 2 * LEEWAY_SECONDS)),
    })
}

/// Returns the rule that an assertion breaks by itself, whatever client it names. It reveals nothing about clients, so the response may say it.
pub fn broken_rule(assertion: &str, audiences: &[String], now: Timestamp) -> Option<&'static str> {
    let Some(header) =
        jsonwebtoken::decode_header(assertion).ok().filter(|it| KeyAlgorithm::accepted(it.alg).is_some())
    else {
        return Some("The client_assertion must be a JWT that is signed with ES256, ES384, RS256 or RS384.");
    };
    if header.crit.is_some() {
        return Some("The header of the client_assertion must not have crit.");
    }
    if header.kid.is_none() {
        return Some("The header of the client_assertion must name its key (kid).");
    }
    let Ok(decoded) = jsonwebtoken::dangerous::insecure_decode::<Claims>(assertion) else {
        return Some("The client_assertion must have the claims iss, sub, aud, exp and jti.");
    };
    let claims = decoded.claims;
    if claims.exp <= now.as_seconds() {
        return Some("The client_assertion has expired. Check the clock of the client.");
    }
    if !is_current(&claims, now.as_seconds()) {
        return Some(
            "The client_assertion must expire within five minutes, and must not begin later. Check the clock of the client.",
        );
    }
    if claims.iss != claims.sub {
        return Some("iss and sub of the client_assertion must be the client's id.");
    }
    if !is_addressed(&claims.aud, audiences) {
        return Some("aud of the client_assertion must be the token_endpoint or the issuer of the metadata.");
    }
    (!has_id(&claims)).then_some("jti of the client_assertion must have 1 to 256 bytes.")
}

fn is_current(claims: &Claims, now: i64) -> bool {
    let began = |time: Option<i64>| time.is_none_or(|time| time <= now + LEEWAY_SECONDS);
    claims.exp > now && claims.exp <= now + LONGEST_SECONDS + LEEWAY_SECONDS && began(claims.nbf) && began(claims.iat)
}

fn is_addressed(audience: &Audience, audiences: &[String]) -> bool {
    match audience {
        Audience::One(audience) => audiences.contains(audience),
        Audience::Several(all) => all.iter().any(|audience| audiences.contains(audience)),
    }
}

fn has_id(claims: &Claims) -> bool {
    (1..=LONGEST_JTI).contains(&claims.jti.len())
}
