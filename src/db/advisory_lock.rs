//! Locks of PostgreSQL on a name or a key, until the end of the transaction. SQLite needs none, because its writes are serial.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::Conn;

// Declared functions keep the statement prepared. PostgreSQL would parse and plan raw SQL anew each time.
#[diesel::declare_sql_function]
extern "SQL" {
    /// Returns a hash of 64 bits.
    fn hashtextextended(text: Text, seed: BigInt) -> BigInt;
    /// Takes a lock. Returns false if another transaction has it.
    fn pg_try_advisory_xact_lock(key: BigInt) -> diesel::sql_types::Bool;
    /// Waits for a lock. The result is void, and is not read.
    fn pg_advisory_xact_lock(key: BigInt) -> Text;
    /// Waits for a lock that others may share. The result is void, and is not read.
    fn pg_advisory_xact_lock_shared(key: BigInt) -> Text;
}

/// The key of the lock that one instance holds while it migrates. Versions of the service that run together share these keys.
pub const MIGRATING: i64 = 4_703_213_190_281_733;
/// The key of the lock of the instance that seals audit events.
pub const SEALING: i64 = 4_703_213_190_281_735;
/// The key of the lock of a transaction that changes the clinic's set-up.
pub const SET_UP: i64 = 4_703_213_190_281_736;

/// The key of the lock of a transaction that holds slots for a caller without an account.
pub const STRANGERS_HOLDS: i64 = 4_703_213_190_281_737;

/// The key of the lock of a transaction that publishes a consent document.
pub const CONSENT_DOCUMENTS: i64 = 4_703_213_190_281_739;

/// The key of the lock of a transaction that creates a webhook.
pub const WEBHOOKS: i64 = 4_703_213_190_281_740;

/// The key of the lock of the instance that numbers events.
pub const NUMBERING: i64 = 4_703_213_190_281_738;

/// Waits for the lock of a key. On SQLite it returns at once.
pub fn wait_for_key(conn: &mut Conn, key: i64) -> QueryResult<()> {
    if let Conn::Postgres(conn) = conn {
        diesel::select(pg_advisory_xact_lock(key)).execute(conn)?;
    }
    Ok(())
}

/// Takes the lock of a key if it is free, and returns whether it was.
pub fn try_take_key(conn: &mut PgConnection, key: i64) -> QueryResult<bool> {
    diesel::select(pg_try_advisory_xact_lock(key)).get_result(conn)
}

/// Waits for the lock. Locks with other seeds are others, whatever their names.
pub fn wait(conn: &mut PgConnection, name: &str, seed: i64) -> QueryResult<()> {
    diesel::select(pg_advisory_xact_lock(hashtextextended(name, seed))).execute(conn)?;
    Ok(())
}

/// Waits until nobody has the lock alone, and shares it.
pub fn wait_shared(conn: &mut PgConnection, name: &str, seed: i64) -> QueryResult<()> {
    diesel::select(pg_advisory_xact_lock_shared(hashtextextended(name, seed))).execute(conn)?;
    Ok(())
}

/// Takes the lock if it is free, and returns whether it was.
pub fn try_take(conn: &mut PgConnection, name: &str, seed: i64) -> QueryResult<bool> {
    diesel::select(pg_try_advisory_xact_lock(hashtextextended(name, seed))).get_result(conn)
}
