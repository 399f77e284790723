//! Recognises a damaged or foreign database file.
//!
//! [`check_at_start`] runs at every start. What it reads does not grow with the data: the file's size, its header, the
//! schema, and the root page of each table and index. [`super::check`] reads the rest while the service runs.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs;
use std::io::Read;
use std::path::Path;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Integer, Text};

use super::sqlite_file::{APPLICATION_ID, connect_plain, lock_file};
use super::{Conn, Target, migrate};

/// The messages of both engines for damage. diesel keeps neither SQLite's code (`SQLITE_CORRUPT`, `SQLITE_NOTADB`) nor
/// PostgreSQL's (`XX001`, `XX002`).
const MESSAGES: [&str; 7] = [
    "database disk image is malformed",
    "malformed database schema",
    "file is not a database",
    "invalid page in block",
    "contains corrupted page",
    "contains unexpected zero page",
    "missing chunk number",
];

/// Returns whether the engine's message says that the database is damaged.
pub fn is_reported_by(message: &str) -> bool {
    MESSAGES.iter().any(|words| message.contains(words))
}

#[derive(QueryableByName)]
struct Header {
    #[diesel(sql_type = Integer)]
    application_id: i32,
    #[diesel(sql_type = BigInt)]
    page_count: i64,
    #[diesel(sql_type = BigInt)]
    freelist_count: i64,
}

const HEADER: &str = "SELECT application_id, page_count, freelist_count \
    FROM pragma_application_id, pragma_page_count, pragma_freelist_count";

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Text)]
    name: String,
}

/// The tables and indexes with an invalid root page. `dbstat` decodes one page for each row that is read.
const WRONG_ROOTS: &str = "SELECT name FROM sqlite_schema WHERE rootpage > 0 AND coalesce( \
    (SELECT pagetype FROM dbstat WHERE dbstat.name = sqlite_schema.name LIMIT 1), '') NOT IN ('leaf', 'internal')";

/// Rejects an SQLite file that is visibly damaged or belongs to another program. Does not change the file. A missing or
/// empty file is checked by [`reject_emptied`]. PostgreSQL checks its own files.
///
/// # Errors
/// A text for the operator.
pub fn check_at_start(target: &Target) -> Result<(), String> {
    let Target::Sqlite(path) = target else { return Ok(()) };
    if fs::metadata(path).map_or(0, |file| file.len()) == 0 {
        return Ok(());
    }
    recognise(path, &path.display())
}

/// Rejects a file that is visibly damaged or belongs to another program. The texts call it `shown`.
///
/// # Errors
/// A text for the operator.
pub(super) fn recognise(path: &Path, shown: &dyn Display) -> Result<(), String> {
    let damaged = |finding: &dyn Display| {
        format!("{shown} is damaged ({finding}). Restore a backup (docs/operations.md). The file was not changed.")
    };
    let explain = |error: diesel::result::Error| match error.to_string() {
        text if text.contains("file is not a database") => format!(
            "{shown} is not an SQLite database, or its beginning is damaged. Restore a backup, or name another file in DATABASE_URL."
        ),
        text if is_reported_by(&text) => damaged(&text),
        text => format!("read {shown}: {text}"),
    };
    if let Some([write, read]) = versions(path)?
        && (write != read || !matches!(read, 1 | 2))
    {
        return Err(damaged(&"the file format versions in the header"));
    }
    let mut conn = connect_plain(path)?;
    let header: Header = sql_query(HEADER).get_result(&mut conn).map_err(explain)?;
    let is_own_file = header.application_id == APPLICATION_ID
        || header.application_id == 0 && is_unmarked_own_file(&mut conn).map_err(explain)?;
    if !is_own_file {
        return Err(format!(
            "{shown} is the database of another program. Name another file in DATABASE_URL. The file was not changed."
        ));
    }
    if header.freelist_count >= header.page_count {
        return Err(damaged(&"the list of free pages"));
    }
    let wrong: Vec<Found> = sql_query(WRONG_ROOTS).load(&mut conn).map_err(explain)?;
    match wrong.first() {
        Some(first) => Err(damaged(&format_args!("{} tables and indexes, for example {}", wrong.len(), first.name))),
        None => Ok(()),
    }
}

