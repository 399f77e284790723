//! An SQLite file and the files beside it: opening it for tools, and the lock of its server.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};

/// Marks an SQLite file as one of this service, in its header: "LegW".
pub(super) const APPLICATION_ID: i32 = 0x4C65_6757;

/// Opens an existing file without changing its settings, for tools that only read. They must not change a copy's
/// journal mode.
pub(super) fn connect_plain(path: &Path) -> Result<SqliteConnection, String> {
    let mut conn = SqliteConnection::establish(&path.to_string_lossy())
        .map_err(|error| format!("SQLite: cannot open {}: {error}", path.display()))?;
    conn.batch_execute("PRAGMA busy_timeout = 5000; PRAGMA temp_store = MEMORY;")
        .map_err(|error| format!("SQLite: cannot use {}: {error}", path.display()))?;
    Ok(conn)
}

/// The folder that has a file.
pub fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Returns whether a server has this file open.
pub(super) fn is_served(path: &Path) -> bool {
    // A lock that was taken is released at once.
    File::open(lock_file(path)).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

pub(super) fn lock_file(path: &Path) -> PathBuf {
    file_beside(path, ".lock")
}

/// A file beside the database whose name has another end, such as `-wal`.
pub(super) fn file_beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Takes the lock of the server of this file.
pub(super) fn take_server_lock(path: &Path) -> Result<File, String> {
    let name = lock_file(path);
    let file = File::create(&name).map_err(|error| format!("create {}: {error}", name.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(format!(
            "another legwork server has {} open. An SQLite file can have one server. Several instances need PostgreSQL.",
            path.display()
        )),
        Err(TryLockError::Error(error)) => Err(format!("lock {}: {error}", name.display())),
    }
}
