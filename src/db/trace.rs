//! What a connection tells of its statements: the log, for who looks into what a request costs
//! (`RUST_LOG=legwork::sql=trace`), and how many of them it keeps prepared.
//!
//! The log has only the SQL with its placeholders; the values are people's.

use diesel::Connection;
use diesel::connection::{Instrumentation, InstrumentationEvent};

use super::Conn;

/// Under which name the log knows statements.
const TARGET: &str = "legwork::sql";

/// How many statements a connection may keep prepared before it is replaced. diesel keeps each one for as long as the
/// connection lives, and every combination of a list's filters is one of its own. On SQLite one takes 12 KiB, or up to 60, in
/// each connection; PostgreSQL's server keeps them as well. A clinic's day uses some 200.
pub const PREPARED: usize = 256;

struct Statements {
    are_logged: bool,
    prepared: usize,
}

impl Instrumentation for Statements {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::CacheQuery { .. } => self.prepared += 1,
            InstrumentationEvent::StartQuery { query, .. } if self.are_logged => {
                let text = query.to_string();
                let sql = text.split_once(" -- binds: ").map_or(text.as_str(), |(sql, _)| sql);
                tracing::trace!(target: TARGET, statement = sql);
            }
            _ => {}
        }
    }
}

/// Counts a connection's statements, and has them logged if the log wants them.
pub(super) fn follow(conn: &mut Conn) {
    let are_logged = tracing::enabled!(target: TARGET, tracing::Level::TRACE);
    conn.set_instrumentation(Statements { are_logged, prepared: 0 });
}

/// How many statements a connection keeps prepared.
pub fn prepared(conn: &mut Conn) -> usize {
    conn.instrumentation().as_any().downcast_ref::<Statements>().map_or(0, |statements| statements.prepared)
}

/// Whether a connection keeps so many that it is to be replaced.
pub(super) fn is_laden(conn: &mut Conn) -> bool {
    prepared(conn) > PREPARED
}
