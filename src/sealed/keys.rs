//! The record of data keys: each key that has encrypted values in this database, with a proof that identifies it.
//!
//! The server that starts with a key records it before the key encrypts anything. The key is deleted from the record
//! when no value is encrypted with it any more. So a start needs not decrypt every column to check that it has all keys
//! and the right ones, and a recorded key is known to the server.

use diesel::prelude::*;
use diesel::result::DatabaseErrorKind;
use diesel::result::Error::DatabaseError;

use super::{Place, Sealed, Sealer};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::sealing_keys;
use crate::error::Result;

/// The place of a proof. It belongs to no row, because the proof identifies the key.
const PROOF: Place = Place { table: "sealing_keys", column: "proof", row: uuid::Uuid::nil() };

/// The process that uses the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUser {
    /// A server that starts, or a command while none runs. Every server that starts later must know the key.
    Server,
    /// A command beside a server, which may not know the key yet.
    CommandBesideServer,
}

/// Checks that the ring has every key of this database, and records its first key, which encrypts from now on.
///
/// # Errors
/// A text for the operator: which key is missing, is another one with the same id, or is not known to the server yet.
pub fn check_in(conn: &mut Conn, sealer: &Sealer, user: KeyUser, now: Timestamp) -> Result<(), String> {
    let explain = |error: crate::error::Error| format!("read the database's keys: {error}");
    let known = recorded_keys(conn).map_err(explain)?;
    for (id, proof) in &known {
        if !sealer.has(id) {
            return Err(format!("DATA_KEYS lacks the key {id}, with which values in this database are encrypted"));
        }
        if sealer.open::<String>(PROOF, proof).is_err() {
            return Err(format!(
                "DATA_KEYS: the key {id} is not the one of this database, but another one with the same id"
            ));
        }
    }
    if known.iter().any(|(id, _)| id == sealer.current()) {
        return Ok(());
    }
    if user == KeyUser::CommandBesideServer && !known.is_empty() {
        return Err(unknown_to_servers(sealer));
    }
    record(conn, sealer, now).map_err(explain)?;
    // Two instances may start at the same time with two keys of one id. The first one's key was recorded.
    match recorded_keys(conn).map_err(explain)?.iter().find(|(id, _)| id == sealer.current()) {
        Some((_, proof)) if sealer.open::<String>(PROOF, proof).is_ok() => Ok(()),
        _ => Err(format!("DATA_KEYS: another instance has another key with the id {}", sealer.current())),
    }
}

/// Returns the text for a first key that no server knows yet.
pub fn unknown_to_servers(sealer: &Sealer) -> String {
    format!(
        "no server has started with {} as its first key yet. Restart the service with it on all instances, and run this command again",
        sealer.current()
    )
}

/// Returns the ids of the keys with which values may be encrypted.
pub fn ids(conn: &mut Conn) -> Result<Vec<String>> {
    Ok(sealing_keys::table.order(sealing_keys::id).select(sealing_keys::id).load(conn)?)
}

/// Deletes a key from the record. No value may be encrypted with it, and it must not be the first key of any instance.
pub fn forget(tx: &mut Conn, id: &str) -> Result<()> {
    diesel::delete(sealing_keys::table.find(id)).execute(tx)?;
    Ok(())
}

fn recorded_keys(conn: &mut Conn) -> Result<Vec<(String, Sealed<String>)>> {
    Ok(sealing_keys::table.order(sealing_keys::id).select((sealing_keys::id, sealing_keys::proof)).load(conn)?)
}

fn record(conn: &mut Conn, sealer: &Sealer, now: Timestamp) -> Result<()> {
    let id = sealer.current().to_owned();
    let row = (
        sealing_keys::id.eq(&id),
        sealing_keys::proof.eq(sealer.seal(PROOF, &id)?),
        sealing_keys::first_used_at.eq(now),
    );
    // Outside of a transaction, so that nothing else is lost if another instance was faster.
    match diesel::insert_into(sealing_keys::table).values(row).execute(conn) {
        Ok(_) | Err(DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
