//! SQLite: a pool of readers, and one writer thread that lets many transactions share one fsync.
//!
//! The writer takes waiting closures, runs each in a savepoint inside one `BEGIN IMMEDIATE`, commits once
//! (`synchronous=FULL`) and only then answers them all. An answer therefore never runs ahead of the disk.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::r2d2::{CustomizeConnection, Error as R2d2Error, Pool};
use diesel::sql_types::Integer;
use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use super::pool::{Manager, Watched};
use super::{Conn, Connections, Use, damage, trace};
use crate::error::{Error, Result};
use crate::telemetry::Metrics;

/// Closures that may wait for the writer; beyond that a request is told to come back.
const QUEUE: usize = 1024;
/// A batch ends after so many closures …
const BATCH: usize = 128;
/// … or so much time, whichever comes first.
const BATCH_TIME: Duration = Duration::from_millis(20);
/// How often one closure is run again where it asks for it.
const TRIES: u32 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// `busy_timeout` comes first: the others may already meet a lock.
fn configure(conn: &mut SqliteConnection, access: Access) -> diesel::QueryResult<()> {
    conn.batch_execute("PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;")?;
    match access {
        Access::Read => conn.batch_execute("PRAGMA query_only = ON;"),
        // What is deleted is somebody's data: it is overwritten, not just forgotten.
        Access::Write => conn.batch_execute(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864; \
             PRAGMA secure_delete = ON;",
        ),
    }
}

/// Makes a new database, marked as ours and readable to its owner only; SQLite gives the files beside it the same mode.
///
/// It gets its name when it is whole: so a file of that name is never empty unless something emptied it. A file that is
/// there is not touched; closing it would also drop the locks that SQLite has on it in this process.
fn create(path: &Path) -> Result<(), String> {
    if path.exists() {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let fail = |error: std::io::Error| format!("create {}: {error}", path.display());
    std::fs::create_dir_all(folder).map_err(|error| format!("create {}: {error}", folder.display()))?;
    let draft = tempfile::Builder::new().prefix(".legwork-new-").tempfile_in(folder).map_err(fail)?;
    let mut conn = connect_plain(draft.path())?;
    let mark = format!("PRAGMA journal_mode = WAL; PRAGMA application_id = {};", damage::APPLICATION_ID);
    conn.batch_execute(&mark).map_err(|error| format!("create {}: {error}", path.display()))?;
    // What is in its journal goes into the file now.
    drop(conn);
    draft.as_file().sync_all().map_err(fail)?;
    match draft.persist_noclobber(path) {
        Ok(_) => File::open(folder).and_then(|folder| folder.sync_all()).map_err(fail),
        // Another process was quicker.
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(fail(error.error)),
    }
}

/// Opens the file for reading and writing; makes it where there is none.
pub(super) fn connect(path: &Path) -> Result<Conn, String> {
    create(path)?;
    reconnect(path)
}

/// Opens the file that is there.
fn reconnect(path: &Path) -> Result<Conn, String> {
    let shown = path.display();
    if !path.exists() {
        return Err(format!("SQLite: {shown} is not there any more"));
    }
    let mut conn = SqliteConnection::establish(&path.to_string_lossy())
        .map_err(|error| format!("SQLite: cannot open {shown}: {error}"))?;
    configure(&mut conn, Access::Write).map_err(|error| format!("SQLite: cannot use {shown}: {error}"))?;
    let mut conn = Conn::Sqlite(conn);
    trace::follow(&mut conn);
    Ok(conn)
}

/// Opens a file that is there, as it is: for tools that only look, which must not turn a copy's journal mode.
pub(super) fn connect_plain(path: &Path) -> Result<SqliteConnection, String> {
    let mut conn = SqliteConnection::establish(&path.to_string_lossy())
        .map_err(|error| format!("SQLite: cannot open {}: {error}", path.display()))?;
    conn.batch_execute("PRAGMA busy_timeout = 5000; PRAGMA temp_store = MEMORY;")
        .map_err(|error| format!("SQLite: cannot use {}: {error}", path.display()))?;
    Ok(conn)
}

#[derive(Debug)]
struct Configure;

impl CustomizeConnection<Watched, R2d2Error> for Configure {
    fn on_acquire(&self, conn: &mut Watched) -> Result<(), R2d2Error> {
        match &mut **conn {
            Conn::Sqlite(conn) => configure(conn, Access::Read).map_err(R2d2Error::QueryError)?,
            Conn::Postgres(_) => {}
        }
        trace::follow(conn);
        Ok(())
    }
}

/// A pool of connections that cannot write.
pub(super) fn readers(path: &Path, size: u32) -> Result<Connections, String> {
    Pool::builder()
        .max_size(size)
        .min_idle(Some(1))
        .connection_timeout(Duration::from_secs(2))
        // A file does not go away between two requests.
        .test_on_check_out(false)
        .connection_customizer(Box::new(Configure))
        .build(Manager::new(path.to_string_lossy()))
        .map_err(|error| format!("SQLite: {error}"))
}

/// A closure, run: why it kept nothing, if so, and how to answer once the batch is on disk or lost.
struct Done {
    failure: Option<Error>,
    answer: Box<dyn FnOnce(Result<(), Error>) + Send>,
}

/// A waiting closure. It is given the connection, or why there is none.
type Job = Box<dyn FnOnce(Result<&mut Conn, Error>) -> Done + Send>;

/// What the writer thread is told.
enum Order {
    Run(Job),
    /// To end, and to say when it has.
    Close(oneshot::Sender<()>),
}

/// The handle on the writer thread. The thread ends when the last handle is gone.
pub(super) struct Writer {
    queue: mpsc::Sender<Order>,
    metrics: Arc<Metrics>,
    /// Held as long as the server lives; the operating system lets go of it even after a crash.
    _lock: Option<File>,
}

impl Writer {
    pub(super) fn start(path: &Path, usage: Use, metrics: Arc<Metrics>) -> Result<Self, String> {
        let conn = connect(path)?;
        let lock = (usage == Use::Serve).then(|| exclusive(path)).transpose()?;
        let (queue, orders) = mpsc::channel(QUEUE);
        let path = path.to_owned();
        let thread_metrics = Arc::clone(&metrics);
        std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || {
                let conn = Some(conn);
                Loop { path: path.as_path(), conn, orders, closing: None, metrics: &thread_metrics }.run();
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
                // The caller has given up, and was told that it is not done.
                return Done { failure: None, answer: Box::new(|_| {}) };
            }
            let outcome = conn.and_then(|conn| attempt(conn, &work));
            Done {
                failure: outcome.as_ref().err().map(again),
                answer: Box::new(move |committed| {
                    // The caller may have given up during the batch, which is committed all the same.
                    let _ = answer.send(committed.and(outcome));
                }),
            }
        });
        self.queue.try_send(Order::Run(job)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::unavailable(1, "the writer's queue is full"),
            mpsc::error::TrySendError::Closed(_) => Error::unavailable(5, "the service is shutting down"),
        })?;
        self.metrics.db_write_queue.set(queued(&self.queue));
        answered.await.unwrap_or_else(|_| Err(Error::fault("the writer dropped a transaction")))
    }

    /// Runs what waits, moves the journal into the file, and ends the thread.
    pub(super) async fn close(&self) {
        let (done, ended) = oneshot::channel();
        // Where the queue is gone, the thread has ended already.
        if self.queue.send(Order::Close(done)).await.is_ok() {
            let _ = ended.await;
        }
    }
}

