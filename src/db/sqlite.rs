//! SQLite: a pool of readers, and one writer thread that lets many transactions share one fsync.
//!
//! The writer takes queued jobs, runs each in a savepoint inside one `BEGIN IMMEDIATE`, commits once
//! (`synchronous=FULL`) and only then responds to all of them. So no response is sent before its data is on disk.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::r2d2::{CustomizeConnection, Error as R2d2Error, Pool};
use diesel::sql_types::Integer;
use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use super::pool::{CheckedConnection, Manager};
use super::sqlite_file::{APPLICATION_ID, connect_plain, folder_of, take_server_lock};
use super::{Conn, Connections, Use, damage, trace};
use crate::error::{Error, Result};
use crate::telemetry::Metrics;

/// How many jobs may wait for the writer. Further requests are rejected.
const CAPACITY: usize = 1024;
/// The maximum number of jobs in a batch.
const BATCH: usize = 128;
/// The maximum duration of a batch.
const BATCH_TIME: Duration = Duration::from_millis(20);
/// How often one job runs if it asks to run again.
const MAX_ATTEMPTS: u32 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// `busy_timeout` comes first, because the other settings may already meet a lock.
fn configure(conn: &mut SqliteConnection, access: Access) -> diesel::QueryResult<()> {
    conn.batch_execute("PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;")?;
    match access {
        Access::Read => conn.batch_execute("PRAGMA query_only = ON;"),
        // Deleted data is personal, so it is overwritten.
        Access::Write => conn.batch_execute(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864; \
             PRAGMA secure_delete = ON;",
        ),
    }
}

/// Creates a new database that is marked and readable to its owner only. SQLite gives the files beside it the same mode. The database
/// gets its name when it is complete, so a file of that name is never empty unless something emptied it. An existing file is not
/// opened, because closing it would release SQLite's locks on it in this process.
fn create(path: &Path) -> Result<(), String> {
    if path.exists() {
        return Ok(());
    }
    let folder = folder_of(path);
    let fail = |error: std::io::Error| format!("create {}: {error}", path.display());
    std::fs::create_dir_all(folder).map_err(|error| format!("create {}: {error}", folder.display()))?;
    let draft = tempfile::Builder::new().prefix(".legwork-new-").tempfile_in(folder).map_err(fail)?;
    let mut conn = connect_plain(draft.path())?;
    let mark = format!("PRAGMA journal_mode = WAL; PRAGMA application_id = {APPLICATION_ID};");
    conn.batch_execute(&mark).map_err(|error| format!("create {}: {error}", path.display()))?;
    // Closing moves its journal into the file.
    drop(conn);
    draft.as_file().sync_all().map_err(fail)?;
    match draft.persist_noclobber(path) {
        Ok(_) => File::open(folder).and_then(|folder| folder.sync_all()).map_err(fail),
        // Another process was faster.
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(fail(error.error)),
    }
}

/// Opens the file for reading and writing. Creates it if it does not exist.
pub(super) fn connect(path: &Path) -> Result<Conn, String> {
    create(path)?;
    reconnect(path)
}

/// Opens an existing file.
fn reconnect(path: &Path) -> Result<Conn, String> {
    let shown = path.display();
    if !path.exists() {
        return Err(format!("SQLite: {shown} does not exist any more"));
    }
    let mut conn = SqliteConnection::establish(&path.to_string_lossy())
        .map_err(|error| format!("SQLite: cannot open {shown}: {error}"))?;
    configure(&mut conn, Access::Write).map_err(|error| format!("SQLite: cannot use {shown}: {error}"))?;
    let mut conn = Conn::Sqlite(conn);
    trace::instrument(&mut conn);
    Ok(conn)
}

#[derive(Debug)]
struct Configure;

impl CustomizeConnection<CheckedConnection, R2d2Error> for Configure {
    fn on_acquire(&self, conn: &mut CheckedConnection) -> Result<(), R2d2Error> {
        match &mut **conn {
            Conn::Sqlite(conn) => configure(conn, Access::Read).map_err(R2d2Error::QueryError)?,
            Conn::Postgres(_) => {}
        }
        trace::instrument(conn);
        Ok(())
    }
}

