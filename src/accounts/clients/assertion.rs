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
const LEEWAY_SECONDS: i64 = 5;
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
    let is_addressed = match &claims.aud {
        Audience::One(audience) => audiences.contains(audience),
        Audience::Several(all) => all.iter().any(|audience| audiences.contains(audience)),
    };
    let has_id = (1..=LONGEST_JTI).contains(&claims.jti.len());
    (claims.iss == id && claims.sub == id && is_addressed && has_id).then(|| Verified {
        jti_hash: digest::digest(&digest::SHA256, claims.jti.as_bytes()).as_ref().to_vec(),
        // Another instance's clock may be behind.
        remembered_until: now.plus(SignedDuration::from_secs(LONGEST_SECONDS + 12 * LEEWAY_SECONDS)),
    })
}

fn is_current(claims: &Claims, now: i64) -> bool {
    let began = |time: Option<i64>| time.is_none_or(|time| time <= now + LEEWAY_SECONDS);
    claims.exp > now && claims.exp <= now + LONGEST_SECONDS + LEEWAY_SECONDS && began(claims.nbf) && began(claims.iat)
}
