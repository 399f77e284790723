//! Triggers and rules of the audit tables that this program did not create. One of them could drop or change events unnoticed.

use std::collections::BTreeSet;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::Text;

use crate::db::{Conn, migrate};

/// The triggers of the migrations for PostgreSQL, by table. SQLite's schema is compared with a new one.
const KNOWN: [&str; 11] = [
    "audit_event_patients audit_event_patients_append_only",
    "audit_event_patients audit_event_patients_no_truncate",
    "audit_event_patients audit_event_patients_purged_only",
    "audit_events audit_events_append_only",
    "audit_events audit_events_no_truncate",
    "audit_events audit_events_purged_only",
    "audit_purges audit_purges_append_only",
    "audit_purges audit_purges_no_truncate",
    "audit_seals audit_seals_append_only",
    "audit_seals audit_seals_no_truncate",
    "audit_seals audit_seals_purged_only",
];

/// The text of a trigger is compared as well, because another one could have its name.
const SQLITE: &str = "SELECT tbl_name || ' ' || name AS name, sql AS text FROM sqlite_schema WHERE type = 'trigger' \
    AND lower(tbl_name) IN ('audit_events', 'audit_event_patients', 'audit_seals', 'audit_purges')";

const POSTGRES: &str = "SELECT c.relname || ' ' || t.name AS name, '' AS text FROM pg_class c JOIN ( \
        SELECT tgrelid AS relation, tgname::text AS name FROM pg_trigger WHERE NOT tgisinternal \
        UNION ALL SELECT ev_class, rulename::text FROM pg_rewrite \
    ) t ON t.relation = c.oid WHERE c.oid IN ('audit_events'::regclass, 'audit_event_patients'::regclass, \
        'audit_seals'::regclass, 'audit_purges'::regclass)";

#[derive(QueryableByName, PartialEq, Eq, PartialOrd, Ord)]
struct Trigger {
    /// The table and the name.
    #[diesel(sql_type = Text)]
    name: String,
    /// The SQL that creates it; empty on PostgreSQL.
    #[diesel(sql_type = Text)]
    text: String,
}

/// Returns the tables and names of the triggers and rules that this program did not create. The migrations must have run.
///
/// # Errors
/// In words for the operator.
pub fn unknown(conn: &mut Conn) -> Result<Vec<String>, String> {
    let explain = |error: diesel::result::Error| format!("read the triggers of the audit trail: {error}");
    let (known, there): (BTreeSet<Trigger>, Vec<Trigger>) = match conn {
        Conn::Sqlite(conn) => {
            let known: Vec<Trigger> = sql_query(SQLITE).load(&mut migrate::in_memory()?).map_err(explain)?;
            (known.into_iter().collect(), sql_query(SQLITE).load(conn).map_err(explain)?)
        }
        Conn::Postgres(conn) => {
            let known = KNOWN.map(|name| Trigger { name: name.to_owned(), text: String::new() });
            (known.into(), sql_query(POSTGRES).load(conn).map_err(explain)?)
        }
    };
    Ok(there.into_iter().filter(|trigger| !known.contains(trigger)).map(|trigger| trigger.name).collect())
}

/// Rejects a database with such a trigger.
///
/// # Errors
/// In words for the operator.
pub fn reject_unknown(conn: &mut Conn) -> Result<(), String> {
    match unknown(conn)?.first() {
        Some(name) => Err(format!(
            "The audit trail has a trigger or rule that this program did not create: {name} (table and name). It could drop events. \
             Find out who created it, remove it, and run `legwork audit verify`."
        )),
        None => Ok(()),
    }
}
