//! Compares the triggers and rules of the audit tables with those of the migrations. An extra one could drop or change events unnoticed;
//! a missing one would allow changes.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::OnceLock;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::Text;

use crate::db::{Conn, migrate};

/// The text of a trigger is compared as well, because another one could have its name.
const SQLITE: &str = "SELECT tbl_name || ' ' || name AS name, sql AS text FROM sqlite_schema WHERE type = 'trigger' \
    AND lower(tbl_name) IN ('audit_events', 'audit_event_patients', 'audit_seals', 'audit_purges')";

/// Also finds internal triggers, because the audit tables have none, row-level security, and child tables: a filter could leave a child
/// out by a constraint of its own, so that lists miss the events in it.
const POSTGRES: &str = "WITH tables AS (SELECT oid, relname::text AS name, relrowsecurity FROM pg_class WHERE oid IN ( \
        'audit_events'::regclass, 'audit_event_patients'::regclass, 'audit_seals'::regclass, 'audit_purges'::regclass)) \
    SELECT tables.name || ' ' || t.tgname::text AS name, \
        t.tgenabled::text || ' ' || pg_get_triggerdef(t.oid, true) || ' ' || l.lanname::text || f.prosrc AS text \
        FROM tables JOIN pg_trigger t ON t.tgrelid = tables.oid JOIN pg_proc f ON f.oid = t.tgfoid \
        JOIN pg_language l ON l.oid = f.prolang \
    UNION ALL SELECT tables.name || ' ' || r.rulename::text, 'rule' FROM tables JOIN pg_rewrite r ON r.ev_class = tables.oid \
    UNION ALL SELECT name || ' row security', 'enabled' FROM tables WHERE relrowsecurity \
    UNION ALL SELECT tables.name || ' child table ' || i.inhrelid::regclass::text, 'inherits' FROM tables \
        JOIN pg_inherits i ON i.inhparent = tables.oid";

/// The triggers of the migrations for PostgreSQL: table, rest of the name, event and function. All are always enabled (`A`), and run before
/// the event.
/// A database cannot say what the migrations created, because it may have been changed before the service started.
const POSTGRES_TRIGGERS: [(&str, &str, &str, &str); 11] = [
    ("audit_event_patients", "append_only", "UPDATE", "audit_append_only"),
    ("audit_event_patients", "no_truncate", "TRUNCATE", "audit_append_only"),
    ("audit_event_patients", "purged_only", "DELETE", "audit_event_patients_purged_only"),
    ("audit_events", "append_only", "UPDATE", "audit_append_only"),
    ("audit_events", "no_truncate", "TRUNCATE", "audit_append_only"),
    ("audit_events", "purged_only", "DELETE", "audit_events_purged_only"),
    ("audit_purges", "append_only", "DELETE OR UPDATE", "audit_append_only"),
    ("audit_purges", "no_truncate", "TRUNCATE", "audit_append_only"),
    ("audit_seals", "append_only", "UPDATE", "audit_append_only"),
    ("audit_seals", "no_truncate", "TRUNCATE", "audit_append_only"),
    ("audit_seals", "purged_only", "DELETE", "audit_seals_purged_only"),
];

/// The migrations that create their functions.
const POSTGRES_FUNCTIONS: [&str; 2] = [
    include_str!("../../migrations/postgres/20261122000016_audit_seals/up.sql"),
    include_str!("../../migrations/postgres/20261127000030_audit_patients/up.sql"),
];

#[derive(QueryableByName, PartialEq, Eq, PartialOrd, Ord)]
struct Trigger {
    /// The table and the name.
    #[diesel(sql_type = Text)]
    name: String,
    /// What it does: on SQLite its SQL, on PostgreSQL its definition with the code of its function.
    #[diesel(sql_type = Text)]
    text: String,
}

/// A difference from the migrations. Each has the table and the name of a trigger or rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The migrations did not create it.
    Added(String),
    /// It does something else, or is disabled.
    Changed(String),
    /// It was removed.
    Missing(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(name) => {
                write!(f, "This program did not create the trigger, rule or child table {name} (table and name)")
            }
            Self::Changed(name) => write!(f, "The trigger {name} (table and name) was changed or disabled"),
            Self::Missing(name) => write!(f, "The trigger {name} (table and name) was removed"),
        }
    }
}

/// Returns how the triggers and rules of the audit tables differ from the migrations, which must have run.
///
/// # Errors
/// In words for the operator.
pub fn differences(conn: &mut Conn) -> Result<Vec<Difference>, String> {
    let explain = |error: diesel::result::Error| format!("read the triggers of the audit trail: {error}");
    let (known, there): (&Known, Vec<Trigger>) = match conn {
        Conn::Sqlite(conn) => (known_on_sqlite()?, sql_query(SQLITE).load(conn).map_err(explain)?),
        Conn::Postgres(conn) => (known_on_postgres()?, sql_query(POSTGRES).load(conn).map_err(explain)?),
    };
    let names: BTreeSet<&str> = there.iter().map(|trigger| trigger.name.as_str()).collect();
    let mut differences = Vec::new();
    for Trigger { name, .. } in there.iter().filter(|trigger| !known.contains(trigger)) {
        let is_known = known.iter().any(|trigger| trigger.name == *name);
        differences.push(if is_known { Difference::Changed(name.clone()) } else { Difference::Added(name.clone()) });
    }
    for Trigger { name, .. } in known.iter().filter(|trigger| !names.contains(trigger.name.as_str())) {
        differences.push(Difference::Missing(name.clone()));
    }
    Ok(differences)
}

/// The triggers of the migrations.
type Known = BTreeSet<Trigger>;

/// Returns what was made before, because the sealing loop compares about every second.
fn made_once(
    known: &'static OnceLock<Known>,
    make: impl FnOnce() -> Result<Known, String>,
) -> Result<&'static Known, String> {
    match known.get() {
        Some(known) => Ok(known),
        None => make().map(|made| known.get_or_init(|| made)),
    }
}

fn known_on_sqlite() -> Result<&'static Known, String> {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    made_once(&KNOWN, || {
        let triggers: Vec<Trigger> = sql_query(SQLITE)
            .load(&mut migrate::in_memory()?)
            .map_err(|error| format!("read the triggers of the migrations: {error}"))?;
        Ok(triggers.into_iter().collect())
    })
}

fn known_on_postgres() -> Result<&'static Known, String> {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    let code = |function: &str| {
        let head = format!("CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$");
        let code = |sql: &'static str| sql.split_once(head.as_str())?.1.split_once("$$").map(|(code, _)| code);
        POSTGRES_FUNCTIONS.into_iter().find_map(code).ok_or_else(|| format!("no migration creates {function}"))
    };
    let trigger = |(table, suffix, event, function): (&str, &str, &str, &str)| {
        let level = if event == "TRUNCATE" { "STATEMENT" } else { "ROW" };
        let (name, code) = (format!("{table}_{suffix}"), code(function)?);
        let text = format!(
            "A CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH {level} EXECUTE FUNCTION {function}() plpgsql{code}"
        );
        Ok(Trigger { name: format!("{table} {name}"), text })
    };
    made_once(&KNOWN, || POSTGRES_TRIGGERS.into_iter().map(trigger).collect())
}

/// Rejects a database with such a difference.
///
/// # Errors
/// In words for the operator.
pub fn reject_differences(conn: &mut Conn) -> Result<(), String> {
    match differences(conn)?.first() {
        Some(first) => Err(format!(
            "{first}. It could drop audit events. Find out who did it, restore the schema, and run `legwork audit verify`."
        )),
        None => Ok(()),
    }
}
