//! Pooled connections. Each is checked before use, but at most once a second unless another one was lost.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use diesel::r2d2::{ConnectionManager, Error, ManageConnection};

use super::{Conn, trace};

/// A connection that was checked this recently is not checked again, unless another one was lost since.
const RECHECK_AFTER: Duration = Duration::from_secs(1);

/// Creates and checks connections. A check takes a round trip, which would double the round trips of a request that
/// reads one row.
pub struct Manager {
    connections: ConnectionManager<Conn>,
    /// How many connections were lost in use. A restart of the server loses all of them at once.
    losses: AtomicU64,
}

impl Manager {
    pub fn new(url: impl Into<String>) -> Self {
        Self { connections: ConnectionManager::new(url), losses: AtomicU64::new(0) }
    }
}

/// A connection, and when it was last checked.
pub struct CheckedConnection {
    conn: Conn,
    checked_at: Instant,
    /// [`Manager::losses`] at that time.
    losses: u64,
}

impl Deref for CheckedConnection {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.conn
    }
}

impl DerefMut for CheckedConnection {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.conn
    }
}

impl ManageConnection for Manager {
    type Connection = CheckedConnection;
    type Error = Error;

    fn connect(&self) -> Result<CheckedConnection, Error> {
        let losses = self.losses.load(Ordering::Relaxed);
        Ok(CheckedConnection { conn: self.connections.connect()?, checked_at: Instant::now(), losses })
    }

    fn is_valid(&self, pooled: &mut CheckedConnection) -> Result<(), Error> {
        let losses = self.losses.load(Ordering::Relaxed);
        if pooled.losses != losses || pooled.checked_at.elapsed() >= RECHECK_AFTER {
            self.connections.is_valid(&mut pooled.conn)?;
            (pooled.checked_at, pooled.losses) = (Instant::now(), losses);
        }
        Ok(())
    }

    fn has_broken(&self, pooled: &mut CheckedConnection) -> bool {
        let is_lost = trace::is_lost(&mut pooled.conn);
        if is_lost {
            self.losses.fetch_add(1, Ordering::Relaxed);
        }
        // A connection with too many prepared statements is replaced like a broken one, which frees their memory here
        // and on the server.
        is_lost || trace::has_too_many_statements(&mut pooled.conn) || self.connections.has_broken(&mut pooled.conn)
    }
}
