//! Folders of time zones with rules of the test's own.

use std::fs;
use std::path::{Path, PathBuf};

/// New York as it is.
pub const WITH_SUMMER_TIME: &str = "EST5EDT,M3.2.0,M11.1.0";
/// New York after a law that abolishes summer time.
pub const WITHOUT_SUMMER_TIME: &str = "EST5";

/// Writes a zoneinfo folder of a release in which New York has these rules (a POSIX `TZ` string).
pub fn folder(parent: &Path, release: &str, new_york: &str) -> PathBuf {
    let folder = parent.join(format!("zones-{release}"));
    for (name, rules) in [("America/New_York", new_york), ("America/Denver", "MST7MDT,M3.2.0,M11.1.0")] {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(file, tzif(rules)).expect("a zone");
    }
    fs::write(folder.join("version"), format!("{release}\n")).expect("a version");
    folder
}

/// A TZif file (RFC 9636) without changes before its footer, in which the rules are.
fn tzif(rules: &str) -> Vec<u8> {
    let hours: i32 = rules[3..4].parse().expect("one digit");
    let mut file = Vec::new();
    for version in 1..=2 {
        file.extend(b"TZif2");
        file.extend([0; 15]);
        // Indicators of UT and of standard time, leap seconds, changes, types, and characters of the names.
        for count in [0_u32, 0, 0, 0, 1, 4] {
            file.extend(count.to_be_bytes());
        }
        file.extend((-3600 * hours).to_be_bytes());
        file.extend([0, 0]);
        file.extend(&rules.as_bytes()[..3]);
        file.push(0);
        if version == 2 {
            file.extend(format!("\n{rules}\n").bytes());
        }
    }
    file
}
