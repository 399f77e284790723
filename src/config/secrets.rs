//! Secrets: created and stored beside an SQLite database, and rejected if they can be guessed.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::db::Target;
use crate::db::sqlite_file::folder_of;

/// A secret that takes fewer guesses (as a power of ten) is a pattern and not random. The estimate itself ends at 19.
const GUESSES_LOG10: f64 = 15.0;
/// Texts of examples.
const PLACEHOLDERS: [&str; 7] = [
    "change-me",
    "changeme",
    "change_me",
    "example",
    "replace-me",
    "your-secret",
    // The signing secret of a well-known page about JSON Web Tokens.
    "secret-at-least-256-bits",
];

/// Rejects a ring (`id:secret`, comma-separated) in which a secret is an example, short or easily guessed.
///
/// # Errors
/// A text for the operator, without the secret.
pub fn reject_weak(name: &str, ring: &str) -> Result<(), String> {
    for entry in ring.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let (id, secret) = entry.split_once(':').ok_or_else(|| format!("{name}: each entry is `id:secret`"))?;
        let advice = "make one with `head -c32 /dev/urandom | base64`";
        let lower = secret.to_ascii_lowercase();
        if PLACEHOLDERS.iter().any(|placeholder| lower.contains(placeholder)) {
            return Err(format!("{name}: secret {id} is an example; {advice}"));
        }
        if secret.len() < 32 {
            return Err(format!("{name}: secret {id} has fewer than 32 characters; {advice}"));
        }
        // Estimating the guesses of a text needs large tables, which a random key does not.
        let is_random = looks_random(secret);
        if !is_random.unwrap_or_else(|| zxcvbn::zxcvbn(secret, &[]).guesses_log10() >= GUESSES_LOG10) {
            return Err(format!("{name}: secret {id} is easily guessed; {advice}"));
        }
    }
    Ok(())
}

/// Returns whether the bytes of a key in base64 look random: they neither repeat nor count up. None if it is not such a
/// key, but a text.
fn looks_random(secret: &str) -> Option<bool> {
    let bytes = BASE64_STANDARD.decode(secret).ok().filter(|bytes| bytes.len() >= 32)?;
    let distinct = |values: &mut dyn Iterator<Item = u8>| values.collect::<HashSet<u8>>().len();
    let steps = &mut bytes.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
    // Of 32 random bytes about 30 differ, and about as many differences between neighbours.
    Some(distinct(&mut bytes.iter().copied()) >= 20 && distinct(steps) >= 20)
}

/// Rejects a database that came without its keys, for example from a backup. Otherwise it would silently get new ones.
///
/// # Errors
/// A text for the operator.
pub fn reject_new_keys(target: &Target) -> Result<(), String> {
    let Target::Sqlite(path) = target else { return Ok(()) };
    let keys = path.with_file_name("data-keys");
    if keys.exists() || !fs::metadata(path).is_ok_and(|database| database.len() > 0) {
        return Ok(());
    }
    Err(format!(
        "{} is missing, and {} may have values that only its keys decrypt. Put the file back, or set DATA_KEYS",
        keys.display(),
        path.display()
    ))
}

/// Reads a secret from its file. Creates the file if it does not exist, readable to its owner only.
///
/// The file is created completely or not at all. With half a key, values would be encrypted that no later start could
/// decrypt.
///
/// # Errors
/// A text for the operator.
pub fn read_or_create(path: &Path, make: &dyn Fn() -> String) -> Result<String, String> {
    let explain = |error: std::io::Error| format!("{}: {error}", path.display());
    match fs::read_to_string(path) {
        Ok(secret) => return Ok(secret.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(explain(error)),
    }
    let folder = folder_of(path);
    fs::create_dir_all(folder).map_err(explain)?;
    match write_new(path, folder, &make()) {
        // Another process was faster. Its secret is the one to use.
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(explain(error)),
        _ => fs::read_to_string(path).map(|secret| secret.trim().to_owned()).map_err(explain),
    }
}

/// Writes a file under a temporary name, syncs it, and renames it unless the name is taken.
fn write_new(path: &Path, folder: &Path, text: &str) -> std::io::Result<()> {
    let draft = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&draft).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    // Unlike a rename, a hard link does not replace a file that another process has created meanwhile. Not every file
    // system has links.
    let named = written.and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => fs::rename(&draft, path),
        linked => linked,
    });
    let _ = fs::remove_file(&draft);
    named?;
    #[cfg(unix)]
    fs::File::open(folder)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_secrets_are_rejected_without_being_repeated() {
        for (secret, why) in [
            ("", "fewer"),
            ("k1", "fewer"),
            ("0123456789abcdef0123456789abcde", "fewer"),
            ("change-me-change-me-change-me-change-me", "example"),
            ("this-is-an-EXAMPLE-secret-of-32-or-more", "example"),
            (&"a".repeat(44), "guessed"),
            (&"AAAA".repeat(11), "guessed"),
            (&"0123456789".repeat(4), "guessed"),
            (&"password".repeat(5), "guessed"),
            ("abcdefghijklmnopqrstuvwxyz0123456789", "guessed"),
            ("a-string-secret-at-least-256-bits-long", "example"),
            // The bytes 0 to 31, and sixteen digits twice.
            ("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "guessed"),
            ("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "guessed"),
        ] {
            let error = reject_weak("JWT_SECRET", &format!("k1:{secret}")).expect_err(secret);
            assert!(error.contains(why) && error.contains("JWT_SECRET") && error.contains("k1"), "{secret}: {error}");
            assert!(secret.len() < 3 || !error.contains(secret), "{error}");
        }
        reject_weak("JWT_SECRET", "k1:n3Z6vRk0mS8b1Jq7wYt5Xc2Pd9Lf4Hg6Aa8Ee0Uu2Ii=").expect("a good one");
        // The other secrets in the ring are checked as well.
        reject_weak("DATA_KEYS", "k1:n3Z6vRk0mS8b1Jq7wYt5Xc2Pd9Lf4Hg6Aa8Ee0Uu2Ii=,k0:x").expect_err("a short one");
    }

    #[test]
    fn a_secret_is_created_once_and_no_temporary_file_stays() {
        let folder = std::env::temp_dir().join(format!("legwork-secret-{}", std::process::id()));
        let path = folder.join("jwt-secret");
        let _ = fs::remove_dir_all(&folder);
        assert_eq!(read_or_create(&path, &|| "first".into()).expect("made"), "first");
        assert_eq!(read_or_create(&path, &|| "second".into()).expect("read"), "first");
        assert!(write_new(&path, &folder, "third").is_err(), "an existing secret is never replaced");
        let names: Vec<_> =
            fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("one").file_name()).collect();
        assert_eq!(names, ["jwt-secret"]);
        fs::remove_dir_all(&folder).expect("removed");
    }
}