fn queued(queue: &mpsc::Sender<Order>) -> i64 {
    i64::try_from(queue.max_capacity() - queue.capacity()).unwrap_or(i64::MAX)
}

/// Runs one closure in its savepoint. A panic is caught inside, so that the savepoint is always closed.
fn attempt<T>(conn: &mut Conn, work: &impl Fn(&mut Conn) -> Result<T>) -> Result<T> {
    for _ in 1..TRIES {
        match attempt_once(conn, work) {
            Err(Error::Retry) => {}
            result => return result,
        }
    }
    match attempt_once(conn, work) {
        Err(Error::Retry) => Err(Error::unavailable(1, "the transaction kept colliding with others")),
        result => result,
    }
}

/// Where rolling back fails as well, the closure's own error is still the one to tell.
fn attempt_once<T>(conn: &mut Conn, work: &impl Fn(&mut Conn) -> Result<T>) -> Result<T> {
    let mut refusal = None;
    let kept = conn.transaction(|conn| {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(conn)))
            .unwrap_or_else(|_| Err(Error::fault("a database closure panicked")));
        done.map_err(|error| {
            refusal = Some(error);
            diesel::result::Error::RollbackTransaction
        })
    });
    kept.map_err(|error| refusal.unwrap_or_else(|| error.into()))
}

