//! The public keys of a client (RFC 7517), with which it signs assertions. They are registered; the service fetches no keys.

use std::collections::BTreeSet;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ParsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::db::types::text_enum;
use crate::error::{Check, FieldCode};

/// The most keys of a client.
const MOST_KEYS: usize = 5;
/// The public exponent 65537 of an RSA key.
const EXPONENT: &str = "AQAB";

text_enum! {
    /// The type of a key.
    KeyType {
        /// An elliptic curve.
        Ec = "EC",
        /// RSA.
        Rsa = "RSA",
    }
}

text_enum! {
    /// The curve of a key.
    Curve {
        /// For ES256.
        P256 = "P-256",
        /// For ES384.
        P384 = "P-384",
    }
}

text_enum! {
    /// The algorithm of an assertion.
    KeyAlgorithm {
        /// ECDSA with P-256 and SHA-256.
        Es256 = "ES256",
        /// ECDSA with P-384 and SHA-384.
        Es384 = "ES384",
        /// RSASSA-PKCS1-v1_5 with SHA-256.
        Rs256 = "RS256",
        /// RSASSA-PKCS1-v1_5 with SHA-384.
        Rs384 = "RS384",
    }
}

text_enum! {
    /// The use of a key.
    KeyUse {
        /// Signatures.
        Sig = "sig",
    }
}

impl KeyAlgorithm {
    /// The algorithm of an assertion's header. None if it is not accepted.
    pub fn accepted(algorithm: Algorithm) -> Option<Self> {
        match algorithm {
            Algorithm::ES256 => Some(Self::Es256),
            Algorithm::ES384 => Some(Self::Es384),
            Algorithm::RS256 => Some(Self::Rs256),
            Algorithm::RS384 => Some(Self::Rs384),
            _ => None,
        }
    }
}

/// A public key (RFC 7517). Never send a private key: its members are rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "kty": "EC", "kid": "2026-1", "alg": "ES384", "crv": "P-384",
    "x": "M42lmP09dIh-tDmdl4y_1EZMwiODxV7b3z3EMC9tAL4GLI9EYa9K88jfqiqwxIDU",
    "y": "tEB3t2zUBctJrMlUEXsGjZyajbjKI6GfRjnnVrWk9ACttixeyK_ZAg1GBU_SAk8f"
}))]
pub struct JsonWebKey {
    /// The type of the key.
    pub kty: KeyType,
    /// The key's id, which the header of an assertion names. Unique among the client's keys.
    #[schema(min_length = 1, max_length = 128)]
    pub kid: String,
    /// The one algorithm of the key. Without it, every algorithm that fits the key is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<KeyAlgorithm>,
    /// The use of the key.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub usage: Option<KeyUse>,
    /// The operations of the key. Not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 8, max_length = 32)]
    pub key_ops: Option<Vec<String>>,
    /// Whether the key is extractable, as Web Crypto writes it. Not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ext: Option<bool>,
    /// The curve. For the type `EC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<Curve>,
    /// The x coordinate in base64url. For the type `EC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 128)]
    pub x: Option<String>,
    /// The y coordinate in base64url. For the type `EC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 128)]
    pub y: Option<String>,
    /// The modulus of 2048 to 4096 bits in base64url. For the type `RSA`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1024)]
    pub n: Option<String>,
    /// The public exponent: `AQAB`. For the type `RSA`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 16)]
    pub e: Option<String>,
}

/// The public keys of a client (RFC 7517).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonWebKeySet {
    /// The keys.
    #[schema(min_items = 1, max_items = 5)]
    pub keys: Vec<JsonWebKey>,
}

impl JsonWebKeySet {
    /// Adds the broken rules of a set at `/jwks`.
    pub fn check(&self, check: &mut Check) {
        let count = self.keys.len();
        check.require((1..=MOST_KEYS).contains(&count), "/jwks/keys", FieldCode::OutOfRange, "must have 1 to 5 keys");
        let mut ids = BTreeSet::new();
        for (index, key) in self.keys.iter().enumerate() {
            let at = format!("/jwks/keys/{index}");
            let is_id = (1..=128).contains(&key.kid.chars().count()) && !key.kid.chars().any(char::is_control);
            check.require(is_id, format!("{at}/kid"), FieldCode::WrongValue, "must have 1 to 128 characters");
            check.require(
                ids.insert(&key.kid),
                format!("{at}/kid"),
                FieldCode::Duplicate,
                "must be unique among the keys",
            );
            for (name, value, most) in [("x", &key.x, 128), ("y", &key.y, 128), ("n", &key.n, 1024), ("e", &key.e, 16)]
            {
                let fits = value.as_ref().is_none_or(|value| value.len() <= most);
                let detail = format!("must have at most {most} characters");
                check.require(fits, format!("{at}/{name}"), FieldCode::TooLong, detail);
            }
            let fits = key.key_ops.as_ref().is_none_or(|operations| operations.len() <= 8);
            check.require(fits, format!("{at}/key_ops"), FieldCode::TooMany, "must have at most 8 elements");
            for (index, operation) in key.key_ops.iter().flatten().enumerate() {
                let fits = operation.len() <= 32;
                check.require(
                    fits,
                    format!("{at}/key_ops/{index}"),
                    FieldCode::TooLong,
                    "must be at most 32 characters",
                );
            }
            if !key.is_usable() {
                let detail = "must be a public key: EC on the curve P-256 or P-384, or RSA with 2048 to 4096 bits and the exponent AQAB";
                check.require(false, at, FieldCode::WrongValue, detail);
                continue;
            }
            let fits = key.alg.is_none_or(|algorithm| key.algorithms().contains(&algorithm));
            check.require(fits, format!("{at}/alg"), FieldCode::WrongValue, "must fit the type of the key");
        }
    }

