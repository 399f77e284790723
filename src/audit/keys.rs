//! The keys that sign the audit trail. Each is random, belongs to the database and is stored encrypted. It does not
//! change with `DATA_KEYS`, so that old events can still be verified.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use diesel::prelude::*;

use crate::clock::{Clock, Entropy};
use crate::db::Conn;
use crate::db::schema::audit_keys;
use crate::error::{Error, Result};
use crate::ids::AuditKeyId;
use crate::sealed::{Place, Sealed, Sealer};
use crate::signed::Signer;

/// All keys of a database, by id.
pub struct Keys(HashMap<uuid::Uuid, Signer>);

impl Keys {
    /// Reads all keys.
    ///
    /// # Errors
    /// A fault if one cannot be decrypted.
    pub fn read(conn: &mut Conn, sealer: &Sealer) -> Result<Self> {
        let rows: Vec<(AuditKeyId, Sealed<String>)> =
            audit_keys::table.select((audit_keys::id, audit_keys::secret)).load(conn)?;
        let open = |(id, secret)| signer(sealer, id, &secret).map(|signer| (id.0, signer));
        rows.into_iter().map(open).collect::<Result<_>>().map(Self)
    }

    /// Returns the key with this id.
    pub fn find(&self, id: uuid::Uuid) -> Option<&Signer> {
        self.0.get(&id)
    }
}

fn signer(sealer: &Sealer, id: AuditKeyId, secret: &Sealed<String>) -> Result<Signer> {
    let secret = sealer.open(place(id), secret)?;
    let secret = STANDARD.decode(secret).map_err(|error| Error::internal("read a key of the audit trail", error))?;
    Signer::new(id.0, &secret)
}

fn place(id: AuditKeyId) -> Place {
    Place::new("audit_keys", "secret", id.0)
}

/// Reads the key that signs, which is the newest, or none.
///
/// # Errors
/// A fault if the key cannot be decrypted.
pub fn newest(conn: &mut Conn, sealer: &Sealer) -> Result<Option<Signer>> {
    let newest = audit_keys::table
        .order((audit_keys::created_at.desc(), audit_keys::id.desc()))
        .select((audit_keys::id, audit_keys::secret))
        .first::<(AuditKeyId, Sealed<String>)>(conn)
        .optional()?;
    newest.map(|(id, secret)| signer(sealer, id, &secret)).transpose()
}

/// Reads the key that signs, and creates the first one. Two instances that start at the same time may create two, and
/// both are valid.
///
/// # Errors
/// A fault if the key cannot be decrypted.
pub fn open(conn: &mut Conn, sealer: &Sealer, clock: &Clock, entropy: &Entropy) -> Result<Signer> {
    if let Some(signer) = newest(conn, sealer)? {
        return Ok(signer);
    }
    let (id, now) = (AuditKeyId(entropy.uuid(clock.now())), clock.now());
    let secret = sealer.seal(place(id), &STANDARD.encode(entropy.bytes::<32>()))?;
    diesel::insert_into(audit_keys::table)
        .values((audit_keys::id.eq(id), audit_keys::secret.eq(&secret), audit_keys::created_at.eq(now)))
        .execute(conn)?;
    signer(sealer, id, &secret)
}
