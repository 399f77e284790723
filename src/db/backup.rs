//! A copy of the SQLite database, made while the service runs.

use std::fs::File;
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::{Target, sqlite};

/// What PostgreSQL's operators do instead.
const POSTGRES: &str = "PostgreSQL is backed up with its own tools, while the service runs:\n\n  \
    pg_dump --format=custom --file=FILE \"$DATABASE_URL\"\n\n\
    and restored with `pg_restore --no-owner --role=ROLE --dbname=…` into an empty database of the service's role (ROLE). Keep \
    DATA_KEYS and JWT_SECRET apart from it: they are not in it, and without DATA_KEYS what is sealed stays sealed.";

#[derive(QueryableByName)]
struct Finding {
    #[diesel(sql_type = Text)]
    integrity_check: String,
}

/// Copies the database as it is at this instant into a new file, and says so in words for the operator.
///
/// `VACUUM INTO` reads one snapshot, so neither the writer nor the readers of a running service wait for it. The copy is
/// looked through before it gets its name, and is on disk when this returns.
///
/// # Errors
/// In words for the operator: a file of that name is there already, the copy cannot be written, or is not whole; always on
/// PostgreSQL, with what to do instead.
pub fn backup(target: &Target, file: &Path) -> Result<String, String> {
    let Target::Sqlite(database) = target else { return Err(POSTGRES.into()) };
    let shown = file.display();
    if !database.exists() {
        return Err(format!("there is no database {}", database.display()));
    }
    if file.symlink_metadata().is_ok() {
        return Err(format!("{shown} is there already; a backup overwrites nothing"));
    }
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let fail = |error: &dyn std::fmt::Display| format!("write {shown}: {error}");
    // Only its owner may read it, and whatever goes wrong takes it away again.
    let copy = tempfile::Builder::new()
        .prefix(".legwork-backup-")
        .tempfile_in(&folder)
        .map_err(|error| format!("write into {}: {error}", folder.display()))?;
    vacuum(database, copy.path())?;
    check(copy.path())?;
    copy.as_file().sync_all().map_err(|error| fail(&error))?;
    let bytes = copy.as_file().metadata().map_err(|error| fail(&error))?.len();
    copy.persist_noclobber(file).map_err(|error| fail(&error.error))?;
    // The name is on disk only with its folder.
    File::open(&folder).and_then(|folder| folder.sync_all()).map_err(|error| fail(&error))?;
    Ok(format!(
        "{target} is copied to {shown} ({bytes} bytes, looked through).\n\
         The keys are not in it. Keep `data-keys` (or DATA_KEYS) apart from it: without it what is sealed, such as intake \
         answers and notes, stays sealed for good. Keep `jwt-secret` (or JWT_SECRET) too, or everybody signs in anew."
    ))
}

fn vacuum(database: &Path, copy: &Path) -> Result<(), String> {
    let mut conn = sqlite::connect_plain(database)?;
    let done = diesel::sql_query("VACUUM INTO $1").bind::<Text, _>(copy.to_string_lossy()).execute(&mut conn);
    done.map(|_| ()).map_err(|error| format!("copy {}: {error}", database.display()))
}

/// A damaged database makes a damaged copy, which would be noticed on the day when it is needed.
fn check(copy: &Path) -> Result<(), String> {
    let mut conn = sqlite::connect_plain(copy)?;
    let fail = |error| format!("read the copy: {error}");
    conn.batch_execute("PRAGMA query_only = ON").map_err(fail)?;
    let findings: Vec<Finding> = diesel::sql_query("PRAGMA integrity_check").load(&mut conn).map_err(fail)?;
    match findings.iter().find(|finding| finding.integrity_check != "ok") {
        None => Ok(()),
        Some(finding) => {
            Err(format!("the database is damaged, so there is no backup of it: {}", finding.integrity_check))
        }
    }
}
