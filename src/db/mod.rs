//! The only way to the database: [`Db::read`] and [`Db::write`], over SQLite or PostgreSQL, picked at run time.

pub mod backup;
pub mod budget;
pub mod check;
mod conn;
pub mod constraints;
pub mod damage;
mod liveness;
pub mod migrate;
mod pool;
mod postgres;
pub mod schema;
mod sqlite;
pub mod trace;
pub mod types;
pub mod update;
pub mod verbatim;

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use diesel::r2d2::{Pool, PooledConnection};
use tokio::sync::Semaphore;

pub use self::conn::{Conn, MultiBackend};
use self::liveness::Liveness;
use crate::error::{Error, Result};
use crate::telemetry::Metrics;

/// Runs one expression on whichever engine it is: for the few statements that diesel cannot build for both at once, and for
/// those that run often, since diesel writes the text of what is built for both three times for each run. The statement is to
/// be built inside.
macro_rules! per_backend {
    ($conn:expr, $inner:ident => $body:expr) => {
        match $conn {
            $crate::db::Conn::Sqlite($inner) => $body,
            $crate::db::Conn::Postgres($inner) => $body,
        }
    };
}
pub(crate) use per_backend;

/// Which database, as `DATABASE_URL` names it.
#[derive(Clone)]
pub enum Target {
    /// A file.
    Sqlite(std::path::PathBuf),
    /// A libpq connection string; it may hold a password, so it is never shown.
    Postgres(String),
}

impl Target {
    /// Reads `sqlite:PATH` or a `postgres://` URL.
    ///
    /// # Errors
    /// In words for the operator, without the URL's text.
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

/// Who opens the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// The server: on SQLite it holds an operating-system lock, so that there is one.
    Serve,
    /// A command beside it.
    Tool,
}

/// How long a request waits for its turn at the database before it is told to come back.
const PATIENCE: Duration = Duration::from_secs(2);

type Connections = Pool<pool::Manager>;
type Pooled = PooledConnection<pool::Manager>;

/// A handle on the database; cheap to clone.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    pool: Connections,
    /// As many as the pool has connections, so that waiting is done without a thread.
    permits: Arc<Semaphore>,
    /// SQLite's one writer; PostgreSQL writes through the pool.
    writer: Option<sqlite::Writer>,
    /// Whether PostgreSQL answers, as far as a server must know; a command finds out by itself.
    liveness: Option<Liveness>,
    damaged: AtomicBool,
    metrics: Arc<Metrics>,
}

/// Who waits for the result of a call: as long as there is a strong reference, the caller does.
type Caller = Weak<()>;

/// Whether the caller has been answered already, or is gone.
fn has_given_up(caller: &Caller) -> bool {
    caller.strong_count() == 0
}

impl Db {
    /// Connects, without looking at the schema: see [`migrate`].
    ///
    /// # Errors
    /// In words for the operator.
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
    /// The closure's own; [`Error::Unavailable`] if the database does not answer in time; [`Error::Damaged`].
    pub async fn read<T, F>(&self, work: F) -> Result<T>
    where
        F: FnOnce(&mut Conn) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.call(pin!(self.pooled(move |conn, _| work(conn)))).await
    }

    /// Runs a closure as one transaction: all of it is kept, or nothing.
    ///
    /// The closure may run more than once, sends no mail and calls nobody: what leaves the house goes through the outbox.
    /// A transaction whose caller is answered "unavailable" meanwhile, or goes away, is not begun, or is rolled back. Only a
    /// commit that was under way at that instant may still take effect (on SQLite, a batch).
    ///
    /// # Errors
    /// The closure's own, after which nothing is kept; [`Error::Unavailable`], [`Error::StorageFull`] or
    /// [`Error::Damaged`] where the database cannot do it.
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

    /// One call to the database, within its time and unless the database is known to be damaged or lost. The work stays where
    /// it is: moved through the futures below, it would be kept in each of them.
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
                () = lost => Err(Error::unavailable(2, "the database does not answer")),
                result = work => result,
            }
        })
        .await;
        if matches!(result, Err(Error::Damaged)) {
            self.report_damage("a statement failed");
        }
        result
    }

    /// Notes that the database is damaged. From now on nothing is read or written, and readiness ends, until the service
    /// is started anew: what a damaged file says may be wrong, and writing to it may spread the damage.
    pub fn report_damage(&self, finding: &str) {
        if !self.0.damaged.swap(true, Ordering::Relaxed) {
            self.0.metrics.db_damaged.set(1);
            tracing::error!(%finding, "the database file is damaged; restore a backup. No request is served from it");
        }
    }

    /// Ends writing. On SQLite everything in the journal is moved into the file, so that the file alone is whole. The end of
    /// the service does not wait for it longer than two seconds: file and journal together are whole without it.
    pub async fn close(&self) {
        if let Some(writer) = &self.0.writer
            && tokio::time::timeout(PATIENCE, writer.close()).await.is_err()
        {
            tracing::warn!("the journal could not be moved into the file in time: keep the file that ends in -wal");
        }
    }

    /// Runs on a pooled connection, on a thread that may block.
    async fn pooled<T, F>(&self, work: F) -> Result<T>
    where
        F: FnOnce(&mut Conn, &Caller) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        // Dropped with this future, whatever ends it.
        let waiting = Arc::new(());
        let caller = Arc::downgrade(&waiting);
        let permit = tokio::time::timeout(PATIENCE, Arc::clone(&self.0.permits).acquire_owned())
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
                return Err(Error::unavailable(2, "the database answered too late"));
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

    /// Which engine it is, for the metrics and the log.
    pub fn engine(&self) -> &'static str {
        if self.0.writer.is_some() { "sqlite" } else { "postgres" }
    }
}

/// Whether a server has the database open; `None` on PostgreSQL, where there may be any number of them elsewhere.
pub fn is_served(target: &Target) -> Option<bool> {
    match target {
        Target::Sqlite(path) => Some(sqlite::is_served(path)),
        Target::Postgres(_) => None,
    }
}

/// Opens one connection outside the pools, for migrations.
///
/// # Errors
/// In words for the operator.
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
