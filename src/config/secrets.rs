//! Secrets: made and kept on the embedded default, and refused where anyone could guess them.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::db::Target;

/// Below so many guesses (as a power of ten) a secret is a pattern, not chance. The estimate itself ends at 19.
const GUESSES_LOG10: f64 = 15.0;
/// What stands where an example wants to be replaced.
const PLACEHOLDERS: [&str; 7] = [
    "change-me",
    "changeme",
    "change_me",
    "example",
    "replace-me",
    "your-secret",
    // What a well-known page about JSON Web Tokens signs with.
    "secret-at-least-256-bits",
];

/// Refuses a ring (`id:secret`, comma-separated) in which a secret is an example, short, or easily guessed.
///
/// # Errors
/// In words for the operator, without any of the secret's text.
pub fn refuse_weak(name: &str, ring: &str) -> Result<(), String> {
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
        // To ask how text is guessed takes tables of some size, which a key needs not.
        let by_chance = drawn_by_chance(secret);
        if !by_chance.unwrap_or_else(|| zxcvbn::zxcvbn(secret, &[]).guesses_log10() >= GUESSES_LOG10) {
            return Err(format!("{name}: secret {id} is easily guessed; {advice}"));
        }
    }
    Ok(())
}

/// Whether the bytes of a key in base64 look as chance has it, which neither repeats itself nor counts up; none where it is
/// no such key, but some text.
fn drawn_by_chance(secret: &str) -> Option<bool> {
    let bytes = BASE64_STANDARD.decode(secret).ok().filter(|bytes| bytes.len() >= 32)?;
    let distinct = |values: &mut dyn Iterator<Item = u8>| values.collect::<HashSet<u8>>().len();
    let steps = &mut bytes.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
    // Of 32 bytes that chance drew about 30 differ, and of the steps between them as many.
    Some(distinct(&mut bytes.iter().copied()) >= 20 && distinct(steps) >= 20)
}

/// Sees to it that a database that came without its keys, out of a backup say, is not silently given new ones.
///
/// # Errors
/// In words for the operator.
pub fn refuse_new_keys(target: &Target) -> Result<(), String> {
    let Target::Sqlite(path) = target else { return Ok(()) };
    let keys = path.with_file_name("data-keys");
    if keys.exists() || !fs::metadata(path).is_ok_and(|database| database.len() > 0) {
        return Ok(());
    }
    Err(format!(
        "{} is missing, and {} may hold what only its keys open: put it back, or set DATA_KEYS",
        keys.display(),
        path.display()
    ))
}

/// Reads a secret from its file, or makes it, readable to its owner only.
///
/// The file comes into being whole or not at all: a half-written key would seal what no later start could open.
///
/// # Errors
/// In words for the operator.
pub fn kept(path: &Path, make: &dyn Fn() -> String) -> Result<String, String> {
    let explain = |error: std::io::Error| format!("{}: {error}", path.display());
    match fs::read_to_string(path) {
        Ok(secret) => return Ok(secret.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(explain(error)),
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(explain)?;
    match write_new(path, folder, &make()) {
        // Another process was quicker; its secret is the one.
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(explain(error)),
        _ => fs::read_to_string(path).map(|secret| secret.trim().to_owned()).map_err(explain),
    }
}

/// Writes a file under a name of its own, sees it onto the disk, and gives it its name unless that is taken.
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
    // A link, unlike a renaming, does not replace what another process has made meanwhile. Not every file system has links.
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
    fn examples_short_ones_and_patterns_are_refused_without_being_repeated() {
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
            let error = refuse_weak("JWT_SECRET", &format!("k1:{secret}")).expect_err(secret);
            assert!(error.contains(why) && error.contains("JWT_SECRET") && error.contains("k1"), "{secret}: {error}");
            assert!(secret.len() < 3 || !error.contains(secret), "{error}");
        }
        refuse_weak("JWT_SECRET", "k1:n3Z6vRk0mS8b1Jq7wYt5Xc2Pd9Lf4Hg6Aa8Ee0Uu2Ii=").expect("a good one");
        // The others in the ring are looked at as well.
        refuse_weak("DATA_KEYS", "k1:n3Z6vRk0mS8b1Jq7wYt5Xc2Pd9Lf4Hg6Aa8Ee0Uu2Ii=,k0:x").expect_err("a short one");
    }

    #[test]
    fn of_many_that_make_the_file_at_once_all_read_the_same_secret_and_no_draft_stays() {
        let folder = std::env::temp_dir().join(format!("legwork-kept-{}", std::process::id()));
        let path = folder.join("jwt-secret");
        let _ = fs::remove_dir_all(&folder);
        assert_eq!(kept(&path, &|| "first".into()).expect("made"), "first");
        assert_eq!(kept(&path, &|| "second".into()).expect("read"), "first");
        assert!(write_new(&path, &folder, "third").is_err(), "an existing secret is never replaced");
        let names: Vec<_> =
            fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("one").file_name()).collect();
        assert_eq!(names, ["jwt-secret"]);
        fs::remove_dir_all(&folder).expect("removed");
    }
}
