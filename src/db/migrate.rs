//! Migrates a database to this program's schema, and rejects one with a newer schema.

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::migration::{Migration, MigrationSource, MigrationVersion};
use diesel::prelude::*;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::advisory_lock::MIGRATING;
use super::{Conn, Target};

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// Waits until no other instance migrates or fills this database. The others then wait while the returned connection is
/// open. SQLite needs no lock, because it has one server and one writer.
///
/// # Errors
/// A text for the operator.
pub fn lock_alone(target: &Target) -> Result<Option<Conn>, String> {
    let Target::Postgres(_) = target else { return Ok(None) };
    let mut conn = super::connect(target)?;
    lock(&mut conn).map_err(|error| format!("wait for the migration lock: {error}"))?;
    Ok(Some(conn))
}

/// The database's schema compared with this program's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaStatus {
    /// They are equal.
    Current,
    /// This many migrations are pending.
    Behind(usize),
    /// The database has migrations that this program does not know.
    Ahead(Vec<String>),
}

/// Compares the database's migrations with the program's.
///
/// # Errors
/// A text for the operator.
pub fn schema_status(conn: &mut Conn) -> Result<SchemaStatus, String> {
    let explain = |error: Box<dyn std::error::Error + Send + Sync>| format!("read the schema's version: {error}");
    let (known, applied) = match conn {
        Conn::Sqlite(conn) => {
            let known = MigrationSource::<diesel::sqlite::Sqlite>::migrations(&SQLITE).map_err(explain)?;
            (versions(&known), conn.applied_migrations().map_err(explain)?)
        }
        Conn::Postgres(conn) => {
            let known = MigrationSource::<diesel::pg::Pg>::migrations(&POSTGRES).map_err(explain)?;
            (versions(&known), conn.applied_migrations().map_err(explain)?)
        }
    };
    let unknown: Vec<_> = applied.iter().filter(|version| !known.contains(version)).map(ToString::to_string).collect();
    if !unknown.is_empty() {
        return Ok(SchemaStatus::Ahead(unknown));
    }
    let pending = known.iter().filter(|version| !applied.contains(version)).count();
    Ok(if pending == 0 { SchemaStatus::Current } else { SchemaStatus::Behind(pending) })
}

fn versions<DB: diesel::backend::Backend>(migrations: &[Box<dyn Migration<DB>>]) -> Vec<MigrationVersion<'static>> {
    migrations.iter().map(|migration| migration.name().version().as_owned()).collect()
}

/// Creates a database in memory with this program's schema, to compare another one with.
///
/// # Errors
/// A text for the operator.
pub(crate) fn in_memory() -> Result<SqliteConnection, String> {
    let mut conn = SqliteConnection::establish(":memory:").map_err(|error| format!("open a database: {error}"))?;
    conn.run_pending_migrations(SQLITE).map_err(|error| format!("migrate: {error}"))?;
    Ok(conn)
}

/// Runs the pending migrations and returns how many there were.
///
/// # Errors
/// A text for the operator. A database that is newer than the program is not changed.
pub fn run(conn: &mut Conn) -> Result<usize, String> {
    // On SQLite a busy server may hold the lock, so only a program with pending migrations waits for it, and compares
    // again. On PostgreSQL even comparing needs the lock, because diesel then creates its own table.
    if matches!(conn, Conn::Sqlite(_)) && schema_status(conn)? == SchemaStatus::Current {
        return Ok(0);
    }
    lock(conn).map_err(|error| format!("wait for the migration lock: {error}"))?;
    let result = run_locked(conn);
    unlock(conn, result.is_ok()).map_err(|error| format!("release the migration lock: {error}"))?;
    result
}

/// Several instances may start at the same time. The first migrates, and the others wait for this lock of the session. On SQLite the
/// lock is a transaction around everything. The migrations' own transactions become savepoints in it.
fn lock(conn: &mut Conn) -> diesel::QueryResult<()> {
    match conn {
        Conn::Sqlite(conn) => AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE"),
        Conn::Postgres(conn) => conn.batch_execute(&format!("SELECT pg_advisory_lock({MIGRATING})")),
    }
}

fn unlock(conn: &mut Conn, keep: bool) -> diesel::QueryResult<()> {
    match conn {
        Conn::Sqlite(conn) if keep => AnsiTransactionManager::commit_transaction(conn),
        Conn::Sqlite(conn) => AnsiTransactionManager::rollback_transaction(conn),
        Conn::Postgres(conn) => conn.batch_execute(&format!("SELECT pg_advisory_unlock({MIGRATING})")),
    }
}

fn run_locked(conn: &mut Conn) -> Result<usize, String> {
    match schema_status(conn)? {
        SchemaStatus::Current => Ok(0),
        SchemaStatus::Ahead(unknown) => Err(newer_database_text(&unknown)),
        SchemaStatus::Behind(pending) => {
            match conn {
                Conn::Sqlite(conn) => conn.run_pending_migrations(SQLITE).map(|_| ()),
                Conn::Postgres(conn) => conn.run_pending_migrations(POSTGRES).map(|_| ()),
            }
            .map_err(|error| format!("migrate: {error}"))?;
            Ok(pending)
        }
    }
}

/// Returns the text for a database that a newer program has migrated.
pub fn newer_database_text(unknown: &[String]) -> String {
    format!(
        "the database is newer than this program: it has the migrations {} that this version does not know. \
         Start the newer version, or restore a backup from before the upgrade.",
        unknown.join(", ")
    )
}

/// Reverts all migrations, for the test that proves that each can be reverted.
///
/// # Errors
/// A text for the operator.
pub fn revert_all(conn: &mut Conn) -> Result<(), String> {
    match conn {
        Conn::Sqlite(conn) => conn.revert_all_migrations(SQLITE).map(|_| ()),
        Conn::Postgres(conn) => conn.revert_all_migrations(POSTGRES).map(|_| ()),
    }
    .map_err(|error| format!("revert: {error}"))
}
