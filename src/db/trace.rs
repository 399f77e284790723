//! Logs the statements of a connection (`RUST_LOG=legwork::sql=trace`), and counts its prepared statements.
//!
//! The log has the SQL with its placeholders only, because values are personal data.

use diesel::Connection;
use diesel::connection::{Instrumentation, InstrumentationEvent};

use super::Conn;

/// The log target of statements.
const TARGET: &str = "legwork::sql";

/// How many prepared statements a connection may have before it is replaced. diesel keeps each one as long as the
/// connection lives, and every combination of a list's filters is a statement of its own. On SQLite a statement takes
/// 12 to 60 KiB in each connection. PostgreSQL's server keeps them as well. A clinic uses about 200 in a day.
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

/// Counts a connection's statements, and logs them if the log wants them.
pub(super) fn instrument(conn: &mut Conn) {
    let are_logged = tracing::enabled!(target: TARGET, tracing::Level::TRACE);
    conn.set_instrumentation(Statements { are_logged, prepared: 0 });
}

/// Returns how many prepared statements a connection has.
pub fn prepared(conn: &mut Conn) -> usize {
    conn.instrumentation().as_any().downcast_ref::<Statements>().map_or(0, |statements| statements.prepared)
}

/// Returns whether a connection has so many prepared statements that it must be replaced.
pub(super) fn has_too_many_statements(conn: &mut Conn) -> bool {
    prepared(conn) > PREPARED
}
