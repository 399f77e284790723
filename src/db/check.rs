//! Reads the whole SQLite file in pieces while the service runs, to find damage before a request does.
//!
//! Small files are checked completely, including indexes against tables. In large files each table is checked alone
//! with its indexes, for form only (`quick_check`), so that one piece takes as long as reading that table once. Each
//! piece has its own connection, runs beside reads and writes, and is followed by a pause of the same length. The next
//! check begins after a hundred times the duration of this one, but at least after ten minutes.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};
use tokio::sync::watch;

use super::sqlite_file::connect_plain;
use super::{Db, Target, damage};
use crate::error::Error;
use crate::periodic;

/// Files of up to this many bytes are checked completely, which takes seconds. A `quick_check` is ten times as fast.
const SMALL_FILE: u64 = 64 << 20;
/// The minimum pause between two checks.
const MIN_PAUSE: Duration = Duration::from_mins(10);
/// The pause after a check that failed.
const RETRY_PAUSE: Duration = Duration::from_mins(1);
/// How many times as long as a check the pause after it is.
const PAUSE_FACTOR: u32 = 100;

/// How often the path of the file is checked.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// Starts the checks if the database is a file. They end with the service.
pub fn start(db: &Db, target: &Target, stopping: watch::Receiver<bool>) {
    let Target::Sqlite(path) = target else { return };
    watch_file(db, path, stopping.clone());
    let (db, path, stopped) = (db.clone(), path.clone(), stopping.clone());
    let mut is_first = true;
    periodic::start(stopping, async move || {
        let began = Instant::now();
        match check_file(&db, &path, &stopped).await {
            Ok(Outcome::NoDamage) if is_first => {
                let seconds = began.elapsed().as_secs_f64();
                tracing::info!(seconds, "the database file was checked, and no damage was found");
                is_first = false;
            }
            Ok(_) => {}
            Err(Failure::Damage(finding)) => db.report_damage(&finding),
            Err(Failure::Other(error)) => {
                tracing::warn!(%error, "the database file could not be checked");
                return RETRY_PAUSE;
            }
        }
        MIN_PAUSE.max(began.elapsed().saturating_mul(PAUSE_FACTOR))
    });
}

/// Reports when the file was deleted or replaced. The service would continue with the old file, which no restart finds
/// again, and each new connection would open the other one. Reads the path's metadata only, because opening and closing
/// the file would release SQLite's locks on it.
fn watch_file(db: &Db, path: &Path, stopping: watch::Receiver<bool>) {
    let (db, path, opened) = (db.clone(), path.to_owned(), identity(path));
    periodic::start(stopping, async move || {
        let there = identity(&path);
        if there.is_none() || there != opened {
            db.report_damage("the file was deleted or replaced while the service ran");
        }
        WATCH_INTERVAL
    });
}

/// Returns the device and the inode of a file, or none if it is missing.
#[cfg(unix)]
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Returns whether the file exists.
#[cfg(not(unix))]
fn identity(path: &Path) -> Option<()> {
    fs::metadata(path).ok().map(|_| ())
}

/// The outcome of a check without a finding.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    NoDamage,
    /// The service is stopping.
    Interrupted,
}

/// Why a check ended early.
#[derive(Debug)]
enum Failure {
    Damage(String),
    Other(String),
}

/// A piece of the check: the query whose rows are findings, `ok` if there are none.
type Piece = String;

async fn check_file(db: &Db, path: &Path, stopping: &watch::Receiver<bool>) -> Result<Outcome, Failure> {
    let metrics = &db.0.metrics;
    let pieces = run_blocking(path, |path| pieces(path, SMALL_FILE)).await?;
    metrics.db_check_pieces.set(i64::try_from(pieces.len()).unwrap_or(i64::MAX));
    metrics.db_check_done.set(0);
    tracing::debug!(pieces = pieces.len(), "checking the database file");
    for piece in pieces {
        if *stopping.borrow() {
            return Ok(Outcome::Interrupted);
        }
        let began = Instant::now();
        run_blocking(path, move |path| check_piece(path, &piece)).await?;
        metrics.db_check_done.inc();
        tokio::time::sleep(began.elapsed()).await;
    }
    Ok(Outcome::NoDamage)
}

/// Checks tables of an SQLite file completely, with their indexes, and returns the findings. None on PostgreSQL, which has no such check.
///
/// # Errors
/// If the file cannot be read.
pub async fn findings(target: &Target, tables: &[&str]) -> Result<Vec<String>, Error> {
    let Target::Sqlite(path) = target else { return Ok(Vec::new()) };
    let mut findings = Vec::new();
    for table in tables {
        let piece = format!("SELECT integrity_check AS line FROM pragma_integrity_check('{table}')");
        match run_blocking(path, move |path| check_piece(path, &piece)).await {
            Ok(()) => {}
            Err(Failure::Damage(finding)) => findings.push(finding),
            Err(Failure::Other(error)) => return Err(Error::internal("check the database file", error)),
        }
    }
    Ok(findings)
}

