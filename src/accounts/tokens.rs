//! Access tokens: short-lived HS256 JWTs, modelled on RFC 9068 and following RFC 8725. Also opaque tokens and their hashes.

use std::collections::HashMap;
use std::fmt;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::clock::{Entropy, Timestamp};
use crate::error::{Error, Result};
use crate::ids::{SessionId, UserId};
use crate::scopes::Scopes;

/// The lifetime of an access token, in seconds.
pub const ACCESS_SECONDS: i64 = 600;
/// The largest difference of two machines' clocks, in seconds.
const LEEWAY_SECONDS: i64 = 5;
const ISSUER: &str = "legwork";
const AUDIENCE: &str = "legwork-api";
const TYPE: &str = "at+jwt";

/// What the bearer of an access token acts by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// A session of a person.
    Session(SessionId),
    /// The session of a person whose cookie has this token.
    Cookie(CookieToken),
    /// These scopes of a machine client.
    Client(Scopes),
}

/// What a valid access token or cookie says. The role is not among it: it is queried, so that a change takes effect at once.
#[derive(Debug, Clone)]
pub struct Claims {
    /// The account: of a person, or of a machine client.
    pub sub: UserId,
    pub grant: Grant,
    exp: i64,
}

impl Claims {
    /// What the cookie of a page says. It counts as long as an access token: a response that lasts ends then, and the page asks again.
    pub fn of_cookie(account: UserId, token: CookieToken, now: Timestamp) -> Self {
        Self { sub: account, grant: Grant::Cookie(token), exp: now.as_seconds() + ACCESS_SECONDS }
    }

    /// Returns when the token expires, in seconds since 1970.
    pub fn expires_at(&self) -> i64 {
        self.exp
    }
}

/// The claims of an access token as they are written: those of a session have `sid`, those of a machine client `client_id`, `scope` and
/// `jti`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    iss: String,
    aud: String,
    sub: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<SessionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<uuid::Uuid>,
    iat: i64,
    nbf: i64,
    exp: i64,
}

impl Written {
    fn new(sub: UserId, now: Timestamp) -> Self {
        let iat = now.as_seconds();
        Self {
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            sub,
            sid: None,
            client_id: None,
            scope: None,
            jti: None,
            iat,
            nbf: iat,
            exp: iat + ACCESS_SECONDS,
        }
    }

    fn grant(&self) -> Option<Grant> {
        match (self.sid, self.client_id, &self.scope, self.jti) {
            (Some(session), None, None, None) => Some(Grant::Session(session)),
            (None, Some(client), Some(scope), Some(_)) if client == self.sub => scope.parse().ok().map(Grant::Client),
            _ => None,
        }
    }
}

/// The secrets of access tokens. The first one signs; all of them verify.
pub struct TokenRing {
    kid: String,
    signing: EncodingKey,
    reading: HashMap<String, DecodingKey>,
    validation: Validation,
}