/// Reads the write and the read version in the header. SQLite writes both alike: 1 for a rollback journal, 2 for a
/// write-ahead log. A wrong write version makes the file read-only, so that each write would fail. Call it before this
/// process has a connection to the file, because closing a file releases SQLite's locks on it.
fn versions(path: &Path) -> Result<Option<[u8; 2]>, String> {
    let explain = |error: std::io::Error| format!("read {}: {error}", path.display());
    let mut head = Vec::with_capacity(20);
    fs::File::open(path).map_err(explain)?.take(20).read_to_end(&mut head).map_err(explain)?;
    Ok(head.get(18..20).and_then(|bytes| bytes.try_into().ok()).filter(|_| head.starts_with(b"SQLite format 3\0")))
}

/// Rejects an SQLite file that lacks a table, index or trigger of the migrations. The migrations must have run.
///
/// # Errors
/// A text for the operator.
pub fn check_schema(conn: &mut Conn) -> Result<(), String> {
    const OBJECTS: &str =
        "SELECT type || ' ' || name AS name FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let Conn::Sqlite(conn) = conn else { return Ok(()) };
    let mut made = migrate::in_memory()?;
    let objects = |conn: &mut SqliteConnection| {
        let rows: QueryResult<Vec<Found>> = sql_query(OBJECTS).load(conn);
        rows.map(|rows| rows.into_iter().map(|row| row.name).collect::<BTreeSet<_>>())
            .map_err(|error| format!("read the schema: {error}"))
    };
    let (expected, there) = (objects(&mut made)?, objects(conn)?);
    let missing: Vec<_> = expected.difference(&there).collect();
    // A missing table also misses its indexes and triggers.
    match missing.iter().find(|object| object.starts_with("table")).or(missing.first()) {
        Some(part) => Err(format!(
            "The database is damaged ({} parts of the schema are missing, for example the {part}). Restore a backup \
             (docs/operations.md). The file was not changed.",
            missing.len()
        )),
        None => Ok(()),
    }
}

#[derive(QueryableByName)]
struct YesNo {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

/// Recognises a file from before the mark existed by the first migration. A file without any table belongs to no
/// program.
fn is_unmarked_own_file(conn: &mut SqliteConnection) -> QueryResult<bool> {
    const DIESEL: &str = "__diesel_schema_migrations";
    let mut ask = |sql: &str| sql_query(sql).get_result::<YesNo>(conn).map(|answer| answer.yes);
    if !ask(&format!(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name <> '{DIESEL}' AND tbl_name <> '{DIESEL}') AS yes"
    ))? {
        return Ok(true);
    }
    Ok(ask(&format!("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '{DIESEL}') AS yes"))?
        && ask(&format!("SELECT EXISTS (SELECT 1 FROM {DIESEL} WHERE version = '20261122000001') AS yes"))?)
}

/// Marks a file from before the mark existed.
///
/// # Errors
/// A text for the operator.
pub fn mark(conn: &mut Conn) -> Result<(), String> {
    let Conn::Sqlite(conn) = conn else { return Ok(()) };
    let header: Header =
        sql_query(HEADER).get_result(conn).map_err(|error| format!("read the database's mark: {error}"))?;
    if header.application_id == APPLICATION_ID {
        return Ok(());
    }
    sql_query(format!("PRAGMA application_id = {APPLICATION_ID}"))
        .execute(conn)
        .map(|_| ())
        .map_err(|error| format!("mark the database: {error}"))
}

/// Rejects an SQLite file that is empty or missing although other files show that it held data. Otherwise the service
/// would silently start with an empty database. Call it before missing keys are created.
///
/// # Errors
/// A text for the operator.
pub fn reject_emptied(target: &Target) -> Result<(), String> {
    let Target::Sqlite(path) = target else { return Ok(()) };
    let (state, signs): (_, &[&str]) = match fs::metadata(path) {
        Ok(file) if file.len() > 0 => return Ok(()),
        // Keys are created before the database. A database is never empty once it has its name.
        Ok(_) => ("is empty", &["data-keys", "jwt-secret"]),
        Err(_) => ("is missing", &[]),
    };
    let is_used = |file: &Path| fs::metadata(file).is_ok();
    let lock = lock_file(path);
    let sign = signs.iter().map(|name| path.with_file_name(name)).chain([lock]).find(|file| is_used(file));
    match sign {
        None => Ok(()),
        Some(sign) => Err(format!(
            "{} {state}, but {} shows that it held data. Restore a backup (docs/operations.md). To begin with an empty \
             database, name a file in another folder in DATABASE_URL.",
            path.display(),
            sign.display()
        )),
    }
}