/// Runs on a thread that may block.
async fn run_blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let path = path.to_owned();
    let done = tokio::task::spawn_blocking(move || work(&path)).await;
    done.unwrap_or_else(|error| Err(Failure::Other(error.to_string())))
}

#[derive(QueryableByName)]
struct Size {
    #[diesel(sql_type = BigInt)]
    bytes: i64,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    line: String,
}

fn open(path: &Path) -> Result<SqliteConnection, Failure> {
    // Opening would create a new file.
    if fs::metadata(path).map_or(0, |file| file.len()) == 0 {
        return Err(Failure::Damage("the file is missing or empty".to_owned()));
    }
    let mut conn = connect_plain(path).map_err(Failure::Other)?;
    conn.batch_execute("PRAGMA query_only = ON").map_err(failed)?;
    Ok(conn)
}

fn failed(error: diesel::result::Error) -> Failure {
    let text = error.to_string();
    if damage::is_reported_by(&text) { Failure::Damage(text) } else { Failure::Other(text) }
}

fn pieces(path: &Path, small: u64) -> Result<Vec<Piece>, Failure> {
    let mut conn = open(path)?;
    let size: Size = sql_query("SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size")
        .get_result(&mut conn)
        .map_err(failed)?;
    if u64::try_from(size.bytes).is_ok_and(|bytes| bytes <= small) {
        return Ok(vec!["SELECT integrity_check AS line FROM pragma_integrity_check".to_owned()]);
    }
    let tables: Vec<Row> =
        sql_query("SELECT name AS line FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY name")
            .load(&mut conn)
            .map_err(failed)?;
    let check = |table: Row| {
        let name = table.line.replace('\'', "''");
        format!("SELECT quick_check AS line FROM pragma_quick_check('{name}')")
    };
    Ok(tables.into_iter().map(check).collect())
}

fn check_piece(path: &Path, piece: &Piece) -> Result<(), Failure> {
    let mut conn = open(path)?;
    let rows: Vec<Row> = sql_query(piece).load(&mut conn).map_err(failed)?;
    match rows.iter().find(|row| row.line != "ok") {
        Some(row) => {
            Err(Failure::Damage(format!("{} findings, for example {}", rows.len(), row.line.replace('\n', "; "))))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use super::*;

    #[derive(QueryableByName)]
    struct Root {
        #[diesel(sql_type = BigInt)]
        page: i64,
    }

    /// Creates a file with tables of several pages, and returns the number of a page that is neither a root nor the
    /// first.
    fn file(folder: &Path) -> (std::path::PathBuf, u64) {
        let path = folder.join("t.db");
        let mut conn = SqliteConnection::establish(&path.to_string_lossy()).expect("a connection");
        conn.batch_execute(
            "CREATE TABLE a (n INTEGER PRIMARY KEY, x BLOB); CREATE INDEX a_x ON a (x); CREATE TABLE b (n INTEGER);
             WITH RECURSIVE c (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c WHERE n < 2000)
             INSERT INTO a SELECT n, randomblob(100) FROM c;",
        )
        .expect("tables");
        let leaf: Root = sql_query(
            "SELECT pageno AS page FROM dbstat WHERE name = 'a' AND path <> '/' ORDER BY pageno LIMIT 1 OFFSET 5",
        )
        .get_result(&mut conn)
        .expect("a page");
        (path, u64::try_from(leaf.page).expect("a number"))
    }

    #[test]
    fn both_kinds_of_check_find_an_overwritten_page() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, page) = file(folder.path());
        assert_eq!(pieces(&path, SMALL_FILE).expect("pieces").len(), 1);
        assert_eq!(pieces(&path, 1000).expect("pieces").len(), 2);
        let all = || pieces(&path, SMALL_FILE).expect("pieces").into_iter().chain(pieces(&path, 1000).expect("pieces"));
        for piece in all() {
            check_piece(&path, &piece).expect("no damage");
        }
        let mut raw = fs::OpenOptions::new().write(true).open(&path).expect("the file");
        raw.seek(SeekFrom::Start((page - 1) * 4096)).expect("the page");
        raw.write_all(&[0xA5; 4096]).expect("overwritten");
        let found = all().filter(|piece| matches!(check_piece(&path, piece), Err(Failure::Damage(_)))).count();
        assert_eq!(found, 2, "the full check, and the one of table a");
        fs::write(&path, b"").expect("emptied");
        assert!(matches!(pieces(&path, SMALL_FILE), Err(Failure::Damage(_))));
    }
}
