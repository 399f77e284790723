//! Free space where the database file is.

use std::path::Path;

use super::{Finding, Severity};
use crate::db::sqlite_file::folder_of;

/// Below this share of the file system, or below the size of the database (a backup or a restore needs as much), the disk is nearly full.
const MIN_SHARE: f64 = 0.05;

/// Compares the free space with the size of the file system and of the database.
#[cfg(unix)]
#[allow(clippy::cast_precision_loss, reason = "a share needs no exact numbers of bytes")]
pub fn check(database: &Path) -> Vec<Finding> {
    let size = std::fs::metadata(database).map_or(0, |file| file.len());
    let finding = match rustix::fs::statvfs(folder_of(database)) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let total = disk.f_blocks.saturating_mul(disk.f_frsize).max(1);
            let share = free as f64 / total as f64;
            let detail = format!(
                "{} MiB are free ({:.0} %), and the database has {} MiB",
                free >> 20,
                share * 100.0,
                size >> 20
            );
            let is_low = share < MIN_SHARE || free < size;
            Finding::new("disk", if is_low { Severity::Warning } else { Severity::Ok }, detail)
        }
        Err(error) => Finding::new("disk", Severity::Warning, format!("the free space cannot be read: {error}")),
    };
    vec![finding]
}

/// Not known on this system.
#[cfg(not(unix))]
pub fn check(_database: &Path) -> Vec<Finding> {
    Vec::new()
}