    /// Returns the key with this id that signs with this algorithm.
    pub fn find(&self, kid: &str, algorithm: KeyAlgorithm) -> Option<DecodingKey> {
        let key = self.keys.iter().find(|key| key.kid == kid)?;
        let accepted = key.alg.is_none_or(|only| only == algorithm) && key.algorithms().contains(&algorithm);
        accepted.then(|| key.decoding())?
    }
}

impl JsonWebKey {
    /// The algorithms that fit the key.
    fn algorithms(&self) -> &'static [KeyAlgorithm] {
        match (self.kty, self.crv) {
            (KeyType::Ec, Some(Curve::P256)) => &[KeyAlgorithm::Es256],
            (KeyType::Ec, Some(Curve::P384)) => &[KeyAlgorithm::Es384],
            (KeyType::Ec, None) => &[],
            (KeyType::Rsa, _) => &[KeyAlgorithm::Rs256, KeyAlgorithm::Rs384],
        }
    }

    fn decoding(&self) -> Option<DecodingKey> {
        match self.kty {
            KeyType::Ec => DecodingKey::from_ec_components(self.x.as_deref()?, self.y.as_deref()?).ok(),
            KeyType::Rsa => DecodingKey::from_rsa_components(self.n.as_deref()?, self.e.as_deref()?).ok(),
        }
    }

    /// Whether it has the members of its type, and they are a key.
    fn is_usable(&self) -> bool {
        match self.kty {
            KeyType::Ec => self.n.is_none() && self.e.is_none() && self.is_point().unwrap_or(false),
            KeyType::Rsa => {
                let modulus = self.n.as_ref().and_then(|n| URL_SAFE_NO_PAD.decode(n).ok());
                let fits = modulus.is_some_and(|n| (256..=512).contains(&n.len()) && n[0] != 0);
                let other = self.crv.is_some() || self.x.is_some() || self.y.is_some();
                fits && !other && self.e.as_deref() == Some(EXPONENT)
            }
        }
    }

    /// Whether the coordinates are a point of the curve. None if some are missing or cannot be decoded.
    fn is_point(&self) -> Option<bool> {
        let (algorithm, length) = match self.crv? {
            Curve::P256 => (&ECDSA_P256_SHA256_FIXED, 32),
            Curve::P384 => (&ECDSA_P384_SHA384_FIXED, 48),
        };
        let decoded = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_ref()?).ok();
        let (x, y) = (decoded(&self.x)?, decoded(&self.y)?);
        let point = [&[4], x.as_slice(), y.as_slice()].concat();
        Some(x.len() == length && y.len() == length && ParsedPublicKey::new(algorithm, point).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

    /// The codes of the broken rules.
    fn broken(keys: Value) -> Vec<String> {
        let set: JsonWebKeySet = serde_json::from_value(json!({ "keys": keys })).expect("a set");
        let mut check = Check::new();
        set.check(&mut check);
        match check.done() {
            Err(crate::error::Error::Invalid(errors)) => errors.into_iter().map(|error| error.pointer).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn keys_that_could_not_verify_a_signature_are_rejected_when_they_are_registered() {
        let good = json!({"kty": "EC", "kid": "a", "crv": "P-256", "x": X, "y": Y, "use": "sig", "alg": "ES256", "ext": true, "key_ops": ["verify"]});
        assert_eq!(broken(json!([good])), [""; 0]);
        let with = |member: &str, value: Value| {
            let mut key = good.clone();
            key[member] = value;
            broken(json!([key]))
        };
        assert_eq!(with("alg", json!("ES384")), ["/jwks/keys/0/alg"]);
        assert_eq!(with("kid", json!("")), ["/jwks/keys/0/kid"]);
        for (member, value) in [
            ("y", json!(X)),
            ("crv", json!("P-384")),
            ("crv", Value::Null),
            ("x", json!("no base64!")),
            ("kty", json!("RSA")),
            ("n", json!("AQAB")),
        ] {
            assert_eq!(with(member, value), ["/jwks/keys/0"], "{member}");
        }
        let modulus = |bytes: usize| URL_SAFE_NO_PAD.encode(vec![0xc3; bytes]);
        for (n, e, fits) in [
            (modulus(256), "AQAB", true),
            (modulus(512), "AQAB", true),
            (modulus(255), "AQAB", false),
            (modulus(513), "AQAB", false),
            (modulus(256), "Aw", false),
        ] {
            let found = broken(json!([{"kty": "RSA", "kid": "r", "n": n, "e": e}]));
            assert_eq!(found.is_empty(), fits, "{n} {e}");
        }
        assert_eq!(broken(json!([good, good])), ["/jwks/keys/1/kid"]);
        assert_eq!(broken(json!([])), ["/jwks/keys"]);
        assert!(serde_json::from_value::<JsonWebKey>(json!({"kty": "EC", "kid": "a", "d": X})).is_err());
        assert!(serde_json::from_value::<JsonWebKey>(json!({"kty": "oct", "kid": "a", "k": X})).is_err());
    }
}
