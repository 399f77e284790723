//! The password between the two steps of a sign-in with a second factor. The form of the second step carries it encrypted, so that the page
//! does not have it in clear text and the server keeps nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::env::Env;
use crate::error::Result;
use crate::sealed::{Place, Sealed};

/// How long the second step may take.
const LASTS: SignedDuration = SignedDuration::from_mins(10);

/// Binds the encrypted password to this use. It is in no table.
const PLACE: Place = Place { table: "sign-in", column: "password", row: uuid::Uuid::nil() };

#[derive(Serialize, Deserialize)]
struct Pending {
    email: String,
    password: String,
    until: Timestamp,
}

/// Encrypts a password that was right, for the account of this address.
pub(super) fn keep(env: &Env, email: &str, password: &str) -> Result<String> {
    let until = env.now().plus(LASTS);
    let pending = Pending { email: email.to_owned(), password: password.to_owned(), until };
    Ok(URL_SAFE_NO_PAD.encode(env.sealer.seal(PLACE, &pending)?.as_bytes()))
}

/// Decrypts the password; none if it is not of this address, too old, or made up.
pub(super) fn password(env: &Env, email: &str, kept: &str) -> Option<String> {
    let sealed = Sealed::<Pending>::from_bytes(URL_SAFE_NO_PAD.decode(kept).ok()?);
    let pending = env.sealer.open(PLACE, &sealed).ok()?;
    (pending.email == email && pending.until > env.now()).then_some(pending.password)
}