/// Creates a pool of connections that cannot write.
pub(super) fn readers(path: &Path, size: u32) -> Result<Connections, String> {
    Pool::builder()
        .max_size(size)
        .min_idle(Some(1))
        .connection_timeout(Duration::from_secs(2))
        // A file does not disappear between two requests.
        .test_on_check_out(false)
        .connection_customizer(Box::new(Configure))
        .build(Manager::new(path.to_string_lossy()))
        .map_err(|error| format!("SQLite: {error}"))
}

/// A job that ran: its failure, if any, and how to respond after the batch is on disk or lost.
struct Done {
    failure: Option<Error>,
    answer: Box<dyn FnOnce(Result<(), Error>) + Send>,
}

/// A queued job. Receives the connection, or the error if none is available.
type Job = Box<dyn FnOnce(Result<&mut Conn, Error>) -> Done + Send>;

/// A command to the writer thread.
enum Command {
    Run(Job),
    /// Ends the thread, which reports when it has ended.
    Close(oneshot::Sender<()>),
}

/// The handle of the writer thread. The thread ends when the last handle is dropped.
pub(super) struct Writer {
    queue: mpsc::Sender<Command>,
    metrics: Arc<Metrics>,
    /// Held as long as the server lives. The operating system releases it even after a crash.
    _lock: Option<File>,
}

impl Writer {
    pub(super) fn start(path: &Path, usage: Use, metrics: Arc<Metrics>) -> Result<Self, String> {
        let conn = connect(path)?;
        let lock = (usage == Use::Serve).then(|| take_server_lock(path)).transpose()?;
        let (queue, commands) = mpsc::channel(CAPACITY);
        let path = path.to_owned();
        let thread_metrics = Arc::clone(&metrics);
        std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || {
                let conn = Some(conn);
                WriterThread {
                    path: path.as_path(),
                    conn,
                    commands,
                    largest_batch: BATCH,
                    closing: None,
                    metrics: &thread_metrics,
                }
                .run();
            })
            .map_err(|error| format!("start the writer thread: {error}"))?;
        Ok(Self { queue, metrics, _lock: lock })
    }

    pub(super) async fn write<T, F>(&self, work: F) -> Result<T>
    where
        F: Fn(&mut Conn) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let span = tracing::Span::current();
        let job: Job = Box::new(move |conn| {
            let _request = span.entered();
            if answer.is_closed() {
                // The caller has given up, and was told that it failed.
                return Done { failure: None, answer: Box::new(|_| {}) };
            }
            let outcome = conn.and_then(|conn| attempt(conn, &work));
            Done {
                failure: outcome.as_ref().err().map(duplicate),
                answer: Box::new(move |committed| {
                    // The caller may have given up during the batch, which is committed nevertheless.
                    let _ = answer.send(committed.and(outcome));
                }),
            }
        });
        self.queue.try_send(Command::Run(job)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::unavailable(1, "the writer's queue is full"),
            mpsc::error::TrySendError::Closed(_) => Error::unavailable(5, "the service is shutting down"),
        })?;
        self.metrics.db_write_queue.set(queued(&self.queue));
        answered.await.unwrap_or_else(|_| Err(Error::fault("the writer dropped a transaction")))
    }

    /// Runs the queued jobs, moves the journal into the file, and ends the thread.
    pub(super) async fn close(&self) {
        let (done, ended) = oneshot::channel();
        // If the queue is closed, the thread has ended already.
        if self.queue.send(Command::Close(done)).await.is_ok() {
            let _ = ended.await;
        }
    }
}

fn queued(queue: &mpsc::Sender<Command>) -> i64 {
    i64::try_from(queue.max_capacity() - queue.capacity()).unwrap_or(i64::MAX)
}

/// Runs one job in its savepoint. A panic is caught inside, so that the savepoint is always closed.
fn attempt<T>(conn: &mut Conn, work: &impl Fn(&mut Conn) -> Result<T>) -> Result<T> {
    for _ in 1..MAX_ATTEMPTS {
        match attempt_once(conn, work) {
            Err(Error::Retry) => {}
            result => return result,
        }
    }
    match attempt_once(conn, work) {
        Err(Error::Retry) => Err(Error::unavailable(1, "the transaction kept conflicting with others")),
        result => result,
    }
}

