//! Logs the statements of a connection (`RUST_LOG=legwork::sql=trace`), counts its prepared statements, and detects its loss.
//!
//! The log has the SQL with its placeholders only, because values are personal data.

use diesel::Connection;
use diesel::connection::{Instrumentation, InstrumentationEvent};
use diesel::result::{DatabaseErrorKind as Kind, Error};

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
    is_lost: bool,
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
            InstrumentationEvent::FinishQuery {
                error: Some(Error::DatabaseError(Kind::ClosedConnection | Kind::UnableToSendCommand, _)),
                ..
            } => self.is_lost = true,
            _ => {}
        }
    }
}

/// Watches a connection's statements, and logs them if the log wants them.
pub(super) fn instrument(conn: &mut Conn) {
    let are_logged = tracing::enabled!(target: TARGET, tracing::Level::TRACE);
    conn.set_instrumentation(Statements { are_logged, prepared: 0, is_lost: false });
}

/// Returns how many prepared statements a connection has.
pub fn prepared(conn: &mut Conn) -> usize {
    conn.instrumentation().as_any().downcast_ref::<Statements>().map_or(0, |statements| statements.prepared)
}

/// Returns whether a connection has so many prepared statements that it must be replaced.
pub(super) fn has_too_many_statements(conn: &mut Conn) -> bool {
    prepared(conn) > PREPARED
}

/// Returns whether a statement failed because the connection was lost.
pub(super) fn is_lost(conn: &mut Conn) -> bool {
    conn.instrumentation().as_any().downcast_ref::<Statements>().is_some_and(|statements| statements.is_lost)
}
