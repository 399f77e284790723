//! Whether the C libraries were built with the options of `.cargo/config.toml`. Cargo reads that file only when it runs in the project's
//! folder, so a build from another folder lacks them without an error.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::Text;

/// Options that SQLite must have, as `PRAGMA compile_options` names them.
const EXPECTED: [&str; 3] = ["DEFAULT_MEMSTATUS=0", "ENABLE_QPSG", "THREADSAFE=2"];
/// An option that SQLite must not have.
const UNWANTED: &str = "ENABLE_MEMORY_MANAGEMENT";
/// The setting of the allocator. Its build script and this file's compilation see the same environment.
const ALLOCATOR: Option<&str> = option_env!("JEMALLOC_SYS_WITH_MALLOC_CONF");

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

/// Returns how this build differs from the project's, one text for each difference.
///
/// # Errors
/// A text for the operator.
pub fn differences() -> Result<Vec<String>, String> {
    let fail = |error: &dyn std::fmt::Display| format!("read SQLite's build options: {error}");
    let mut conn = SqliteConnection::establish(":memory:").map_err(|error| fail(&error))?;
    let rows: Vec<Name> = sql_query("SELECT compile_options AS name FROM pragma_compile_options")
        .load(&mut conn)
        .map_err(|error| fail(&error))?;
    let options: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
    Ok(compare(&options, ALLOCATOR))
}

fn compare(sqlite: &[&str], allocator: Option<&str>) -> Vec<String> {
    let missing = EXPECTED.into_iter().filter(|option| !sqlite.contains(option));
    let missing = missing.map(|option| format!("SQLite was built without {option}, so requests are slower"));
    let unwanted =
        sqlite.contains(&UNWANTED).then(|| format!("SQLite was built with {UNWANTED}, so requests are slower"));
    let allocator = (cfg!(all(target_os = "linux", target_env = "gnu")) && allocator.is_none())
        .then(|| "jemalloc was built without its setting, so it returns memory to the system late".to_owned());
    missing.chain(unwanted).chain(allocator).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_build_has_the_options_of_the_project() {
        assert_eq!(differences().expect("options"), Vec::<String>::new());
    }

    #[test]
    fn each_difference_is_reported() {
        assert_eq!(compare(&EXPECTED, Some("dirty_decay_ms:1000")), Vec::<String>::new());
        let found = compare(&["ENABLE_QPSG", "THREADSAFE=1", UNWANTED], Some("")).join("\n");
        for option in ["DEFAULT_MEMSTATUS=0", "THREADSAFE=2", UNWANTED] {
            assert!(found.contains(option), "{option}: {found}");
        }
        assert!(!found.contains("QPSG"), "{found}");
        assert_eq!(compare(&EXPECTED, None).len(), usize::from(cfg!(all(target_os = "linux", target_env = "gnu"))));
    }
}
