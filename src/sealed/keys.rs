//! The record of data keys: each key that ever sealed anything in this database, with a proof to know it by.
//!
//! A key is written down before it seals for the first time, by the server that starts with it, and forgotten when nothing is
//! sealed under it any more. So the start need not open every sealed column to see whether it has all the keys, and the
//! very same ones; and a key that is written down is one that the server knows.

use diesel::prelude::*;
use diesel::result::DatabaseErrorKind;
use diesel::result::Error::DatabaseError;

use super::{Place, Sealed, Sealer};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::sealing_keys;
use crate::error::Result;

/// The place of a proof. It belongs to no row of its own: the key is what it tells apart.
const PROOF: Place = Place { table: "sealing_keys", column: "proof", row: uuid::Uuid::nil() };

/// Who checks in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// A server that starts, or a command while none runs: every server that starts later will have to know the key.
    First,
    /// A command beside a server, which may not know the key yet.
    Beside,
}

/// Sees to it that the ring has every key of this database, and writes down its first one, which seals from now on.
///
/// # Errors
/// In words for the operator: which key is missing, is another one of the same name, or is not known to the server yet.
pub fn check_in(conn: &mut Conn, sealer: &Sealer, by: By, now: Timestamp) -> Result<(), String> {
    let explain = |error: crate::error::Error| format!("read the database's keys: {error}");
    let known = all(conn).map_err(explain)?;
    for (id, proof) in &known {
        if !sealer.has(id) {
            return Err(format!("DATA_KEYS lacks the key {id}, under which this database holds sealed values"));
        }
        if sealer.open::<String>(PROOF, proof).is_err() {
            return Err(format!(
                "DATA_KEYS: the key {id} is not the one of this database, but another of the same name"
            ));
        }
    }
    if known.iter().any(|(id, _)| id == sealer.current()) {
        return Ok(());
    }
    if by == By::Beside && !known.is_empty() {
        return Err(unknown_to_servers(sealer));
    }
    write_down(conn, sealer, now).map_err(explain)?;
    // Two instances may start at once, with two keys of one name: the first one's was written down.
    match all(conn).map_err(explain)?.iter().find(|(id, _)| id == sealer.current()) {
        Some((_, proof)) if sealer.open::<String>(PROOF, proof).is_ok() => Ok(()),
        _ => Err(format!("DATA_KEYS: another instance has another key by the name {}", sealer.current())),
    }
}

/// That no server has said yet that it has the first key.
pub fn unknown_to_servers(sealer: &Sealer) -> String {
    format!(
        "no server has started with {} as its first key yet: restart the service with it, on all instances, and run this again",
        sealer.current()
    )
}

/// The ids of the keys under which anything may be sealed.
///
/// # Errors
/// The database's.
pub fn ids(conn: &mut Conn) -> Result<Vec<String>> {
    Ok(sealing_keys::table.order(sealing_keys::id).select(sealing_keys::id).load(conn)?)
}

/// Forgets a key. Nothing may be sealed under it any more, and nobody may seal with it: it must not be any instance's first.
///
/// # Errors
/// The database's.
pub fn forget(tx: &mut Conn, id: &str) -> Result<()> {
    diesel::delete(sealing_keys::table.find(id)).execute(tx)?;
    Ok(())
}

fn all(conn: &mut Conn) -> Result<Vec<(String, Sealed<String>)>> {
    Ok(sealing_keys::table.order(sealing_keys::id).select((sealing_keys::id, sealing_keys::proof)).load(conn)?)
}

fn write_down(conn: &mut Conn, sealer: &Sealer, now: Timestamp) -> Result<()> {
    let id = sealer.current().to_owned();
    let row = (
        sealing_keys::id.eq(&id),
        sealing_keys::proof.eq(sealer.seal(PROOF, &id)?),
        sealing_keys::first_used_at.eq(now),
    );
    // Outside of a transaction, so that nothing else is lost where another instance was quicker.
    match diesel::insert_into(sealing_keys::table).values(row).execute(conn) {
        Ok(_) | Err(DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
