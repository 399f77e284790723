//! `legwork keys`: lists, adds, rotates and retires data keys.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Subcommand;
use secrecy::ExposeSecret;

use crate::audit::{self, AuditOutcome, Event};
use crate::audit_context::AuditContext;
use crate::clock::{Clock, Entropy};
use crate::config::Config;
use crate::db::{self, Conn, Db, Use};
use crate::ids::AuditEventId;
use crate::sealed::keys::{self, KeyUser};
use crate::sealed::rotation::{self, Usage};
use crate::sealed::{Sealer, key_file};
use crate::server;
use crate::telemetry::Metrics;

/// The keys of `DATA_KEYS`
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// List how many values are encrypted with each key
    List,
    /// Add a new key in front of the file beside an SQLite database; then restart the server
    New,
    /// Encrypt all values again with the first key while the service runs; can be interrupted and run again
    Rotate,
    /// Remove a key with which no value is encrypted any more
    Retire {
        /// Its id
        id: String,
    },
}

/// Connections of a command that does one thing at a time.
const CONNECTIONS: u32 = 2;
/// How often a rotation prints its progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

/// Runs the command.
///
/// # Errors
/// A text for the operator.
pub async fn run(config: Config, entropy: &Entropy, command: Keys) -> Result<(), String> {
    server::opening::prepare_schema(&config, false)?;
    let sealer = Sealer::parse(config.data_keys.expose_secret())?;
    let db = Db::open(&config.target, Use::Tool, CONNECTIONS, Arc::new(Metrics::default()))?;
    match command {
        Keys::List => list(&sealer, &used(&db).await?, &recorded(&db).await?),
        Keys::New => {
            let mut taken = recorded(&db).await?;
            taken.extend(used(&db).await?.0.into_keys());
            new(&config, &db, (&sealer, entropy), &taken).await?;
        }
        Keys::Rotate => {
            require_known_key(&config, &db, &sealer).await?;
            // First, so that no value is changed without an event, even if the command is interrupted.
            record(&db, (&sealer, entropy), "rotate_data_keys", |_| Ok(())).await?;
            rotate(&db, &sealer).await?;
        }
        Keys::Retire { id } => retire(&config, &db, (&sealer, entropy), id).await?,
    }
    Ok(())
}

/// Records the command in the audit trail, in one transaction with its effect. A database without a key of the audit
/// trail was never served, so there is nothing to record.
async fn record(
    db: &Db,
    (sealer, entropy): (&Sealer, &Entropy),
    operation: &'static str,
    effect: impl Fn(&mut Conn) -> crate::error::Result<()> + Send + 'static,
) -> Result<(), String> {
    let (sealer, entropy) = (sealer.clone(), entropy.clone());
    let written = db.write(move |tx| {
        let signer = audit::keys::newest(tx, &sealer)?;
        if let Some(signer) = &signer {
            let (now, audit_context) = (Clock::System.now(), AuditContext::of_command(operation));
            let id = AuditEventId(entropy.uuid(now));
            audit::store::insert(tx, &[Event::new(id, now, signer, &audit_context, AuditOutcome::Success)])?;
        }
        effect(tx)?;
        Ok(signer)
    });
    let explain = |error: crate::error::Error| format!("record it in the audit trail: {error}");
    match written.await.map_err(explain)? {
        Some(signer) => {
            audit::seal::seal_waiting(db, &signer, audit::seal::VERY_LATE, Clock::System.now()).await.map_err(explain)
        }
        None => Ok(()),
    }
}

async fn used(db: &Db) -> Result<Usage, String> {
    rotation::usage(db).await.map_err(|error| format!("count the encrypted values: {error}"))
}

/// Returns the keys with which values may be encrypted, according to the database.
async fn recorded(db: &Db) -> Result<Vec<String>, String> {
    db.read(keys::ids).await.map_err(|error| format!("read the database's keys: {error}"))
}

