//! The connection to either engine.
#![allow(missing_docs, reason = "the derive makes public items that it does not document")]

use diesel::{PgConnection, SqliteConnection};

/// A connection to either engine. Queries written against it run on both.
#[derive(diesel::MultiConnection)]
pub enum Conn {
    /// SQLite.
    Sqlite(SqliteConnection),
    /// PostgreSQL, for several instances.
    Postgres(PgConnection),
}
