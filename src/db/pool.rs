//! Pooled connections, each looked at before it is used, but no more often than makes a difference.

use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use diesel::r2d2::{ConnectionManager, Error, ManageConnection};

use super::{Conn, trace};

/// A connection that was whole this long ago is taken to be whole. When the server restarts, what fails within that time
/// is answered as unavailable, and the next look replaces the connection.
const FRESH: Duration = Duration::from_secs(1);

/// Makes the pool's connections and looks at them: the question takes a whole round trip, which a request that reads one row
/// would otherwise make as often as it makes its own.
pub struct Manager(ConnectionManager<Conn>);

impl Manager {
    pub fn new(url: impl Into<String>) -> Self {
        Self(ConnectionManager::new(url))
    }
}

/// A connection, and when it was last found whole.
pub struct Watched {
    conn: Conn,
    found_whole: Instant,
}

impl Deref for Watched {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.conn
    }
}

impl DerefMut for Watched {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.conn
    }
}

impl ManageConnection for Manager {
    type Connection = Watched;
    type Error = Error;

    fn connect(&self) -> Result<Watched, Error> {
        Ok(Watched { conn: self.0.connect()?, found_whole: Instant::now() })
    }

    fn is_valid(&self, watched: &mut Watched) -> Result<(), Error> {
        if watched.found_whole.elapsed() >= FRESH {
            self.0.is_valid(&mut watched.conn)?;
            watched.found_whole = Instant::now();
        }
        Ok(())
    }

    fn has_broken(&self, watched: &mut Watched) -> bool {
        // One that keeps many statements is replaced like one that is broken: its memory goes with it, here and at the server.
        trace::is_laden(&mut watched.conn) || self.0.has_broken(&mut watched.conn)
    }
}
