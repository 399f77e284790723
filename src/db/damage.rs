//! Tells a damaged or foreign database file from one of ours.
//!
//! [`look`] runs at every start. What it reads does not grow with the data: the file's size, its header, the schema, and the
//! root page of each table and index. [`super::check`] reads the rest while the service runs.

use std::fmt::Display;
use std::fs;
use std::path::Path;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Integer, Text};

use super::{Conn, Target, sqlite};

/// Marks an SQLite file as ours, in its header: "LegW".
pub(super) const APPLICATION_ID: i32 = 0x4C65_6757;

/// The words of both engines for damage. diesel keeps neither SQLite's code (`SQLITE_CORRUPT`, `SQLITE_NOTADB`) nor
/// PostgreSQL's (`XX001`, `XX002`).
const WORDS: [&str; 7] = [
    "database disk image is malformed",
    "malformed database schema",
    "file is not a database",
    "invalid page in block",
    "contains corrupted page",
    "contains unexpected zero page",
    "missing chunk number",
];

/// Returns whether the engine's message says that the database is damaged.
pub fn is_told_by(message: &str) -> bool {
    WORDS.iter().any(|words| message.contains(words))
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

/// The tables and indexes whose root page is none. `dbstat` decodes one page for each row that is asked of it.
const WRONG_ROOTS: &str = "SELECT name FROM sqlite_schema WHERE rootpage > 0 AND coalesce( \
    (SELECT pagetype FROM dbstat WHERE dbstat.name = sqlite_schema.name LIMIT 1), '') NOT IN ('leaf', 'internal')";

/// Refuses an SQLite file that is damaged where it can be seen at once, or that is another program's. It changes nothing.
/// A file that is missing or empty is for [`refuse_emptied`] to judge; PostgreSQL looks after its own files.
///
/// # Errors
/// In words for the operator.
pub fn look(target: &Target) -> Result<(), String> {
    let Target::Sqlite(path) = target else { return Ok(()) };
    if fs::metadata(path).map_or(0, |file| file.len()) == 0 {
        return Ok(());
    }
    let shown = path.display();
    let damaged = |finding: &dyn Display| {
        format!("{shown} is damaged ({finding}). Restore a backup; the README says how. The file was left as it is.")
    };
    let explain = |error: diesel::result::Error| match error.to_string() {
        text if text.contains("file is not a database") => format!(
            "{shown} is not an SQLite database, or its beginning is damaged. Restore a backup, or name another file in DATABASE_URL."
        ),
        text if is_told_by(&text) => damaged(&text),
        text => format!("read {shown}: {text}"),
    };
    let mut conn = sqlite::connect_plain(path)?;
    let header: Header = sql_query(HEADER).get_result(&mut conn).map_err(explain)?;
    let is_ours = header.application_id == APPLICATION_ID
        || header.application_id == 0 && is_unmarked_one_of_ours(&mut conn).map_err(explain)?;
    if !is_ours {
        return Err(format!(
            "{shown} is the database of another program. Name another file in DATABASE_URL. The file was left as it is."
        ));
    }
    if header.freelist_count >= header.page_count {
        return Err(damaged(&"the list of free pages"));
    }
    let wrong: Vec<Found> = sql_query(WRONG_ROOTS).load(&mut conn).map_err(explain)?;
    match wrong.first() {
        Some(first) => Err(damaged(&format_args!("{} tables and indexes, such as {}", wrong.len(), first.name))),
        None => Ok(()),
    }
}

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

/// A file made before the mark existed is recognised by the first migration. A file without any table belongs to no application.
fn is_unmarked_one_of_ours(conn: &mut SqliteConnection) -> QueryResult<bool> {
    const DIESEL: &str = "__diesel_schema_migrations";
    let mut ask = |sql: &str| sql_query(sql).get_result::<Answer>(conn).map(|answer| answer.yes);
    if !ask(&format!(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name <> '{DIESEL}' AND tbl_name <> '{DIESEL}') AS yes"
    ))? {
        return Ok(true);
    }
    Ok(ask(&format!("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '{DIESEL}') AS yes"))?
        && ask(&format!("SELECT EXISTS (SELECT 1 FROM {DIESEL} WHERE version = '20261122000001') AS yes"))?)
}

/// Marks a file from before the mark.
///
/// # Errors
/// In words for the operator.
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

/// Refuses an SQLite file that is empty or missing although there are signs that it held a clinic's data: a new, empty
/// clinic would be served, and nobody would be told. To be called before missing keys are made.
///
/// # Errors
/// In words for the operator.
pub fn refuse_emptied(target: &Target) -> Result<(), String> {
    let Target::Sqlite(path) = target else { return Ok(()) };
    let (state, signs): (_, &[&str]) = match fs::metadata(path) {
        Ok(file) if file.len() > 0 => return Ok(()),
        // Keys are made before the database is, but a database is never empty once it has its name.
        Ok(_) => ("is empty", &["data-keys", "jwt-secret"]),
        Err(_) => ("is missing", &[]),
    };
    let is_used = |file: &Path| fs::metadata(file).is_ok();
    let lock = sqlite::lock_file(path);
    let sign = signs.iter().map(|name| path.with_file_name(name)).chain([lock]).find(|file| is_used(file));
    match sign {
        None => Ok(()),
        Some(sign) => Err(format!(
            "{} {state}, but {} says that it held data. Restore a backup; the README says how. To begin with an empty \
             database, name a file in another folder in DATABASE_URL.",
            path.display(),
            sign.display()
        )),
    }
}
