//! The connection to either engine.

use diesel::{PgConnection, SqliteConnection};

/// A connection to either engine. Queries written against it run on both.
#[derive(diesel::MultiConnection)]
pub enum Conn {
    Sqlite(SqliteConnection),
    /// PostgreSQL, for several instances.
    Postgres(PgConnection),
}
