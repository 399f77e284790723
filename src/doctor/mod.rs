//! `legwork doctor`: checks an installation from outside, and changes nothing.

pub mod bookings;
mod clock;
mod disk;
mod key_files;
mod mails;
pub mod records;
mod settings;
mod webhooks;
mod zones;

use std::fmt;

use secrecy::ExposeSecret;
use serde::Serialize;

use crate::audit::verify;
use crate::clock::{Clock, Entropy};
use crate::config::{Config, Settings};
use crate::db::{Target, Use, backup};
use crate::env::Env;
use crate::{build_options, demo, server};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// It works, and should be changed in production.
    Warning,
    /// Data or service are at risk.
    Failure,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked, in a word.
    pub check: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What was found, and what to do.
    pub detail: String,
}

impl Finding {
    fn new(check: &'static str, severity: Severity, detail: impl Into<String>) -> Self {
        Self { check, severity, detail: detail.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Ok => "ok",
            Severity::Warning => "warning",
            Severity::Failure => "FAILURE",
        };
        write!(f, "{severity:<8} {:<10} {}", self.check, self.detail)
    }
}

/// The number of rows that a check has found.
#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    found: i64,
}

/// Runs all checks. A check that needs what another one found missing is left out.
pub async fn examine(settings: Settings, entropy: Entropy) -> Vec<Finding> {
    let mut findings = settings::check(&settings);
    findings.extend(build());
    match open(settings, entropy) {
        Ok((env, opened)) => {
            findings.extend(opened);
            findings.extend(in_database(&env).await);
        }
        Err(finding) => findings.push(finding),
    }
    findings
}

fn build() -> Vec<Finding> {
    match build_options::differences() {
        Ok(differences) if differences.is_empty() => {
            vec![Finding::new("build", Severity::Ok, "the C libraries have the project's build options")]
        }
        Ok(differences) => differences.into_iter().map(|text| Finding::new("build", Severity::Warning, text)).collect(),
        Err(error) => vec![Finding::new("build", Severity::Failure, error)],
    }
}

/// Opens the database as a command beside the service does, unless that would create something.
fn open(settings: Settings, entropy: Entropy) -> Result<(Env, Vec<Finding>), Finding> {
    let failure = |check| move |detail: String| Finding::new(check, Severity::Failure, detail);
    let target = Target::parse(settings.database_url.expose_secret()).map_err(failure("settings"))?;
    let mut findings = Vec::new();
    if let Target::Sqlite(path) = &target {
        if !path.exists() {
            return Err(failure("database")(format!("there is no database {}", path.display())));
        }
        findings.extend(disk::check(path));
        findings.extend(key_files::check(path));
    }
    let config = Config::new(settings, &entropy).map_err(failure("settings"))?;
    server::opening::prepare_schema(&config, false).map_err(failure("schema"))?;
    findings.push(Finding::new("schema", Severity::Ok, format!("{target} has the schema of this version")));
    if let Target::Sqlite(path) = &target {
        backup::check(path)
            .map_err(|finding| failure("integrity")(format!("the file is damaged ({finding}). Restore a backup")))?;
        findings.push(Finding::new("integrity", Severity::Ok, "no damage in the file"));
    }
    if let Err(text) = demo::reject(&target) {
        findings.push(Finding::new("demo", Severity::Warning, text));
    }
    let env = server::opening::open(config, Use::Tool, Clock::System, entropy).map_err(failure("keys"))?;
    findings.push(Finding::new("keys", Severity::Ok, "DATA_KEYS has every key of the database"));
    Ok((env, findings))
}

async fn in_database(env: &Env) -> Vec<Finding> {
    let now = env.now();
    let bookings = env.db.read(move |conn| bookings::check(conn, now)).await;
    let records = env.db.read(records::check).await;
    let mails = env.db.read(move |conn| mails::check(conn, now)).await;
    let webhooks = env.db.read(webhooks::check).await;
    let clock = env.db.read(move |conn| clock::check(conn, now)).await;
    let zones = env.config.zones.clone();
    let zones = env.db.read(move |conn| zones::check(conn, &zones)).await;
    let audit = verify::verify(env, None).await.map(|report| {
        let example = report.findings.first().map_or("", String::as_str);
        vec![match report.wrong {
            0 => Finding::new("audit", Severity::Ok, format!("{} sealed events, no fault", report.events)),
            faults => Finding::new("audit", Severity::Failure, format!("{faults} faults, for example: {example}")),
        }]
    });
    [
        ("bookings", bookings),
        ("records", records),
        ("mails", mails),
        ("webhooks", webhooks),
        ("clock", clock),
        ("zones", zones),
        ("audit", audit),
    ]
    .into_iter()
    .flat_map(|(check, result)| {
        result
            .unwrap_or_else(|error| vec![Finding::new(check, Severity::Failure, format!("cannot be checked: {error}"))])
    })
    .collect()
}
