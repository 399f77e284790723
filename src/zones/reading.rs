//! Reads the rules of time zones from files.

use std::fs;
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256, digest};
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// The files of a zoneinfo folder that name the release, in the order in which they are tried.
const VERSION_FILES: [&str; 4] = ["+VERSION", "version", "VERSION", "tzdata.zi"];

type Read = (Vec<(String, TimeZone)>, String);

/// Reads all zones, with the version of the data.
pub(super) fn read(path: &Path) -> Result<Read, String> {
    let (zones, version) = if path.is_dir() { folder(path)? } else { concatenated(path)? };
    if zones.is_empty() {
        return Err("there are no time zones".into());
    }
    Ok((zones, version))
}

/// Whether a version is the name of a release of the tz database, such as `2026a`. Only such versions have an order.
pub(super) fn is_release(version: &str) -> bool {
    let (year, letters) = version.split_at_checked(4).unwrap_or(("", ""));
    year.bytes().all(|digit| digit.is_ascii_digit())
        && (1..=2).contains(&letters.len())
        && letters.bytes().all(|letter| letter.is_ascii_lowercase())
}

fn folder(path: &Path) -> Result<Read, String> {
    let database = TimeZoneDatabase::from_dir(path).map_err(|error| error.to_string())?;
    let mut names: Vec<String> = database.available().map(|name| name.as_str().to_owned()).collect();
    names.sort_unstable();
    let (mut zones, mut content) = (Vec::new(), Context::new(&SHA256));
    for name in names {
        // Names that jiff knows itself, such as UTC, may have no file.
        let Ok(bytes) = fs::read(path.join(&name)) else {
            zones.extend(database.get(&name).ok().map(|zone| (name, zone)));
            continue;
        };
        let zone = TimeZone::tzif(&name, &bytes).map_err(|error| format!("{name}: {error}"))?;
        content.update(name.as_bytes());
        content.update(&bytes);
        zones.push((name, zone));
    }
    let version = VERSION_FILES.iter().find_map(|file| release_in(&path.join(file)));
    Ok((zones, version.unwrap_or_else(|| digest_text(content.finish().as_ref()))))
}

/// Returns the release that a file begins with: `2026a`, or `# version 2026a` in `tzdata.zi`.
fn release_in(file: &Path) -> Option<String> {
    let text = fs::read(file).ok()?;
    let first = String::from_utf8_lossy(&text[..text.len().min(100)]).lines().next()?.to_owned();
    let version = first.trim_start_matches("# version").trim();
    // A distribution may append its own revision.
    let end = version.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(version.len());
    Some(version[..end].to_owned()).filter(|version| is_release(version))
}

fn concatenated(path: &Path) -> Result<Read, String> {
    let database = TimeZoneDatabase::from_concatenated_path(path).map_err(|error| error.to_string())?;
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let zones = database
        .available()
        .map(|name| {
            let zone = database.get(name.as_str()).map_err(|error| format!("{name}: {error}"))?;
            Ok((name.as_str().to_owned(), zone))
        })
        .collect::<Result<_, String>>()?;
    // The header is `tzdata`, the release and a zero byte.
    let release = bytes.get(6..11).map(String::from_utf8_lossy).filter(|release| is_release(release));
    let version = release.map(std::borrow::Cow::into_owned);
    Ok((zones, version.unwrap_or_else(|| digest_text(digest(&SHA256, &bytes).as_ref()))))
}

/// A digest as a version. Twelve digits tell apart the few that one installation meets.
fn digest_text(digest: &[u8]) -> String {
    use std::fmt::Write;
    digest.iter().take(6).fold("sha256:".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_zone(folder: &Path, name: &str) {
        // New York without daylight saving time, as version 2 with a footer only.
        let mut file = Vec::new();
        for version in 0..2 {
            file.extend(b"TZif2");
            file.extend([0; 15]);
            for count in [0_u32, 0, 0, 0, 1, 4] {
                file.extend(count.to_be_bytes());
            }
            file.extend((-18_000_i32).to_be_bytes());
            file.extend([0, 0]);
            file.extend(b"EST\0");
            if version == 1 {
                file.extend(b"\nEST5\n");
            }
        }
        fs::create_dir_all(folder.join(name).parent().expect("a folder")).expect("a folder");
        fs::write(folder.join(name), file).expect("a file");
    }

    #[test]
    fn a_folder_has_its_zones_and_the_release_that_a_file_names() {
        let folder = tempfile::tempdir().expect("a folder");
        write_zone(folder.path(), "America/New_York");
        let (zones, version) = read(folder.path()).expect("zones");
        let (_, zone) = zones.iter().find(|(name, _)| name == "America/New_York").expect("New York");
        let july = "2026-07-01T12:00:00Z".parse().expect("an instant");
        assert_eq!(zone.to_offset(july).seconds(), -18_000);
        assert!(version.starts_with("sha256:"), "{version}");

        for (file, text) in [("tzdata.zi", "# version 2026b-0+deb13u1\n# zone"), ("version", "2026c\n")] {
            fs::write(folder.path().join(file), text).expect("a file");
            let release: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
            let (_, version) = read(folder.path()).expect("zones");
            assert!(release.contains(&version) && is_release(&version), "{version}");
        }
    }

    #[test]
    fn another_rule_is_another_version_without_a_name() {
        let folder = tempfile::tempdir().expect("a folder");
        write_zone(folder.path(), "America/New_York");
        let (_, one) = read(folder.path()).expect("zones");
        write_zone(folder.path(), "America/Denver");
        let (_, two) = read(folder.path()).expect("zones");
        assert_ne!(one, two);
    }

    #[test]
    fn a_folder_without_zones_and_a_missing_one_are_errors() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(read(folder.path()).is_err());
        assert!(read(&folder.path().join("missing")).is_err());
        fs::write(folder.path().join("file"), "no zones").expect("a file");
        assert!(read(&folder.path().join("file")).is_err());
    }

    #[test]
    fn releases_are_a_year_and_letters() {
        for release in ["2026a", "2016zz"] {
            assert!(is_release(release), "{release}");
        }
        for other in ["", "2026", "bundled", "sha256:0011", "2026A", "é026a"] {
            assert!(!is_release(other), "{other}");
        }
    }
}