/// Requires that every server knows the first key. A server that was not restarted could not decrypt the values.
async fn require_known_key(config: &Config, db: &Db, sealer: &Sealer) -> Result<(), String> {
    if recorded(db).await?.iter().any(|id| id == sealer.current()) {
        return Ok(());
    }
    if db::is_served(&config.target) == Some(false) {
        return keys::check_in(&mut db::connect(&config.target)?, sealer, KeyUser::Server, Clock::System.now());
    }
    Err(keys::unknown_to_servers(sealer))
}

fn list(sealer: &Sealer, usage: &Usage, recorded: &[String]) {
    let known = sealer.ids().chain(recorded.iter().map(String::as_str));
    let mut ids: Vec<&str> = known.chain(usage.0.keys().map(String::as_str)).collect();
    ids.sort_unstable_by_key(|id| (*id != sealer.current(), *id));
    ids.dedup();
    for id in ids {
        let role = match (id == sealer.current(), sealer.has(id)) {
            (true, _) => "encrypts",
            (false, true) => "decrypts",
            (false, false) => "MISSING",
        };
        println!("{id:<32}  {role:<8} {:>12} values", usage.of(id));
    }
}

async fn new(config: &Config, db: &Db, tools: (&Sealer, &Entropy), taken: &[String]) -> Result<(), String> {
    let path = file(config).ok_or(
        "DATA_KEYS is set. Add a new key in front of it, `id:base64`, with the output of `head -c32 /dev/urandom | base64`",
    )?;
    record(db, tools, "add_data_key", |_| Ok(())).await?;
    let id = key_file::add(&path, tools.1.bytes(), taken)?;
    println!("{id} is the first key in {}. Keep a copy of the file apart from the backups.", path.display());
    println!("Restart the server, so that it encrypts with {id}. Then run `legwork keys rotate`.");
    Ok(())
}

async fn rotate(db: &Db, sealer: &Sealer) -> Result<(), String> {
    let mut printed = Instant::now();
    let report = rotation::rotate(db, sealer, |column, done| {
        if printed.elapsed() >= PROGRESS_INTERVAL {
            printed = Instant::now();
            println!("{column}: {done}");
        }
    });
    let report = report.await.map_err(|error| format!("{error}. Run it again; it continues where it stopped"))?;
    println!("{} values were encrypted again with {}.", report.resealed, sealer.current());
    for fault in &report.faults {
        println!("not decrypted: {fault}");
    }
    let usage = used(db).await?;
    list(sealer, &usage, &recorded(db).await?);
    if report.unreadable > 0 {
        return Err(format!("{} values could not be decrypted; they were not changed", report.unreadable));
    }
    for id in sealer.ids().filter(|id| *id != sealer.current()) {
        if usage.of(id) == 0 {
            println!("No value is encrypted with {id} any more. `legwork keys retire {id}` removes it.");
        } else {
            return Err(format!(
                "{} values are still encrypted with {id}. Check that all servers were restarted, and run it again",
                usage.of(id)
            ));
        }
    }
    Ok(())
}

async fn retire(config: &Config, db: &Db, tools: (&Sealer, &Entropy), id: String) -> Result<(), String> {
    let (sealer, _) = tools;
    if id == sealer.current() {
        return Err(format!("{id} is the key that encrypts. Add another one in front of it first"));
    }
    match used(db).await?.of(&id) {
        0 => {}
        count => return Err(format!("{count} values are encrypted with {id}. Run `legwork keys rotate` first")),
    }
    let forgotten = id.clone();
    record(db, tools, "retire_data_key", move |tx| keys::forget(tx, &forgotten)).await?;
    match file(config) {
        Some(path) => {
            key_file::remove(&path, &id)?;
            println!(
                "{id} was removed from {}. Keep a copy as long as you keep backups from its time.",
                path.display()
            );
        }
        None => println!("Remove {id} from DATA_KEYS. Keep a copy as long as you keep backups from its time."),
    }
    Ok(())
}

/// Returns the file with the keys, if `DATA_KEYS` is not set.
fn file(config: &Config) -> Option<PathBuf> {
    config.settings.data_keys.is_none().then(|| config.data_keys_file()).flatten()
}
