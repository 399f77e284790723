//! Access to the database with [`Db::read`] and [`Db::write`], on SQLite or PostgreSQL, selected at run time.

pub mod advisory_lock;
pub mod backup;
pub mod budget;
pub mod check;
mod conn;
pub mod constraints;
pub mod damage;
mod liveness;
pub mod migrate;
mod pool;
pub mod pooler;
mod postgres;
pub mod raw_sql;
pub mod restore;
pub mod schema;
pub mod setup_cache;
mod sqlite;
pub mod sqlite_file;
pub mod trace;
pub mod types;
pub mod update;

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use diesel::r2d2::{Pool, PooledConnection};
use tokio::sync::Semaphore;

pub use self::conn::{Conn, MultiBackend};
use self::liveness::Liveness;
pub use self::postgres::refuse_other_schema;
use crate::error::{Error, Result};
use crate::telemetry::Metrics;

/// Runs one expression on the connection's engine. For the few statements that diesel cannot build for both engines,
/// and for frequent statements, because diesel renders the text of a statement for both engines three times in each
/// run. Build the statement inside.
macro_rules! per_backend {
    ($conn:expr, $inner:ident => $body:expr) => {
        match $conn {
            $crate::db::Conn::Sqlite($inner) => $body,
            $crate::db::Conn::Postgres($inner) => $body,
        }
    };
}
pub(crate) use per_backend;

/// The database that `DATABASE_URL` names.
#[derive(Clone)]
pub enum Target {
    /// A file.
    Sqlite(std::path::PathBuf),
    /// A libpq connection string. It may contain a password, so it is never shown.
    Postgres(String),
}

impl Target {
    /// Reads `sqlite:PATH` or a `postgres://` URL.
    ///
    /// # Errors
    /// A text for the operator, without the URL.
    pub fn parse(url: &str) -> Result<Self, String> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path == ":memory:" {
                return Err("DATABASE_URL: sqlite needs a file, such as sqlite:data/legwork.db".into());
            }
            return Ok(Self::Sqlite(path.into()));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres(url.to_owned()));
        }
        Err("DATABASE_URL: begin with sqlite: or postgres://".into())
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "SQLite {}", path.display()),
            Self::Postgres(_) => f.write_str("PostgreSQL"),
        }
    }
}

/// The purpose for which a process opens the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// The server. On SQLite it holds a file lock, so that there is only one.
    Serve,
    /// A command beside the server.
    Tool,
}

/// How long a request waits for a connection before it is rejected, and how long closing may take.
const MAX_WAIT: Duration = Duration::from_secs(2);

type Connections = Pool<pool::Manager>;
type Pooled = PooledConnection<pool::Manager>;

/// A handle of the database. Cheap to clone.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    pool: Connections,
    /// As many permits as the pool has connections, so that waiting takes no thread.
    permits: Arc<Semaphore>,
    /// SQLite's only writer. PostgreSQL writes with the pool's connections.
    writer: Option<sqlite::Writer>,
    /// Whether PostgreSQL responds. Only a server checks it.
    liveness: Option<Liveness>,
    damaged: AtomicBool,
    metrics: Arc<Metrics>,
}

/// The caller of a call. It waits for the result as long as there is a strong reference.
type Caller = Weak<()>;

/// Returns whether the caller has its response already, or is gone.
fn has_given_up(caller: &Caller) -> bool {
    caller.strong_count() == 0
}

impl Db {
    /// Connects. Does not check the schema; see [`migrate`].
    ///
    /// # Errors
    /// A text for the operator.
    pub fn open(target: &Target, usage: Use, connections: u32, metrics: Arc<Metrics>) -> Result<Self, String> {
        let (pool, writer, liveness) = match target {
            Target::Sqlite(path) => {
                let writer = sqlite::Writer::start(path, usage, Arc::clone(&metrics))?;
                (sqlite::readers(path, connections)?, Some(writer), None)
            }
            Target::Postgres(url) => {
                let pool = postgres::pool(url, connections)?;
                let liveness = (usage == Use::Serve).then(|| Liveness::watch(url)).transpose()?;
                (pool, None, liveness)
            }
        };
        let permits = Arc::new(Semaphore::new(connections as usize));
        Ok(Self(Arc::new(Inner { pool, permits, writer, liveness, damaged: AtomicBool::new(false), metrics })))
    }

