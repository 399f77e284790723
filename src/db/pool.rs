//! Pooled connections. Each is checked before use, but at most once a second.

use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use diesel::r2d2::{ConnectionManager, Error, ManageConnection};

use super::{Conn, trace};

/// A connection that was checked this recently is not checked again. After a restart of the server, requests within
/// this time get "unavailable", and the next check replaces the connection.
const RECHECK_AFTER: Duration = Duration::from_secs(1);

/// Creates and checks connections. A check takes a round trip, which would double the round trips of a request that
/// reads one row.
pub struct Manager(ConnectionManager<Conn>);

impl Manager {
    pub fn new(url: impl Into<String>) -> Self {
        Self(ConnectionManager::new(url))
    }
}

/// A connection, and when it was last checked.
pub struct CheckedConnection {
    conn: Conn,
    checked_at: Instant,
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
        Ok(CheckedConnection { conn: self.0.connect()?, checked_at: Instant::now() })
    }

    fn is_valid(&self, pooled: &mut CheckedConnection) -> Result<(), Error> {
        if pooled.checked_at.elapsed() >= RECHECK_AFTER {
            self.0.is_valid(&mut pooled.conn)?;
            pooled.checked_at = Instant::now();
        }
        Ok(())
    }

    fn has_broken(&self, pooled: &mut CheckedConnection) -> bool {
        // A connection with too many prepared statements is replaced like a broken one, which frees their memory here
        // and on the server.
        trace::has_too_many_statements(&mut pooled.conn) || self.0.has_broken(&mut pooled.conn)
    }
}
