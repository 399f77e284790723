//! Rows that prove which server wrote them: an HMAC-SHA256 over all columns, with a key that is stored encrypted.

use std::fmt;

use aws_lc_rs::hmac;

use crate::error::{Error, Result};

/// The length of a digest in bytes.
pub const DIGEST: usize = 32;

/// A key that signs and verifies.
#[derive(Clone)]
pub struct Signer {
    /// The id by which signed rows refer to the key.
    pub id: uuid::Uuid,
    key: hmac::Key,
}

impl Signer {
    /// Takes a secret of 32 bytes.
    ///
    /// # Errors
    /// A fault if the secret is shorter.
    pub fn new(id: uuid::Uuid, secret: &[u8]) -> Result<Self> {
        if secret.len() < DIGEST {
            return Err(Error::fault("a signing key is too short"));
        }
        Ok(Self { id, key: hmac::Key::new(hmac::HMAC_SHA256, secret) })
    }

    /// Returns the digest of a statement.
    pub fn sign(&self, statement: &Statement) -> Vec<u8> {
        hmac::sign(&self.key, &statement.0).as_ref().to_vec()
    }

    /// Returns whether the digest is that of the statement. Compares in constant time.
    pub fn is_right(&self, statement: &Statement, digest: &[u8]) -> bool {
        hmac::verify(&self.key, &statement.0, digest).is_ok()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.id)
    }
}

/// The signed content in a stable encoding. Each part has its length, so that no two rows have the same encoding.
pub struct Statement(Vec<u8>);

impl Statement {
    /// Begins a statement. `kind` separates tables and versions.
    pub fn new(kind: &str) -> Self {
        Self(Vec::with_capacity(256)).with(Some(kind.as_bytes()))
    }

    /// Adds a part. A missing part and an empty part differ.
    #[must_use]
    pub fn with(mut self, part: Option<&[u8]>) -> Self {
        match part {
            None => self.0.push(0),
            Some(bytes) => {
                self.0.push(1);
                self.0.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
                self.0.extend_from_slice(bytes);
            }
        }
        self
    }

    /// Adds a whole number.
    #[must_use]
    pub fn with_number(self, number: i64) -> Self {
        self.with(Some(&number.to_be_bytes()))
    }

    /// Adds an id.
    #[must_use]
    pub fn with_id(self, id: Option<uuid::Uuid>) -> Self {
        self.with(id.as_ref().map(|id| id.as_bytes().as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rows_have_the_same_encoding() {
        let signer = Signer::new(uuid::Uuid::nil(), &[7; 32]).expect("a key");
        let parts: [&[Option<&[u8]>]; 6] = [
            &[Some(b"ab"), Some(b"c")],
            &[Some(b"a"), Some(b"bc")],
            &[Some(b"abc")],
            &[None, Some(b"")],
            &[Some(b""), None],
            &[],
        ];
        let digests: std::collections::BTreeSet<_> = parts
            .iter()
            .map(|parts| signer.sign(&parts.iter().fold(Statement::new("t"), |statement, part| statement.with(*part))))
            .collect();
        assert_eq!(digests.len(), parts.len());
        let digest = signer.sign(&Statement::new("t"));
        assert!(signer.is_right(&Statement::new("t"), &digest));
        assert!(!signer.is_right(&Statement::new("u"), &digest));
        assert!(Signer::new(uuid::Uuid::nil(), &[7; 31]).is_err());
    }
}