impl TokenRing {
    /// Reads `id:secret`, comma-separated, the signing one first.
    ///
    /// # Errors
    /// A text for the operator, without any part of a secret.
    pub fn parse(ring: &str) -> Result<Self, String> {
        let mut reading = HashMap::new();
        let mut first = None;
        for entry in ring.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (kid, secret) = entry.split_once(':').ok_or("JWT_SECRET: each entry is `id:secret`")?;
            if secret.len() < 32 || secret.contains("change-me") {
                return Err(format!("JWT_SECRET: secret {kid} is an example or has fewer than 32 characters"));
            }
            if reading.insert(kid.to_owned(), DecodingKey::from_secret(secret.as_bytes())).is_some() {
                return Err(format!("JWT_SECRET: secret {kid} is listed twice"));
            }
            first.get_or_insert_with(|| (kid.to_owned(), EncodingKey::from_secret(secret.as_bytes())));
        }
        let (kid, signing) = first.ok_or("JWT_SECRET: at least one secret is needed")?;
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
        // The library reads the machine's clock; `read` compares the times with the environment's.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Ok(Self { kid, signing, reading, validation })
    }

    /// Signs a token for a session.
    ///
    /// # Errors
    /// A fault if signing fails.
    pub fn sign(&self, sub: UserId, sid: SessionId, now: Timestamp) -> Result<String> {
        self.write(&Written { sid: Some(sid), ..Written::new(sub, now) })
    }

    /// Signs a token with these scopes for a machine client.
    ///
    /// # Errors
    /// A fault if signing fails.
    pub fn sign_for_client(
        &self,
        client: UserId,
        scopes: &Scopes,
        entropy: &Entropy,
        now: Timestamp,
    ) -> Result<String> {
        let jti = Some(entropy.uuid(now));
        let scope = Some(scopes.to_string());
        self.write(&Written { client_id: Some(client), scope, jti, ..Written::new(client, now) })
    }

    fn write(&self, claims: &Written) -> Result<String> {
        let header = Header { typ: Some(TYPE.into()), kid: Some(self.kid.clone()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, claims, &self.signing).map_err(|error| Error::internal("sign a token", error))
    }

    /// Reads a token; none if it is not valid.
    pub fn read(&self, token: &str, now: Timestamp) -> Option<Claims> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        // The service never issues tokens that name a key to fetch or that need an extension.
        let foreign = header.typ.as_deref() != Some(TYPE)
            || header.alg != Algorithm::HS256
            || header.crit.is_some()
            || header.jku.is_some()
            || header.jwk.is_some()
            || header.x5u.is_some()
            || header.x5c.is_some()
            || header.cty.is_some();
        if foreign {
            return None;
        }
        let key = self.reading.get(header.kid.as_deref()?)?;
        let claims = jsonwebtoken::decode::<Written>(token, key, &self.validation).ok()?.claims;
        let now = now.as_seconds();
        if claims.exp <= now || claims.nbf > now + LEEWAY_SECONDS || claims.iat > now + LEEWAY_SECONDS {
            return None;
        }
        Some(Claims { sub: claims.sub, grant: claims.grant()?, exp: claims.exp })
    }
}

/// What the digest of a form token is for.
const FORM: &[u8] = b"form token\0";

/// The token of a session's cookie.
#[derive(Clone, PartialEq, Eq)]
pub struct CookieToken(String);

impl fmt::Debug for CookieToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieToken")
    }
}

impl CookieToken {
    /// `token` has the HMAC of this service.
    pub fn new(token: &str) -> Self {
        Self(token.to_owned())
    }

    /// The digest by which the database knows it.
    pub fn digest(&self) -> Vec<u8> {
        hash(&self.0)
    }

    /// The token that every form of the session carries. It says nothing about the cookie, which no script can read.
    pub fn form_token(&self) -> String {
        URL_SAFE_NO_PAD.encode(hash([FORM, self.0.as_bytes()].concat()))
    }
}

/// Creates an opaque token of 256 bits.
pub fn opaque(entropy: &Entropy) -> String {
    URL_SAFE_NO_PAD.encode(entropy.bytes::<32>())
}