/// Whether a server has this file open.
pub(super) fn is_served(path: &Path) -> bool {
    // A lock that was taken is let go of at once.
    File::open(lock_file(path)).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

pub(super) fn lock_file(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// Takes the lock that marks the server of this file.
fn exclusive(path: &Path) -> Result<File, String> {
    let name = lock_file(path);
    let file = File::create(&name).map_err(|error| format!("create {}: {error}", name.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(format!(
            "another legwork server has {} open. One SQLite file has one server; several instances need PostgreSQL.",
            path.display()
        )),
        Err(TryLockError::Error(error)) => Err(format!("lock {}: {error}", name.display())),
    }
}

/// What the writer thread owns.
struct Loop<'a> {
    path: &'a Path,
    /// `None` after a transaction was lost, until the file opens again.
    conn: Option<Conn>,
    orders: mpsc::Receiver<Order>,
    /// Whom to tell that the thread has ended, once it is to end.
    closing: Option<oneshot::Sender<()>>,
    metrics: &'a Metrics,
}

impl Loop<'_> {
    fn run(mut self) {
        while let Some(order) = self.orders.blocking_recv() {
            match order {
                Order::Run(first) => self.serve(first),
                Order::Close(done) => self.closing = Some(done),
            }
            if let Some(done) = self.closing.take() {
                self.end();
                let _ = done.send(());
                return;
            }
        }
    }

    /// Runs a batch that begins with this closure.
    fn serve(&mut self, first: Job) {
        let mut conn = match self.conn.take().map_or_else(|| self.reopen(), Ok) {
            Ok(conn) => conn,
            Err(error) => return refuse(first, error),
        };
        if self.batch(&mut conn, first) {
            if trace::is_laden(&mut conn)
                && let Ok(fresh) = reconnect(self.path)
            {
                conn = fresh;
            }
            self.conn = Some(conn);
        } else {
            tracing::error!("SQLite gave up a transaction by itself; its requests were refused, the file is reopened");
        }
    }

    /// The next closure that waits already, unless the thread is to end.
    fn next(&mut self) -> Option<Job> {
        match self.orders.try_recv().ok()? {
            Order::Run(job) => Some(job),
            Order::Close(done) => {
                self.closing = Some(done);
                None
            }
        }
    }

    /// A new connection to the same file. A file that is gone is not made anew: it would be an empty clinic.
    fn reopen(&self) -> Result<Conn, Error> {
        reconnect(self.path).map_err(|error| {
            tracing::error!(%error, "the database file cannot be opened");
            if damage::is_told_by(&error) {
                Error::Damaged
            } else {
                Error::unavailable(5, "the database file cannot be opened")
            }
        })
    }

    /// Moves the journal into the file, so that a copy of the file alone is whole.
    fn end(&mut self) {
        let Some(Conn::Sqlite(mut conn)) = self.conn.take() else { return };
        // Readers beside the service, such as a backup, are not waited for to the end.
        let moved = conn
            .batch_execute("PRAGMA busy_timeout = 1000")
            .and_then(|()| diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)").get_result::<Checkpoint>(&mut conn));
        match moved {
            Ok(Checkpoint { busy: 0 }) => {}
            Ok(_) => tracing::warn!("the database is being read: keep the file that ends in -wal with it"),
            Err(error) => tracing::warn!(%error, "keep the file that ends in -wal with the database"),
        }
    }

    /// Runs a batch; false if the connection can no longer be trusted.
    fn batch(&mut self, conn: &mut Conn, first: Job) -> bool {
        if let Err(error) = begin(conn) {
            refuse(first, error.into());
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
                return lost(done, &why);
            }
            next = (done.len() < BATCH && started.elapsed() < BATCH_TIME).then(|| self.next()).flatten();
        }
        self.metrics.db_write_queue.set(i64::try_from(self.orders.len()).unwrap_or(i64::MAX));
        self.metrics.db_batch_size.observe(f64::from(u32::try_from(done.len()).unwrap_or(u32::MAX)));
        if let Err(error) = Conn::commit_transaction(conn) {
            return lost(done, &error.into());
        }
        for done in done {
            (done.answer)(Ok(()));
        }
        true
    }
}

/// What SQLite says of a checkpoint.
#[derive(QueryableByName)]
struct Checkpoint {
    /// 1 if a reader or writer stood in the way.
    #[diesel(sql_type = Integer)]
    busy: i32,
}

/// None of the batch was kept, whatever the closures thought.
fn lost(done: Vec<Done>, why: &Error) -> bool {
    for done in done {
        (done.answer)(Err(again(why)));
    }
    false
}

/// Begins the batch's transaction with the write lock at once: a deferred one would fail later, when it asks for it.
fn begin(conn: &mut Conn) -> diesel::QueryResult<()> {
    match conn {
        Conn::Sqlite(conn) => AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE"),
        Conn::Postgres(conn) => AnsiTransactionManager::begin_transaction(conn),
    }
}

/// How deep diesel believes to be in transactions.
fn depth(conn: &mut Conn) -> Option<u32> {
    Conn::transaction_manager_status_mut(conn).transaction_depth().ok().flatten().map(std::num::NonZero::get)
}

/// SQLite ends a transaction by itself when the disk is full or fails. `BEGIN` then succeeds; inside one it cannot. This
/// asks SQLite; what diesel believes ([`depth`]) is its own book-keeping, and it may learn of the loss only later.
fn transaction_is_lost(conn: &mut Conn) -> bool {
    conn.batch_execute("BEGIN").is_ok()
}

/// The same refusal for each of many.
fn again(error: &Error) -> Error {
    match error {
        Error::StorageFull => Error::StorageFull,
        Error::Damaged => Error::Damaged,
        Error::Unavailable { retry_after, detail } => Error::unavailable(*retry_after, detail.clone()),
        other => Error::unavailable(5, other.to_string()),
    }
}

/// Answers a closure that never ran.
fn refuse(job: Job, why: Error) {
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

    /// What happens to small transactions that share a batch with one that the disk has no room for.
    ///
    /// SQLite answers such a statement by ending the whole transaction, not only the statement.
    #[test]
    fn when_sqlite_gives_up_a_transaction_nobody_in_it_is_told_that_it_was_kept_and_the_rest_goes_on() {
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
            assert!(before.is_err(), "it was rolled back with the other");
            // What waited runs on a new connection, which has no such limit.
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
