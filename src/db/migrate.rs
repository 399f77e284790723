//! Bringing a database to this program's schema, and refusing one that is ahead of it.

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::migration::{Migration, MigrationSource, MigrationVersion};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{Conn, Target};

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// Several instances may start at once; the first migrates, the others wait for this lock.
const LOCK: &str = "SELECT pg_advisory_lock(4703213190281733)";
const UNLOCK: &str = "SELECT pg_advisory_unlock(4703213190281733)";

/// Waits until no other instance migrates or fills this database, and keeps the others waiting for as long as the
/// connection that it returns is open. SQLite needs none: it has one server, and one writer.
///
/// # Errors
/// In words for the operator.
pub fn alone(target: &Target) -> Result<Option<Conn>, String> {
    let Target::Postgres(_) = target else { return Ok(None) };
    let mut conn = super::connect(target)?;
    lock(&mut conn).map_err(|error| format!("wait for the migration lock: {error}"))?;
    Ok(Some(conn))
}

/// How a database stands to this program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// They fit.
    Current,
    /// So many migrations are pending.
    Behind(usize),
    /// The database has migrations that this program does not know.
    Ahead(Vec<String>),
}

/// Compares the database's migrations with the program's.
///
/// # Errors
/// In words for the operator.
pub fn standing(conn: &mut Conn) -> Result<Standing, String> {
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
        return Ok(Standing::Ahead(unknown));
    }
    let pending = known.iter().filter(|version| !applied.contains(version)).count();
    Ok(if pending == 0 { Standing::Current } else { Standing::Behind(pending) })
}

fn versions<DB: diesel::backend::Backend>(migrations: &[Box<dyn Migration<DB>>]) -> Vec<MigrationVersion<'static>> {
    migrations.iter().map(|migration| migration.name().version().as_owned()).collect()
}

/// Runs what is pending and says how many migrations that was.
///
/// # Errors
/// In words for the operator; a database that is ahead of the program is left as it is.
pub fn run(conn: &mut Conn) -> Result<usize, String> {
    // On SQLite only who has something to do waits for the lock, which a busy server may hold, and looks again once it is
    // theirs. On PostgreSQL even looking is not safe without it: diesel makes its own table then.
    if matches!(conn, Conn::Sqlite(_)) && standing(conn)? == Standing::Current {
        return Ok(0);
    }
    lock(conn).map_err(|error| format!("wait for the migration lock: {error}"))?;
    let result = run_alone(conn);
    unlock(conn, result.is_ok()).map_err(|error| format!("release the migration lock: {error}"))?;
    result
}

/// On SQLite the lock is a transaction around all of it; the migrations' own become savepoints inside.
fn lock(conn: &mut Conn) -> diesel::QueryResult<()> {
    match conn {
        Conn::Sqlite(conn) => AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE"),
        Conn::Postgres(conn) => conn.batch_execute(LOCK),
    }
}

fn unlock(conn: &mut Conn, keep: bool) -> diesel::QueryResult<()> {
    match conn {
        Conn::Sqlite(conn) if keep => AnsiTransactionManager::commit_transaction(conn),
        Conn::Sqlite(conn) => AnsiTransactionManager::rollback_transaction(conn),
        Conn::Postgres(conn) => conn.batch_execute(UNLOCK),
    }
}

fn run_alone(conn: &mut Conn) -> Result<usize, String> {
    match standing(conn)? {
        Standing::Current => Ok(0),
        Standing::Ahead(unknown) => Err(ahead(&unknown)),
        Standing::Behind(pending) => {
            match conn {
                Conn::Sqlite(conn) => conn.run_pending_migrations(SQLITE).map(|_| ()),
                Conn::Postgres(conn) => conn.run_pending_migrations(POSTGRES).map(|_| ()),
            }
            .map_err(|error| format!("migrate: {error}"))?;
            Ok(pending)
        }
    }
}

/// The sentence for a database that a newer program has migrated.
pub fn ahead(unknown: &[String]) -> String {
    format!(
        "the database is newer than this program: it has the migrations {} that this version does not know. \
         Start the newer version, or restore a backup from before the upgrade.",
        unknown.join(", ")
    )
}

/// Takes back the newest migration; for the test that proves each can be.
///
/// # Errors
/// In words for the operator.
pub fn revert_all(conn: &mut Conn) -> Result<(), String> {
    match conn {
        Conn::Sqlite(conn) => conn.revert_all_migrations(SQLITE).map(|_| ()),
        Conn::Postgres(conn) => conn.revert_all_migrations(POSTGRES).map(|_| ()),
    }
    .map_err(|error| format!("revert: {error}"))
}
