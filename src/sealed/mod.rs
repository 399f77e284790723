//! Values that are encrypted before they are stored: AES-256-GCM with a named key, bound to their place.

pub mod columns;
pub mod key_file;
pub mod keys;
pub mod rotation;

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, RandomizedNonceKey};
use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql};
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Binary;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// The layout of an encrypted value: this byte, the length of the key id, the key id, the nonce, the ciphertext with
/// its tag.
const LAYOUT: u8 = 1;
const NONCE_LEN: usize = 12;

/// An encrypted `T`, as stored in the database. Only a [`Sealer`] creates and decrypts it.
#[derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
#[diesel(sql_type = Binary)]
pub struct Sealed<T> {
    bytes: Vec<u8>,
    content: PhantomData<fn() -> T>,
}

impl<T> Sealed<T> {
    /// Takes bytes from the database.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes, content: PhantomData }
    }

    /// Returns the bytes for the database.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl<T> Clone for Sealed<T> {
    fn clone(&self) -> Self {
        Self::from_bytes(self.bytes.clone())
    }
}

impl<T> fmt::Debug for Sealed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.bytes.len())
    }
}

impl<T, DB: Backend> FromSql<Binary, DB> for Sealed<T>
where
    Vec<u8>: FromSql<Binary, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Vec::<u8>::from_sql(value).map(Self::from_bytes)
    }
}

impl<T: std::fmt::Debug, DB: Backend> ToSql<Binary, DB> for Sealed<T>
where
    [u8]: ToSql<Binary, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.as_bytes().to_sql(out)
    }
}

/// The place of an encrypted value. A value that is moved to another row or column cannot be decrypted.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The table's name.
    pub table: &'static str,
    /// The column's name.
    pub column: &'static str,
    /// The row's id.
    pub row: uuid::Uuid,
}

impl Place {
    pub fn new(table: &'static str, column: &'static str, row: impl Into<uuid::Uuid>) -> Self {
        Self { table, column, row: row.into() }
    }

    fn fault(&self, what: &str) -> Error {
        Error::fault(format!("{what} in {}.{} of {}", self.table, self.column, self.row))
    }

    fn aad(&self) -> Vec<u8> {
        [self.table.as_bytes(), b"\0", self.column.as_bytes(), b"\0", self.row.as_bytes()].concat()
    }
}

/// The ring of data keys. The first key encrypts. Every key decrypts its own values.
#[derive(Clone)]
pub struct Sealer(Arc<Ring>);

struct Ring {
    current: String,
    keys: HashMap<String, RandomizedNonceKey>,
    /// One for each key, in the ring's order.
    fingerprints: Vec<hmac::Key>,
}