/// If the rollback fails as well, the job's own error is returned.
fn attempt_once<T>(conn: &mut Conn, work: &impl Fn(&mut Conn) -> Result<T>) -> Result<T> {
    let mut failure = None;
    let kept = conn.transaction(|conn| {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(conn)))
            .unwrap_or_else(|_| Err(Error::fault("a database closure panicked")));
        done.map_err(|error| {
            failure = Some(error);
            diesel::result::Error::RollbackTransaction
        })
    });
    kept.map_err(|error| failure.unwrap_or_else(|| error.into()))
}

/// The state of the writer thread.
struct WriterThread<'a> {
    path: &'a Path,
    /// None after a transaction was lost, until the file is opened again.
    conn: Option<Conn>,
    commands: mpsc::Receiver<Command>,
    /// How many jobs the next batch may have. One after a batch was lost, then twice as many after each that succeeds: a disk that fails
    /// now and then would lose every large batch, and the callers would retry all its jobs together.
    largest_batch: usize,
    /// Notified when the thread has ended. Set when it must end.
    closing: Option<oneshot::Sender<()>>,
    metrics: &'a Metrics,
}

impl WriterThread<'_> {
    fn run(mut self) {
        while let Some(command) = self.commands.blocking_recv() {
            match command {
                Command::Run(first) => self.serve(first),
                Command::Close(done) => self.closing = Some(done),
            }
            if let Some(done) = self.closing.take() {
                self.end();
                let _ = done.send(());
                return;
            }
        }
    }

    /// Runs a batch that begins with this job.
    fn serve(&mut self, first: Job) {
        let mut conn = match self.conn.take().map_or_else(|| self.reopen(), Ok) {
            Ok(conn) => conn,
            Err(error) => return reject(first, error),
        };
        if self.batch(&mut conn, first) {
            if trace::has_too_many_statements(&mut conn)
                && let Ok(fresh) = reconnect(self.path)
            {
                conn = fresh;
            }
            self.conn = Some(conn);
            self.largest_batch = (2 * self.largest_batch).min(BATCH);
        } else {
            self.largest_batch = 1;
            tracing::error!(
                "SQLite rolled a transaction back by itself. Its requests were rejected, and the file is reopened"
            );
        }
    }

    /// Returns the next job that waits, unless the thread must end.
    fn next(&mut self) -> Option<Job> {
        match self.commands.try_recv().ok()? {
            Command::Run(job) => Some(job),
            Command::Close(done) => {
                self.closing = Some(done);
                None
            }
        }
    }

    /// Opens the same file again. A file that is gone is not created, because it would be an empty database.
    fn reopen(&self) -> Result<Conn, Error> {
        reconnect(self.path).map_err(|error| {
            tracing::error!(%error, "the database file cannot be opened");
            if damage::is_reported_by(&error) {
                Error::Damaged
            } else {
                Error::unavailable(5, "the database file cannot be opened")
            }
        })
    }

    /// Moves the journal into the file, so that a copy of the file alone is complete.
    fn end(&mut self) {
        let Some(Conn::Sqlite(mut conn)) = self.conn.take() else { return };
        // Waits one second at most for readers outside of the service, such as a backup.
        let moved = conn
            .batch_execute("PRAGMA busy_timeout = 1000")
            .and_then(|()| diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)").get_result::<Checkpoint>(&mut conn));
        match moved {
            Ok(Checkpoint { busy: 0 }) => {}
            Ok(_) => tracing::warn!("the database is being read. Keep the file that ends in -wal with it"),
            Err(error) => tracing::warn!(%error, "the journal could not be moved. Keep the file that ends in -wal"),
        }
    }

    /// Runs a batch. Returns false if the connection cannot be trusted any more.
    fn batch(&mut self, conn: &mut Conn, first: Job) -> bool {
        if let Err(error) = begin(conn) {
            reject(first, error.into());
            return true;
        }
        let started = Instant::now();
        let mut done = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next {
            let mut outcome = job(Ok(conn));
            let failure = outcome.failure.take();
            done.push(outcome);
            if let Some(why) = failure
                && (depth(conn) != Some(1) || transaction_is_lost(conn))
            {
                return reject_batch(done, &why);
            }
            next = (done.len() < self.largest_batch && started.elapsed() < BATCH_TIME).then(|| self.next()).flatten();
        }
        self.metrics.db_write_queue.set(i64::try_from(self.commands.len()).unwrap_or(i64::MAX));
        self.metrics.db_batch_size.observe(f64::from(u32::try_from(done.len()).unwrap_or(u32::MAX)));
        if let Err(error) = Conn::commit_transaction(conn) {
            return reject_batch(done, &error.into());
        }
        for done in done {
            (done.answer)(Ok(()));
        }
        true
    }
}

