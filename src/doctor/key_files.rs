//! The files of secrets beside an SQLite database. Only the service's account may read them.

use std::path::Path;

use super::{Finding, Severity};

/// The names of the files.
const FILES: [&str; 2] = ["data-keys", "jwt-secret"];

/// Checks who can read the files. Without files the secrets come from the settings.
pub fn check(database: &Path) -> Vec<Finding> {
    let files = FILES.map(|name| database.with_file_name(name));
    let open = files.iter().filter(|path| others_can_read(path));
    open.map(|path| {
        let path = path.display();
        let detail = format!("other accounts of this machine can read {path}: run `chmod 600 {path}`");
        Finding::new("key-files", Severity::Warning, detail)
    })
    .collect()
}

#[cfg(unix)]
fn others_can_read(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn others_can_read(_: &Path) -> bool {
    false
}
