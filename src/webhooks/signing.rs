//! Secrets and signatures, by the conventions of Standard Webhooks.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::clock::Entropy;

/// The beginning of every secret.
const PREFIX: &str = "whsec_";

/// Returns a new secret of 256 random bits.
pub fn new_secret(entropy: &Entropy) -> String {
    format!("{PREFIX}{}", STANDARD.encode(entropy.bytes::<32>()))
}

/// Returns the value of `webhook-signature`: one signature for each secret, separated by spaces. A secret that cannot be read is left out.
pub fn signatures(secrets: &[String], id: &str, timestamp: i64, body: &str) -> String {
    let keys = secrets.iter().filter_map(|secret| STANDARD.decode(secret.strip_prefix(PREFIX)?).ok());
    let sign = |key: Vec<u8>| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let tag = hmac::sign(&key, format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(tag.as_ref()))
    };
    keys.map(sign).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", r#"{"test": 2432232314}"#);
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signatures(std::slice::from_ref(&secret), id, 1_614_265_330, body), signature);
        let both = signatures(&[secret, new_secret(&Entropy::seeded(7))], id, 1_614_265_330, body);
        assert!(both.starts_with(&format!("{signature} v1,")), "{both}");
    }
}