    /// Runs a closure that only reads.
    ///
    /// # Errors
    /// The closure's own; [`Error::Unavailable`] if the database does not respond in time; [`Error::Damaged`].
    pub async fn read<T, F>(&self, work: F) -> Result<T>
    where
        F: FnOnce(&mut Conn) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.call(pin!(self.pooled(move |conn, _| work(conn)))).await
    }

    /// Runs a closure as one transaction: everything is stored, or nothing.
    ///
    /// The closure may run more than once, so it must have no effect outside of the database. Mails are stored as
    /// messages and sent later. If the caller gets "unavailable" meanwhile or goes away, the transaction is not started
    /// or is rolled back. Only a commit in progress at that instant may still take effect (on SQLite, that of a batch).
    ///
    /// # Errors
    /// The closure's own, after which nothing is stored; [`Error::Unavailable`], [`Error::StorageFull`] or
    /// [`Error::Damaged`] if the database cannot run it.
    pub async fn write<T, F>(&self, work: F) -> Result<T>
    where
        F: Fn(&mut Conn) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        match &self.0.writer {
            Some(writer) => self.call(pin!(writer.write(work))).await,
            None => self.call(pin!(self.pooled(move |conn, caller| postgres::transaction(conn, &work, caller)))).await,
        }
    }

    /// Makes one call to the database within its time limit, unless the database is known to be damaged or lost. The
    /// work is pinned and not moved, because each of the futures below would keep a copy.
    async fn call<T>(&self, work: Pin<&mut impl Future<Output = Result<T>>>) -> Result<T> {
        if self.0.damaged.load(Ordering::Relaxed) {
            return Err(Error::Damaged);
        }
        let lost = async {
            match &self.0.liveness {
                Some(liveness) => liveness.lost().await,
                None => std::future::pending().await,
            }
        };
        let result = budget::spend(async {
            tokio::select! {
                biased;
                () = lost => Err(Error::unavailable(2, "the database does not respond")),
                result = work => result,
            }
        })
        .await;
        if matches!(result, Err(Error::Damaged)) {
            self.report_damage("a statement failed");
        }
        result
    }

    /// Records that the database is damaged. From now on nothing is read or written, and readiness fails, until the
    /// service is restarted. Data from a damaged file may be wrong, and writing to it may spread the damage.
    pub fn report_damage(&self, finding: &str) {
        if !self.0.damaged.swap(true, Ordering::Relaxed) {
            self.0.metrics.db_damaged.set(1);
            tracing::error!(%finding, "the database file is damaged. Restore a backup. All requests that need it are rejected");
        }
    }

    /// Stops writing. On SQLite the journal is moved into the file, so that the file alone is complete. That may take
    /// at most two seconds, because file and journal together are complete without it.
    pub async fn close(&self) {
        if let Some(writer) = &self.0.writer
            && tokio::time::timeout(MAX_WAIT, writer.close()).await.is_err()
        {
            tracing::warn!("the journal could not be moved into the file in time. Keep the file that ends in -wal");
        }
    }

    /// Runs on a pooled connection, on a thread that may block.
    async fn pooled<T, F>(&self, work: F) -> Result<T>
    where
        F: FnOnce(&mut Conn, &Caller) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        // Dropped together with this future.
        let waiting = Arc::new(());
        let caller = Arc::downgrade(&waiting);
        let permit = tokio::time::timeout(MAX_WAIT, Arc::clone(&self.0.permits).acquire_owned())
            .await
            .map_err(|_| Error::unavailable(1, "no database connection came free"))?
            .map_err(|error| Error::internal("wait for the database", error))?;
        let pool = self.0.pool.clone();
        let in_use = self.0.metrics.db_in_use.clone();
        let span = tracing::Span::current();
        let task = tokio::task::spawn_blocking(move || {
            let (_permit, _request) = (permit, span.entered());
            let mut conn: Pooled = pool.get().map_err(|_| Error::unavailable(2, "the database cannot be reached"))?;
            if has_given_up(&caller) {
                return Err(Error::unavailable(2, "the database responded too late"));
            }
            in_use.inc();
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&mut conn, &caller)))
                .unwrap_or_else(|_| Err(Error::fault("a database closure panicked")));
            in_use.dec();
            result
        });
        let result = task.await.map_err(|error| Error::internal("a database thread", error));
        drop(waiting);
        result.flatten()
    }

    /// Returns the engine's name for metrics and the log.
    pub fn engine(&self) -> &'static str {
        if self.0.writer.is_some() { "sqlite" } else { "postgres" }
    }
}

/// Returns whether a server has the database open. None on PostgreSQL, where instances may run on other machines.
pub fn is_served(target: &Target) -> Option<bool> {
    match target {
        Target::Sqlite(path) => Some(sqlite_file::is_served(path)),
        Target::Postgres(_) => None,
    }
}

/// Opens a connection outside of the pools, for migrations.
///
/// # Errors
/// A text for the operator.
pub fn connect(target: &Target) -> Result<Conn, String> {
    match target {
        Target::Sqlite(path) => sqlite::connect(path),
        Target::Postgres(url) => postgres::connect(url),
    }
}

impl From<diesel::result::Error> for Error {
    fn from(error: diesel::result::Error) -> Self {
        use diesel::result::DatabaseErrorKind as Kind;
        use diesel::result::Error as Db;
        match error {
            Db::NotFound => Self::NotFound,
            Db::DatabaseError(Kind::SerializationFailure, _) => Self::Retry,
            Db::DatabaseError(Kind::ClosedConnection | Kind::UnableToSendCommand, _) => {
                Self::unavailable(2, "the connection to the database was lost")
            }
            Db::DatabaseError(Kind::ReadOnlyTransaction, _) => Self::unavailable(5, "the database accepts no writes"),
            Db::DatabaseError(kind, info) => constraints::explain(kind, info.as_ref()),
            other => Self::internal("database", other),
        }
    }
}
