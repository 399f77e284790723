//! Locks of PostgreSQL on a name, until the end of the transaction. SQLite needs none, because its writes are serial.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

// Declared functions keep the statement prepared. PostgreSQL would parse and plan raw SQL anew each time.
#[diesel::declare_sql_function]
extern "SQL" {
    /// Returns a hash of 64 bits.
    fn hashtextextended(text: Text, seed: BigInt) -> BigInt;
    /// Takes a lock. Returns false if another transaction has it.
    fn pg_try_advisory_xact_lock(key: BigInt) -> diesel::sql_types::Bool;
    /// Waits for a lock. The result is void, and is not read.
    fn pg_advisory_xact_lock(key: BigInt) -> Text;
}

/// Waits for the lock. Locks with other seeds are others, whatever their names.
pub fn wait(conn: &mut PgConnection, name: &str, seed: i64) -> QueryResult<()> {
    diesel::select(pg_advisory_xact_lock(hashtextextended(name, seed))).execute(conn)?;
    Ok(())
}

/// Takes the lock if it is free, and returns whether it was.
pub fn try_take(conn: &mut PgConnection, name: &str, seed: i64) -> QueryResult<bool> {
    diesel::select(pg_try_advisory_xact_lock(hashtextextended(name, seed))).get_result(conn)
}
