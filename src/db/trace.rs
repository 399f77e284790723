//! Statements in the log, for who looks into what a request costs: `RUST_LOG=legwork::sql=trace`.
//!
//! Only the SQL with its placeholders; the values are people's.

use diesel::Connection;
use diesel::connection::{Instrumentation, InstrumentationEvent};

use super::Conn;

/// Under which name the log knows statements.
const TARGET: &str = "legwork::sql";

struct Statements;

impl Instrumentation for Statements {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            let text = query.to_string();
            let sql = text.split_once(" -- binds: ").map_or(text.as_str(), |(sql, _)| sql);
            tracing::trace!(target: TARGET, statement = sql);
        }
    }
}

/// Has a connection's statements logged, if the log wants them; otherwise it costs nothing.
pub(super) fn follow(conn: &mut Conn) {
    if tracing::enabled!(target: TARGET, tracing::Level::TRACE) {
        conn.set_instrumentation(Statements);
    }
}
