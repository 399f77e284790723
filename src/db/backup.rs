//! Copies the SQLite database while the service runs.

use std::fs::File;
use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::Target;
use super::sqlite_file::{connect_plain, folder_of};

/// The text for PostgreSQL.
pub(super) const POSTGRES: &str = "PostgreSQL is backed up with its own tools, while the service runs:\n\n  \
    pg_dump --format=custom --file=FILE \"$DATABASE_URL\"\n\n\
    Restore it with `pg_restore --no-owner --role=ROLE --dbname=…` into an empty database of the service's role (ROLE). Keep \
    DATA_KEYS and JWT_SECRET apart from it: they are not in it, and without DATA_KEYS encrypted values are lost.";

#[derive(QueryableByName)]
struct Finding {
    #[diesel(sql_type = Text)]
    integrity_check: String,
}

/// Copies the current state of the database into a new file, and returns a text for the operator.
///
/// `VACUUM INTO` reads one snapshot, so neither the writer nor the readers of a running service wait for it. The copy
/// is checked before it gets its name, and is on disk when this returns.
///
/// # Errors
/// A text for the operator: the file exists already, or the copy cannot be written or is damaged. On PostgreSQL always,
/// with the commands to use instead.
pub fn backup(target: &Target, file: &Path) -> Result<String, String> {
    let Target::Sqlite(database) = target else { return Err(POSTGRES.into()) };
    let shown = file.display();
    if !database.exists() {
        return Err(format!("there is no database {}", database.display()));
    }
    if file.symlink_metadata().is_ok() {
        return Err(format!("{shown} exists already. A backup does not overwrite files"));
    }
    let folder = folder_of(file);
    let fail = |error: &dyn std::fmt::Display| format!("write {shown}: {error}");
    // Only its owner may read it. It is deleted if anything fails.
    let copy = tempfile::Builder::new()
        .prefix(".legwork-backup-")
        .tempfile_in(folder)
        .map_err(|error| format!("write into {}: {error}", folder.display()))?;
    vacuum(database, copy.path())?;
    // A damaged database makes a damaged copy, which would show only at a restore.
    check(copy.path()).map_err(|finding| format!("the copy is damaged, so no backup was made: {finding}"))?;
    copy.as_file().sync_all().map_err(|error| fail(&error))?;
    let bytes = copy.as_file().metadata().map_err(|error| fail(&error))?.len();
    copy.persist_noclobber(file).map_err(|error| fail(&error.error))?;
    // The name is on disk only after its folder is synced.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| fail(&error))?;
    Ok(format!(
        "{target} is copied to {shown} ({bytes} bytes, checked).\n\
         The keys are not in it. Keep `data-keys` (or DATA_KEYS) apart from it: without it encrypted values, such as intake \
         answers and notes, are lost. Keep `jwt-secret` (or JWT_SECRET) too, or all users must sign in again."
    ))
}

fn vacuum(database: &Path, copy: &Path) -> Result<(), String> {
    let mut conn = connect_plain(database)?;
    let done = diesel::sql_query("VACUUM INTO $1").bind::<Text, _>(copy.to_string_lossy()).execute(&mut conn);
    done.map(|_| ()).map_err(|error| format!("copy {}: {error}", database.display()))
}

/// Checks a whole copy, including its indexes against its tables.
///
/// # Errors
/// The first finding.
pub fn check(copy: &Path) -> Result<(), String> {
    let mut conn = connect_plain(copy)?;
    let fail = |error| format!("read the copy: {error}");
    conn.batch_execute("PRAGMA query_only = ON").map_err(fail)?;
    let findings: Vec<Finding> = diesel::sql_query("PRAGMA integrity_check").load(&mut conn).map_err(fail)?;
    match findings.into_iter().find(|finding| finding.integrity_check != "ok") {
        None => Ok(()),
        Some(finding) => Err(finding.integrity_check),
    }
}
