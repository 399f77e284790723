//! Refuses a connection pooler that gives a session's connection to others between transactions, such as PgBouncer in transaction mode.
//!
//! The service sets time limits for each session, and locks migrations for a session. Behind such a pooler these settings and locks
//! would reach other sessions, and would be missing in their own.

use diesel::PgConnection;
use diesel::connection::CacheSize;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};

use super::{Target, postgres};

diesel::define_sql_function! {
    /// A setting. With `missing_ok`, null if it does not exist.
    fn current_setting(name: Text, missing_ok: Bool) -> Nullable<Text>;
}

/// The setting that marks a session. PostgreSQL accepts any name with a dot.
const MARK: &str = "legwork.session";

/// Marks a session, and reads the mark in another one and in its own. While a pooler's connection serves the transaction of the other
/// session, it cannot serve the marked one.
///
/// # Errors
/// A text for the operator.
pub fn refuse(target: &Target) -> Result<(), String> {
    let Target::Postgres(url) = target else { return Ok(()) };
    let (mut marked, mut other) = (connect(url)?, connect(url)?);
    let is_shared = share_a_session(&mut marked, &mut other).map_err(|error| format!("PostgreSQL: {error}"))?;
    if is_shared {
        return Err("DATABASE_URL leads to a connection pooler in transaction mode, where the settings and locks of a session do not \
                    work. Connect to PostgreSQL itself, or set the pooler to session mode."
            .to_owned());
    }
    Ok(())
}

/// Named statements would fail behind such a pooler before anything is found out.
fn connect(url: &str) -> Result<PgConnection, String> {
    let mut conn = postgres::establish(url)?;
    conn.set_prepared_statement_cache_size(CacheSize::Disabled);
    Ok(conn)
}

fn share_a_session(marked: &mut PgConnection, other: &mut PgConnection) -> QueryResult<bool> {
    // A new value: a session that a pooler gives to one client after another may have the mark of an earlier start.
    let mark = Some(marked.transaction(|conn| {
        diesel::select(sql::<Text>(&format!("set_config('{MARK}', gen_random_uuid()::text, false)")))
            .get_result::<String>(conn)
    })?);
    other.transaction(|other| Ok(read(other)? == mark || marked.transaction(read)? != mark))
}

fn read(conn: &mut PgConnection) -> QueryResult<Option<String>> {
    diesel::select(current_setting(MARK, true)).get_result(conn)
}