/// The hash of an opaque token, as it is stored. The token has 256 random bits, so a plain hash is enough.
pub fn hash(token: impl AsRef<[u8]>) -> Vec<u8> {
    digest::digest(&digest::SHA256, token.as_ref()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RING: &str = "a:0123456789abcdef0123456789abcdef";

    fn ids() -> (UserId, SessionId) {
        (UserId(uuid::Uuid::from_u128(1)), SessionId(uuid::Uuid::from_u128(2)))
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).expect("an instant")
    }

    fn forged(header: &Header, exp: i64, secret: &str) -> String {
        let (sub, sid) = ids();
        write(header, &Written { sid: Some(sid), exp, ..Written::new(sub, at(1000)) }, secret)
    }

    fn write(header: &Header, claims: &Written, secret: &str) -> String {
        jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(secret.as_bytes())).expect("signed")
    }

    #[test]
    fn a_token_is_good_for_ten_minutes_and_not_a_second_longer() {
        let ring = TokenRing::parse(RING).expect("a ring");
        let (user, session) = ids();
        let token = ring.sign(user, session, at(1000)).expect("signed");
        assert_eq!(ring.read(&token, at(1000)).expect("good").sub, user);
        assert!(ring.read(&token, at(1599)).is_some());
        assert!(ring.read(&token, at(1600)).is_none());
        assert!(ring.read(&token, at(990)).is_none(), "not yet valid");
    }

    #[test]
    fn tokens_with_foreign_headers_or_keys_are_refused() {
        let ring = TokenRing::parse(RING).expect("a ring");
        let secret = "0123456789abcdef0123456789abcdef";
        let good = Header { typ: Some(TYPE.into()), kid: Some("a".into()), ..Header::new(Algorithm::HS256) };
        assert!(ring.read(&forged(&good, 2000, secret), at(1000)).is_some());
        let variants = [
            Header { typ: Some("JWT".into()), ..good.clone() },
            Header { typ: None, ..good.clone() },
            Header { kid: Some("b".into()), ..good.clone() },
            Header { kid: None, ..good.clone() },
            Header { jku: Some("https://evil.example".into()), ..good.clone() },
            Header { x5u: Some("https://evil.example".into()), ..good.clone() },
            Header { crit: Some(vec!["exp".into()]), ..good.clone() },
            Header { alg: Algorithm::HS512, ..good.clone() },
        ];
        for header in variants {
            assert!(ring.read(&forged(&header, 2000, secret), at(1000)).is_none(), "{header:?}");
        }
        assert!(ring.read(&forged(&good, 2000, "another secret of 32 characters!!"), at(1000)).is_none());
        let none = format!(
            "{}.{}.",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt","kid":"a"}"#),
            forged(&good, 2000, secret).split('.').nth(1).expect("claims")
        );
        assert!(ring.read(&none, at(1000)).is_none());
    }

    #[test]
    fn a_token_is_of_a_session_or_of_a_client_and_never_of_both() {
        let ring = TokenRing::parse(RING).expect("a ring");
        let (user, session) = ids();
        let scopes: Scopes = "slots:read appointments:write".parse().expect("scopes");
        let token = ring.sign_for_client(user, &scopes, &Entropy::seeded(1), at(1000)).expect("signed");
        let claims = ring.read(&token, at(1000)).expect("good");
        assert_eq!((claims.sub, claims.grant), (user, Grant::Client(scopes)));
        let header = Header { typ: Some(TYPE.into()), kid: Some("a".into()), ..Header::new(Algorithm::HS256) };
        let secret = "0123456789abcdef0123456789abcdef";
        let read = |claims: Written| ring.read(&write(&header, &claims, secret), at(1000)).map(|claims| claims.grant);
        let new = || Written::new(user, at(1000));
        let client = || Written {
            client_id: Some(user),
            scope: Some("slots:read".into()),
            jti: Some(uuid::Uuid::nil()),
            ..new()
        };
        assert!(read(client()).is_some());
        for mixed in [
            new(),
            Written { sid: Some(session), ..client() },
            Written { sid: Some(session), scope: Some(String::new()), ..new() },
            Written { client_id: Some(UserId(session.0)), ..client() },
            Written { client_id: None, ..client() },
            Written { scope: None, ..client() },
            Written { scope: Some("everything".into()), ..client() },
            Written { jti: None, ..client() },
        ] {
            assert_eq!(read(mixed), None);
        }
    }

    #[test]
    fn an_old_secret_still_reads_while_a_new_one_signs() {
        let (user, session) = ids();
        let old = TokenRing::parse(RING).expect("a ring");
        let both = TokenRing::parse(&format!("b:fedcba9876543210fedcba9876543210,{RING}")).expect("a ring");
        let new = TokenRing::parse("b:fedcba9876543210fedcba9876543210").expect("a ring");
        let (before, after) =
            (old.sign(user, session, at(0)).expect("signed"), both.sign(user, session, at(0)).expect("signed"));
        assert!(both.read(&before, at(1)).is_some() && both.read(&after, at(1)).is_some());
        assert!(new.read(&after, at(1)).is_some() && new.read(&before, at(1)).is_none());
    }

    #[test]
    fn short_and_example_secrets_are_refused_at_the_start() {
        for ring in ["", "a:short", "nokid", "a:change-me-change-me-change-me-change-me"] {
            assert!(TokenRing::parse(ring).is_err(), "{ring}");
        }
    }

    #[test]
    fn the_token_of_forms_depends_on_the_cookie_and_does_not_have_it() {
        let form_token = |token: &str| CookieToken::new(token).form_token();
        let (one, other) = (form_token("a"), form_token("b"));
        assert!(one != other && one.len() == 43 && one == form_token("a"));
        assert_eq!(format!("{:?}", CookieToken::new("secret")), "CookieToken");
    }
}
