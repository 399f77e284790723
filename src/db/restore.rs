//! Restores an SQLite backup while no server runs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::backup;
use super::migrate::{self, SchemaStatus};
use super::sqlite_file::{connect_plain, file_beside, folder_of, take_server_lock};
use super::{Conn, Target, damage};

/// Puts a checked copy of a backup in the place of the database, and returns a text for the operator.
///
/// With `replace`, an existing database gets another name beside the restored one. It is never deleted. An interrupted restore leaves
/// either the old database, or the new one, or none, with which the service does not start.
///
/// # Errors
/// A text for the operator: a server has the database open, there is one and `replace` is false, or the backup is damaged, of another
/// program or of a newer version. Then nothing was changed. On PostgreSQL always, with the commands to use instead.
pub fn restore(target: &Target, file: &Path, replace: bool) -> Result<String, String> {
    let Target::Sqlite(database) = target else { return Err(backup::POSTGRES.into()) };
    let (shown, place, folder) = (file.display(), database.display(), folder_of(database));
    if file_beside(file, "-wal").exists() {
        return Err(format!(
            "{shown} has a journal beside it, so it is the file of a running or crashed service and no backup. Make one with `legwork backup`"
        ));
    }
    let fail = |error: &dyn std::fmt::Display| format!("write {place}: {error}");
    fs::create_dir_all(folder).map_err(|error| format!("create {}: {error}", folder.display()))?;
    // No server starts until this ends.
    let _lock = take_server_lock(database)?;
    let existing: Vec<_> = ["", "-wal", "-shm"].into_iter().filter(|end| file_beside(database, end).exists()).collect();
    if !existing.is_empty() && !replace {
        return Err(format!("{place} exists. Restore with --replace to keep it under another name"));
    }
    let mut copy =
        tempfile::Builder::new().prefix(".legwork-restore-").tempfile_in(folder).map_err(|error| fail(&error))?;
    let mut source = File::open(file).map_err(|error| format!("read {shown}: {error}"))?;
    std::io::copy(&mut source, &mut copy).map_err(|error| format!("copy {shown} to {place}: {error}"))?;
    check(copy.path(), file).map_err(|finding| format!("nothing was restored: {finding}"))?;
    copy.as_file().sync_all().map_err(|error| fail(&error))?;
    let kept = free_name(database);
    for end in &existing {
        let (from, to) = (file_beside(database, end), file_beside(&kept, end));
        fs::rename(&from, &to).map_err(|error| format!("rename {}: {error}", from.display()))?;
    }
    copy.persist_noclobber(database).map_err(|error| fail(&error.error))?;
    // The names are on disk only after their folder is synced.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| fail(&error))?;
    let old = if existing.is_empty() {
        String::new()
    } else {
        format!(" The database that was there is {} now. Delete it when you do not need it any more.", kept.display())
    };
    Ok(format!(
        "{shown} is restored to {place} (checked).{old}\n\
         Start the service with the keys of the backup's time (`data-keys` beside the database, or DATA_KEYS). With others it does not start."
    ))
}

/// Checks that the copy of a backup is a whole database of this service, and not newer than this program.
fn check(copy: &Path, backup: &Path) -> Result<(), String> {
    let shown = backup.display();
    if fs::metadata(copy).map_or(0, |file| file.len()) == 0 {
        return Err(format!("{shown} is empty"));
    }
    damage::recognise(copy, &shown)?;
    backup::check(copy).map_err(|finding| format!("{shown} is damaged ({finding})"))?;
    match migrate::schema_status(&mut Conn::Sqlite(connect_plain(copy)?))? {
        SchemaStatus::Ahead(unknown) => Err(migrate::newer_database_text(&unknown)),
        SchemaStatus::Current | SchemaStatus::Behind(_) => Ok(()),
    }
}

/// A name for the old database that no file has.
fn free_name(database: &Path) -> PathBuf {
    let mut number = 1_u32;
    loop {
        let name = file_beside(database, &format!(".replaced-{number}"));
        if !name.exists() && !file_beside(&name, "-wal").exists() {
            return name;
        }
        number += 1;
    }
}
