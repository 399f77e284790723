//! The database of the measured servers, beside what the API shows of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;
use uuid::Uuid;

use crate::Outcome;

pub enum Database {
    Sqlite(PathBuf),
    /// The URL of a database of PostgreSQL.
    Postgres(String),
}

impl Database {
    /// The SQLite file of a server that runs in `folder`.
    pub fn in_folder(folder: &Path) -> Self {
        Self::Sqlite(folder.join("data/legwork.db"))
    }

    /// The settings of a server on this database.
    pub fn settings<'a>(&'a self, others: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let url = match self {
            Self::Sqlite(_) => None,
            Self::Postgres(url) => Some(("DATABASE_URL", url.as_str())),
        };
        others.iter().copied().chain(url).collect()
    }

    /// All slots from tomorrow on whose practitioner offers the visit.
    pub fn free_slots(&self, visit_type: &str) -> Outcome<Vec<String>> {
        let (id, tomorrow) = match self {
            Self::Sqlite(_) => ("lower(hex(id))", "(unixepoch() + 86400) * 1000000"),
            Self::Postgres(_) => ("id", "now() + interval '1 day'"),
        };
        let slots = self.column(&format!(
            "SELECT {id} FROM slots JOIN practitioner_visit_types USING (practitioner_id)
             WHERE visit_type_id = {} AND starts_at > {tomorrow} ORDER BY starts_at, id",
            self.literal(visit_type)
        ))?;
        slots.iter().map(|id| Ok(id.parse::<Uuid>()?.to_string())).collect()
    }

    /// Checks that there are `count` bookings of this visit type.
    pub fn check_bookings(&self, visit_type: &str, count: usize) -> Outcome<()> {
        let found = self.column(&format!(
            "SELECT CAST(count(DISTINCT appointments.id) AS text) FROM appointments
             JOIN slots ON slots.appointment_id = appointments.id WHERE visit_type_id = {}",
            self.literal(visit_type)
        ))?;
        if found == [count.to_string()] {
            Ok(())
        } else {
            Err(format!("{count} bookings were acknowledged, {found:?} are there").into())
        }
    }

    fn literal(&self, id: &str) -> String {
        match self {
            Self::Sqlite(_) => format!("x'{}'", id.replace('-', "")),
            Self::Postgres(_) => format!("'{id}'"),
        }
    }

    /// The result of a query with one column of text.
    fn column(&self, sql: &str) -> Outcome<Vec<String>> {
        match self {
            Self::Sqlite(file) => {
                let conn = Connection::open(file)?;
                let mut query = conn.prepare(sql)?;
                let rows = query.query_map([], |row| row.get(0))?;
                Ok(rows.collect::<Result<_, _>>()?)
            }
            Self::Postgres(url) => psql(url, sql),
        }
    }
}

/// Runs SQL with psql and returns the lines of its result.
pub fn psql(url: &str, sql: &str) -> Outcome<Vec<String>> {
    let output = Command::new("psql").args([url, "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql]).output()?;
    if output.status.success() {
        Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
    } else {
        Err(format!("psql: {}", String::from_utf8_lossy(&output.stderr)).into())
    }
}
