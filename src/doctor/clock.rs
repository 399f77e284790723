//! This machine's clock against the database server's.

use diesel::prelude::*;
use diesel::sql_query;
use jiff::SignedDuration;

use super::{Finding, Severity};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::types::Instant;
use crate::error::Result;

/// A larger difference changes which links, codes and holds are valid. One-time codes are valid for 30 seconds.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(10);

#[derive(QueryableByName)]
struct Now {
    #[diesel(sql_type = Instant)]
    at: Timestamp,
}

/// Compares the clocks. An SQLite database has none.
pub fn check(conn: &mut Conn, now: Timestamp) -> Result<Vec<Finding>> {
    let Conn::Postgres(conn) = conn else { return Ok(Vec::new()) };
    let server: Now = sql_query("SELECT clock_timestamp() AS at").get_result(conn)?;
    let difference = server.at.since(now).abs();
    let detail = format!("{} seconds between this machine's clock and the database server's", difference.as_secs());
    let severity = if difference > TOLERANCE { Severity::Failure } else { Severity::Ok };
    Ok(vec![Finding::new("clock", severity, detail)])
}
