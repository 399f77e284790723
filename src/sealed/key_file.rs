//! The file of data keys beside an SQLite database. Adds and removes keys.

use std::fs;
use std::io::Write;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Sealer;

/// Adds a new key in front and returns its id: the next number that is neither in the file nor in `taken`.
///
/// # Errors
/// A text for the operator.
pub fn add(path: &Path, secret: [u8; 32], taken: &[String]) -> Result<String, String> {
    let ring = read(path)?;
    let number = |id: &str| id.strip_prefix('k').and_then(|number| number.parse::<u32>().ok());
    let ids = entries(&ring).map(|(id, _)| id).chain(taken.iter().map(String::as_str));
    let id = format!("k{}", ids.filter_map(number).max().unwrap_or(0).saturating_add(1));
    replace(path, &format!("{id}:{},{ring}", STANDARD.encode(secret)))?;
    Ok(id)
}

/// Removes a key.
///
/// # Errors
/// A text for the operator.
pub fn remove(path: &Path, id: &str) -> Result<(), String> {
    let ring = read(path)?;
    let rest: Vec<_> =
        entries(&ring).filter(|(other, _)| *other != id).map(|(other, secret)| format!("{other}:{secret}")).collect();
    replace(path, &rest.join(","))
}

fn entries(ring: &str) -> impl Iterator<Item = (&str, &str)> {
    ring.split(',').map(str::trim).filter_map(|entry| entry.split_once(':'))
}

fn read(path: &Path) -> Result<String, String> {
    let ring = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(ring.trim().trim_end_matches(',').to_owned())
}

/// Replaces the file's content, completely or not at all. Without the keys the data is lost.
fn replace(path: &Path, ring: &str) -> Result<(), String> {
    Sealer::parse(ring)?;
    let explain = |error: std::io::Error| format!("{}: {error}", path.display());
    let draft = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft).map_err(explain)?;
    file.write_all(ring.as_bytes()).and_then(|()| file.sync_all()).map_err(explain)?;
    fs::rename(&draft, path).map_err(explain)?;
    #[cfg(unix)]
    fs::File::open(crate::db::sqlite_file::folder_of(path)).and_then(|folder| folder.sync_all()).map_err(explain)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_added_in_front_and_removed_and_only_the_owner_can_read_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("data-keys");
        fs::write(&path, format!("k1:{}\n", STANDARD.encode([1; 32]))).expect("a file");
        assert_eq!(add(&path, [2; 32], &[]).expect("added"), "k2");
        assert_eq!(add(&path, [3; 32], &["k7".into()]).expect("added"), "k8");
        let sealer = Sealer::parse(&fs::read_to_string(&path).expect("a ring")).expect("a ring");
        assert_eq!((sealer.current(), sealer.has("k1"), sealer.has("k2")), ("k8", true, true));
        remove(&path, "k1").expect("removed");
        let sealer = Sealer::parse(&fs::read_to_string(&path).expect("a ring")).expect("a ring");
        assert_eq!((sealer.current(), sealer.has("k1"), sealer.has("k2")), ("k8", false, true));
        remove(&path, "k2").expect("removed");
        remove(&path, "k8").expect_err("the last key stays");
        assert!(fs::read_to_string(&path).expect("a ring").starts_with("k8:"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
        }
    }
}
