//! PostgreSQL: the pool, time limits, and transactions that run again when the server asks for it.

use std::time::Duration;

use backon::{BlockingRetryable, ExponentialBuilder};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::{CustomizeConnection, Error as R2d2Error, Pool};
use diesel::sql_query;
use diesel::sql_types::Text;

use super::pool::{CheckedConnection, Manager};
use super::{Caller, Conn, Connections, has_given_up, trace};
use crate::error::{Error, Result};

/// No statement of this service takes long, so long ones are cancelled instead of piling up. Compiling a query of a few
/// milliseconds (`jit`) would take longer than the query.
const SETTINGS: &str = "SET TIME ZONE 'UTC'; SET statement_timeout = '5s'; SET lock_timeout = '3s'; \
    SET idle_in_transaction_session_timeout = '10s'; SET client_min_messages = 'warning'; \
    SET jit = off";

/// Sets up a new connection.
#[derive(Debug)]
struct Configure {
    /// Sets the schemas of the first connection. Otherwise a later `ALTER ROLE … SET search_path` would put other tables before ours, and
    /// the service would not notice.
    search_path: String,
}

impl CustomizeConnection<CheckedConnection, R2d2Error> for Configure {
    fn on_acquire(&self, conn: &mut CheckedConnection) -> Result<(), R2d2Error> {
        conn.batch_execute(&format!("{SETTINGS}; {}", self.search_path)).map_err(R2d2Error::QueryError)?;
        trace::instrument(conn);
        Ok(())
    }
}

/// Time limits of a connection, if the URL has none. libpq would otherwise use those of the operating system, which are
/// minutes or hours. A connection to a server that has disappeared ends within five seconds, so that it does not keep
/// its place in the pool.
const LIMITS: [(&str, u32); 5] = [
    ("connect_timeout", 2),
    ("keepalives_idle", 2),
    ("keepalives_interval", 1),
    ("keepalives_count", 3),
    ("tcp_user_timeout", 4000),
];

/// Adds these limits to the URL.
fn with_limits(url: &str) -> String {
    LIMITS.iter().filter(|(name, _)| !url.contains(name)).fold(url.to_owned(), |url, (name, value)| {
        let joint = if url.contains('?') { '&' } else { '?' };
        format!("{url}{joint}{name}={value}")
    })
}

pub(super) fn connect(url: &str) -> Result<Conn, String> {
    establish(url).map(Conn::Postgres)
}

pub(super) fn establish(url: &str) -> Result<PgConnection, String> {
    PgConnection::establish(&with_limits(url)).map_err(|error| match error {
        // The text may quote the URL with its password.
        diesel::ConnectionError::InvalidConnectionUrl(_) => "DATABASE_URL is not a PostgreSQL URL".to_owned(),
        other => format!("PostgreSQL: {other}"),
    })
}

pub(super) fn pool(url: &str, size: u32) -> Result<Connections, String> {
    let search_path = search_path(&mut establish(url)?)?;
    Pool::builder()
        .max_size(size)
        .min_idle(Some(1))
        .connection_timeout(Duration::from_secs(2))
        .connection_customizer(Box::new(Configure { search_path }))
        .error_handler(Box::new(LogErrors))
        .build(Manager::new(with_limits(url)))
        .map_err(|error| format!("PostgreSQL: {error}"))
}

#[derive(QueryableByName)]
struct Setting {
    #[diesel(sql_type = Text)]
    sql: String,
}

/// Returns the statement that sets the schemas of this connection. `pg_temp` comes last, because temporary tables would otherwise come
/// first.
fn search_path(conn: &mut PgConnection) -> Result<String, String> {
    let sql = "SELECT concat('SET search_path = ', string_agg(quote_ident(name), ', ' ORDER BY place) || ', ', 'pg_temp') AS sql \
        FROM unnest(current_schemas(false)) WITH ORDINALITY AS schemas (name, place)";
    let setting: Setting = sql_query(sql).get_result(conn).map_err(|error| format!("PostgreSQL: {error}"))?;
    Ok(setting.sql)
}

/// Rejects a search path in which a schema stands before the one with this service's tables: the service would open an empty clinic there.
///
/// # Errors
/// In words for the operator.
pub fn refuse_other_schema(conn: &mut Conn) -> Result<(), String> {
    let Conn::Postgres(conn) = conn else { return Ok(()) };
    let sql = "SELECT coalesce(string_agg(quote_ident(n.nspname), ', '), '') AS sql \
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
        WHERE c.relname = '__diesel_schema_migrations' AND n.nspname = ANY (current_schemas(false)) AND n.nspname <> current_schema()";
    let Setting { sql: other } = sql_query(sql).get_result(conn).map_err(|error| format!("PostgreSQL: {error}"))?;
    if other.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the tables of the service are in the schema {other} of this database, but another schema comes before it in the search path. Find \
         out who created that schema or set search_path, and remove it"
    ))
}

/// Logs a failed connection in the log's own format.
#[derive(Debug)]
struct LogErrors;

impl diesel::r2d2::HandleError<R2d2Error> for LogErrors {
    fn handle_error(&self, error: R2d2Error) {
        tracing::warn!(%error, "a database connection could not be made");
    }
}

/// Runs `work` in a transaction, and again if the server rolled it back for another transaction. Does not commit after
/// the caller has given up, because the caller was told that it failed.
pub(super) fn transaction<T>(
    conn: &mut Conn,
    work: &(impl Fn(&mut Conn) -> Result<T> + Send),
    caller: &Caller,
) -> Result<T> {
    let mut once = || {
        conn.transaction(|conn| {
            let done = work(conn)?;
            if has_given_up(caller) {
                return Err(Error::unavailable(2, "the transaction took too long and was rolled back"));
            }
            Ok(done)
        })
    };
    let policy = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(5))
        .with_max_delay(Duration::from_millis(200))
        .with_max_times(6)
        .with_jitter();
    match (|| once()).retry(policy).when(|error| matches!(error, Error::Retry)).call() {
        Err(Error::Retry) => Err(Error::unavailable(1, "the transaction kept conflicting with others")),
        result => result,
    }
}