impl Sealer {
    /// Reads a ring from `id:base64 of 32 bytes`, comma-separated, with the encrypting key first.
    ///
    /// # Errors
    /// A text for the operator, without the key.
    pub fn parse(ring: &str) -> Result<Self, String> {
        let mut keys = HashMap::new();
        let mut first = None;
        let mut fingerprints = Vec::new();
        for entry in ring.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (id, secret) = entry.split_once(':').ok_or("DATA_KEYS: each entry is `id:base64`")?;
            if id.is_empty() || id.len() > 32 || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
                return Err("DATA_KEYS: a key id is 1 to 32 letters, digits or hyphens".into());
            }
            let secret = STANDARD.decode(secret).map_err(|_| format!("DATA_KEYS: key {id} is not base64"))?;
            if secret.len() != 32 {
                return Err(format!("DATA_KEYS: key {id} has {} bytes, not 32", secret.len()));
            }
            let key = RandomizedNonceKey::new(&AES_256_GCM, &secret)
                .map_err(|_| format!("DATA_KEYS: key {id} was refused by the cipher"))?;
            if keys.insert(id.to_owned(), key).is_some() {
                return Err(format!("DATA_KEYS: key {id} stands there twice"));
            }
            let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), b"legwork request fingerprints");
            fingerprints.push(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()));
            first.get_or_insert_with(|| id.to_owned());
        }
        let current = first.ok_or("DATA_KEYS: at least one key is needed")?;
        Ok(Self(Arc::new(Ring { current, keys, fingerprints })))
    }

    /// Returns the id of the key that encrypts.
    pub fn current(&self) -> &str {
        &self.0.current
    }

    /// Returns whether the ring has a key with this id.
    pub fn has(&self, id: &str) -> bool {
        self.0.keys.contains_key(id)
    }

    /// Returns the ids of the ring's keys, in no order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys.keys().map(String::as_str)
    }

    /// Encrypts `value` for `place`.
    ///
    /// # Errors
    /// A fault if the value cannot be serialised.
    pub fn seal<T: Serialize>(&self, place: Place, value: &T) -> Result<Sealed<T>> {
        let text = serde_json::to_vec(value).map_err(|error| Error::internal("serialise a sealed value", error))?;
        Ok(Sealed::from_bytes(self.seal_bytes(place, text)?))
    }

    fn seal_bytes(&self, place: Place, mut text: Vec<u8>) -> Result<Vec<u8>> {
        let key = &self.0.keys[&self.0.current];
        let nonce = key
            .seal_in_place_append_tag(Aad::from(place.aad()), &mut text)
            .map_err(|error| Error::internal("seal a value", error))?;
        let id = self.0.current.as_bytes();
        let mut bytes = Vec::with_capacity(2 + id.len() + NONCE_LEN + text.len());
        bytes.push(LAYOUT);
        bytes.push(u8::try_from(id.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(id);
        bytes.extend_from_slice(nonce.as_ref());
        bytes.extend_from_slice(&text);
        Ok(bytes)
    }

    /// Decrypts a value of `place`.
    ///
    /// # Errors
    /// A fault if the key is missing, or the value was changed or belongs elsewhere. It does not contain the value.
    pub fn open<T: DeserializeOwned>(&self, place: Place, sealed: &Sealed<T>) -> Result<T> {
        let text = self.open_bytes(place, sealed.as_bytes())?;
        serde_json::from_slice(&text).map_err(|_| place.fault("value of another shape"))
    }

    /// Encrypts the same value with the ring's first key. None if it is encrypted with that key already.
    ///
    /// # Errors
    /// Those of [`Sealer::open`].
    pub fn reseal(&self, place: Place, bytes: &[u8]) -> Result<Option<Vec<u8>>> {
        if key_id(bytes) == Some(self.current()) {
            return Ok(None);
        }
        let text = self.open_bytes(place, bytes)?;
        self.seal_bytes(place, text).map(Some)
    }

    fn open_bytes(&self, place: Place, bytes: &[u8]) -> Result<Vec<u8>> {
        let fault = |what: &str| place.fault(what);
        let (&[layout, id_len], rest) = bytes.split_first_chunk().ok_or_else(|| fault("truncated value"))?;
        if layout != LAYOUT {
            return Err(fault("unknown layout"));
        }
        let (id, rest) = rest.split_at_checked(usize::from(id_len)).ok_or_else(|| fault("truncated value"))?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(|| fault("truncated value"))?;
        let key = std::str::from_utf8(id)
            .ok()
            .and_then(|id| self.0.keys.get(id))
            .ok_or_else(|| fault("sealed under a key that DATA_KEYS lacks"))?;
        let mut text = rest.to_vec();
        let clear = key
            .open_in_place(nonce.into(), Aad::from(place.aad()), &mut text)
            .map_err(|_| fault("value that was changed or moved"))?
            .len();
        text.truncate(clear);
        Ok(text)
    }

    /// Returns a keyed digest of a request. Equal requests have equal digests. Without the key it says nothing about
    /// the request.
    pub fn fingerprint(&self, parts: &[&[u8]]) -> Vec<u8> {
        digest(&self.0.fingerprints[0], parts)
    }

    /// Returns whether a digest is that of this request with any key of the ring, because a repeat may come after a key
    /// rotation.
    pub fn is_fingerprint(&self, known: &[u8], parts: &[&[u8]]) -> bool {
        // In constant time, because a caller may try to forge one.
        let is_known = |key| constant_time::verify_slices_are_equal(&digest(key, parts), known).is_ok();
        self.0.fingerprints.iter().any(is_known)
    }
}

fn digest(key: &hmac::Key, parts: &[&[u8]]) -> Vec<u8> {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context.sign().as_ref().to_vec()
}

/// Returns the id of the key with which a value is encrypted. None if it is no encrypted value.
pub fn key_id(bytes: &[u8]) -> Option<&str> {
    let (&[layout, id_len], rest) = bytes.split_first_chunk()?;
    let (id, _) = rest.split_at_checked(usize::from(id_len))?;
    (layout == LAYOUT).then(|| std::str::from_utf8(id).ok())?
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer(sealing with {})", self.0.current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(ids: &[&str]) -> Sealer {
        let entries: Vec<_> =
            ids.iter().map(|id| format!("{id}:{}", STANDARD.encode([id.as_bytes()[0]; 32]))).collect();
        Sealer::parse(&entries.join(",")).expect("a ring")
    }

    #[test]
    fn an_encrypted_value_is_decrypted_in_its_place_only() {
        let sealer = ring(&["a"]);
        let row = uuid::Uuid::from_u128(1);
        let place = Place::new("appointments", "note", row);
        let sealed = sealer.seal(place, &"crawling".to_owned()).expect("sealed");
        assert_eq!(sealer.open(place, &sealed).expect("opened"), "crawling");
        assert!(sealer.open(Place::new("appointments", "note", uuid::Uuid::from_u128(2)), &sealed).is_err());
        assert!(sealer.open(Place::new("appointments", "reason", row), &sealed).is_err());
        assert!(!sealed.as_bytes().windows(8).any(|window| window == b"crawling"));
    }

    #[test]
    fn values_of_an_older_key_are_decrypted_and_a_missing_key_is_named() {
        let place = Place::new("t", "c", uuid::Uuid::nil());
        let old = ring(&["a"]).seal(place, &7).expect("sealed");
        assert_eq!(ring(&["b", "a"]).open(place, &old).expect("opened"), 7);
        let error = ring(&["b"]).open(place, &old).expect_err("no key");
        assert!(error.to_string().contains("DATA_KEYS lacks"));
    }

    #[test]
    fn a_rotation_encrypts_with_the_first_key_in_the_same_place_only() {
        let place = Place::new("t", "c", uuid::Uuid::nil());
        let old = ring(&["a"]).seal(place, &"text".to_owned()).expect("sealed");
        let both = ring(&["b", "a"]);
        let new = both.reseal(place, old.as_bytes()).expect("opened").expect("another key");
        assert_eq!((key_id(old.as_bytes()), key_id(&new)), (Some("a"), Some("b")));
        assert_eq!(ring(&["b"]).open::<String>(place, &Sealed::from_bytes(new.clone())).expect("opened"), "text");
        assert!(both.reseal(place, &new).expect("nothing to do").is_none());
        assert!(both.reseal(Place::new("t", "d", uuid::Uuid::nil()), old.as_bytes()).is_err());
        assert!(ring(&["b"]).reseal(place, old.as_bytes()).is_err());
        for no_value in [&b""[..], &[1], &[1, 9, b'a'], &[2, 1, b'a']] {
            assert_eq!(key_id(no_value), None);
        }
    }

    #[test]
    fn a_fingerprint_is_recognised_after_a_rotation() {
        let told = ring(&["a"]).fingerprint(&[b"book", b"body"]);
        let both = ring(&["b", "a"]);
        assert_ne!(both.fingerprint(&[b"book", b"body"]), told);
        assert!(both.is_fingerprint(&told, &[b"book", b"body"]));
        assert!(!both.is_fingerprint(&told, &[b"bookb", b"ody"]));
        assert!(!ring(&["b"]).is_fingerprint(&told, &[b"book", b"body"]));
    }

    #[test]
    fn every_changed_byte_is_detected() {
        let sealer = ring(&["a"]);
        let place = Place::new("t", "c", uuid::Uuid::nil());
        let sealed = sealer.seal(place, &"text".to_owned()).expect("sealed");
        for at in 0..sealed.as_bytes().len() {
            let mut bytes = sealed.as_bytes().to_vec();
            bytes[at] ^= 1;
            assert!(sealer.open(place, &Sealed::<String>::from_bytes(bytes)).is_err(), "byte {at}");
        }
    }
}