/// The result of a checkpoint.
#[derive(QueryableByName)]
struct Checkpoint {
    /// 1 if a reader or writer prevented it.
    #[diesel(sql_type = Integer)]
    busy: i32,
}

/// Rejects all jobs of a batch that was lost.
fn reject_batch(done: Vec<Done>, why: &Error) -> bool {
    for done in done {
        (done.answer)(Err(duplicate(why)));
    }
    false
}

/// Begins the batch's transaction with the write lock. A deferred transaction would fail later, when it takes the lock.
fn begin(conn: &mut Conn) -> diesel::QueryResult<()> {
    match conn {
        Conn::Sqlite(conn) => AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE"),
        Conn::Postgres(conn) => AnsiTransactionManager::begin_transaction(conn),
    }
}

/// Returns the transaction depth in diesel's book-keeping.
fn depth(conn: &mut Conn) -> Option<u32> {
    Conn::transaction_manager_status_mut(conn).transaction_depth().ok().flatten().map(std::num::NonZero::get)
}

/// Returns whether SQLite has ended the transaction by itself, because the disk is full or fails. `BEGIN` succeeds only
/// outside of a transaction. This asks SQLite; diesel's book-keeping ([`depth`]) may detect the loss later.
fn transaction_is_lost(conn: &mut Conn) -> bool {
    conn.batch_execute("BEGIN").is_ok()
}

/// Copies an error for each job of a batch.
fn duplicate(error: &Error) -> Error {
    match error {
        Error::StorageFull => Error::StorageFull,
        Error::Damaged => Error::Damaged,
        Error::Unavailable { retry_after, detail } => Error::unavailable(*retry_after, detail.clone()),
        other => Error::unavailable(5, other.to_string()),
    }
}

/// Responds to a job that never ran.
fn reject(job: Job, why: Error) {
    (job(Err(why)).answer)(Ok(()));
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc as std_mpsc;

    use diesel::prelude::*;
    use diesel::sql_types::{BigInt, Text};

    use super::*;

    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        name: String,
    }

    fn insert(name: &'static str, bytes: u32) -> impl Fn(&mut Conn) -> Result<()> + Send + 'static {
        move |tx| {
            let sql = format!("INSERT INTO t VALUES ('{name}', zeroblob({bytes}))");
            Ok(tx.batch_execute(&sql)?)
        }
    }

    /// Small transactions share a batch with one that does not fit on the disk. SQLite ends the whole transaction then,
    /// not only the statement.
    #[test]
    fn all_transactions_of_a_lost_batch_fail_and_later_ones_succeed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t.db");
        let writer = Writer::start(&path, Use::Tool, Arc::default()).expect("a writer");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let create = |tx: &mut Conn| Ok(tx.batch_execute("CREATE TABLE t (name TEXT, x BLOB)")?);
            writer.write(create).await.expect("a table");
            writer.write(|tx| Ok(tx.batch_execute("PRAGMA max_page_count = 64")?)).await.expect("a small disk");
            // The first job keeps the writer busy until the others wait, so that they share the next batch.
            let (release, wait) = std_mpsc::channel::<()>();
            let wait = std::sync::Mutex::new(wait);
            let first = writer.write(move |_| {
                let _ = wait.lock().map(|wait| wait.recv_timeout(Duration::from_secs(5)));
                Ok(())
            });
            let before = writer.write(insert("before", 10));
            let large = writer.write(insert("large", 1_000_000));
            let after = writer.write(insert("after", 10));
            let release = async move { release.send(()).expect("the writer waits") };
            let (_, before, large, after, ()) = tokio::join!(first, before, large, after, release);
            assert!(matches!(large, Err(Error::StorageFull)), "{large:?}");
            assert!(before.is_err(), "it was rolled back with the large one");
            // The jobs that waited run on a new connection, which has no such limit.
            after.expect("written");
            writer.write(insert("later", 10)).await.expect("written");
            let rows: Vec<Row> = writer
                .write(|tx| {
                    let all = diesel::sql_query("SELECT name FROM t WHERE length(x) >= $1").bind::<BigInt, _>(0);
                    Ok(all.load::<Row>(tx)?)
                })
                .await
                .expect("read");
            assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["after", "later"]);
        });
    }
}
