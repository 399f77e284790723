//! `legwork keys`: which data keys are in use, and how one takes another's place.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Subcommand;
use secrecy::ExposeSecret;

use crate::audit::{self, AuditOutcome, Event};
use crate::clock::{Clock, Entropy};
use crate::config::Config;
use crate::db::{self, Conn, Db, Use};
use crate::ids::AuditEventId;
use crate::sealed::keys::{self, By};
use crate::sealed::rotation::{self, Usage};
use crate::sealed::{Sealer, key_file};
use crate::server;
use crate::telemetry::Metrics;
use crate::trail::Trail;

/// The keys of `DATA_KEYS`
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Tell how many values are sealed under each key
    List,
    /// Put a new key in front of the file that is kept beside an SQLite database; then restart the server
    New,
    /// Seal everything anew under the first key, while the service runs; may be broken off and run again
    Rotate,
    /// Take a key out under which nothing is sealed any more
    Retire {
        /// Its id
        id: String,
    },
}

/// Connections of a command that does one thing after the other.
const CONNECTIONS: u32 = 2;
/// How often a rotation tells how far it is.
const TELL: Duration = Duration::from_secs(2);

/// Runs the command.
///
/// # Errors
/// In words for the operator.
pub async fn run(config: Config, entropy: &Entropy, command: Keys) -> Result<(), String> {
    server::prepare_schema(&config, false)?;
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
            settle_in(&config, &db, &sealer).await?;
            // First, so that no value is touched of which nothing is written down, also where it is broken off.
            note(&db, (&sealer, entropy), "rotate_data_keys", |_| Ok(())).await?;
            rotate(&db, &sealer).await?;
        }
        Keys::Retire { id } => retire(&config, &db, (&sealer, entropy), id).await?,
    }
    Ok(())
}

/// Writes the command into the audit trail, in one transaction with what it does. A database that has no key for the trail
/// was never served: there is nothing to account for.
async fn note(
    db: &Db,
    (sealer, entropy): (&Sealer, &Entropy),
    operation: &'static str,
    effect: impl Fn(&mut Conn) -> crate::error::Result<()> + Send + 'static,
) -> Result<(), String> {
    let (sealer, entropy) = (sealer.clone(), entropy.clone());
    let written = db.write(move |tx| {
        if let Some(signer) = audit::keys::newest(tx, &sealer)? {
            let (now, trail) = (Clock::System.now(), Trail::of_command(operation));
            let id = AuditEventId(entropy.uuid(now));
            audit::store::insert(tx, &[Event::new(id, now, &signer, &trail, AuditOutcome::Success)])?;
        }
        effect(tx)
    });
    written.await.map_err(|error| format!("write it into the audit trail: {error}"))
}

async fn used(db: &Db) -> Result<Usage, String> {
    rotation::usage(db).await.map_err(|error| format!("count the sealed values: {error}"))
}

/// The keys under which the database says that anything may be sealed.
async fn recorded(db: &Db) -> Result<Vec<String>, String> {
    db.read(keys::ids).await.map_err(|error| format!("read the database's keys: {error}"))
}

/// Sees to it that every server knows the key under which everything is to be sealed: one that was not restarted could not
/// read it.
async fn settle_in(config: &Config, db: &Db, sealer: &Sealer) -> Result<(), String> {
    if recorded(db).await?.iter().any(|id| id == sealer.current()) {
        return Ok(());
    }
    if db::is_served(&config.target) == Some(false) {
        return keys::check_in(&mut db::connect(&config.target)?, sealer, By::First, Clock::System.now());
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
            (true, _) => "seals",
            (false, true) => "opens",
            (false, false) => "MISSING",
        };
        println!("{id:<32}  {role:<8} {:>12} values", usage.of(id));
    }
}

async fn new(config: &Config, db: &Db, means: (&Sealer, &Entropy), taken: &[String]) -> Result<(), String> {
    let path = file(config).ok_or(
        "DATA_KEYS is set: put a new key in front of it, `id:base64`, with 32 bytes of `head -c32 /dev/urandom | base64`",
    )?;
    note(db, means, "add_data_key", |_| Ok(())).await?;
    let id = key_file::add(&path, means.1.bytes(), taken)?;
    println!("{id} is the first key in {}. Keep a copy of the file apart from the backups.", path.display());
    println!("Restart the server, so that it seals with {id}; then run `legwork keys rotate`.");
    Ok(())
}

async fn rotate(db: &Db, sealer: &Sealer) -> Result<(), String> {
    let mut told = Instant::now();
    let report = rotation::rotate(db, sealer, |column, done| {
        if told.elapsed() >= TELL {
            told = Instant::now();
            println!("{column}: {done}");
        }
    });
    let report = report.await.map_err(|error| format!("{error}; run it again, it goes on where it was"))?;
    println!("{} values were sealed anew under {}.", report.resealed, sealer.current());
    for fault in &report.faults {
        println!("not opened: {fault}");
    }
    let usage = used(db).await?;
    list(sealer, &usage, &recorded(db).await?);
    if report.unreadable > 0 {
        return Err(format!("{} values could not be opened; they are as they were", report.unreadable));
    }
    for id in sealer.ids().filter(|id| *id != sealer.current()) {
        if usage.of(id) == 0 {
            println!("Nothing is sealed under {id} any more: `legwork keys retire {id}` takes it out.");
        } else {
            return Err(format!(
                "{} values are under {id} still or again: is a server running that was not restarted? Run it again",
                usage.of(id)
            ));
        }
    }
    Ok(())
}

async fn retire(config: &Config, db: &Db, means: (&Sealer, &Entropy), id: String) -> Result<(), String> {
    let (sealer, _) = means;
    if id == sealer.current() {
        return Err(format!("{id} is the key that seals; put another one in front of it first"));
    }
    match used(db).await?.of(&id) {
        0 => {}
        count => return Err(format!("{count} values are sealed under {id}; run `legwork keys rotate` first")),
    }
    let forgotten = id.clone();
    note(db, means, "retire_data_key", move |tx| keys::forget(tx, &forgotten)).await?;
    match file(config) {
        Some(path) => {
            key_file::remove(&path, &id)?;
            println!("{id} is out of {}. Keep it as long as you keep backups from its time.", path.display());
        }
        None => println!("Take {id} out of DATA_KEYS. Keep it as long as you keep backups from its time."),
    }
    Ok(())
}

/// The file with the keys, where they are not set.
fn file(config: &Config) -> Option<PathBuf> {
    config.settings.data_keys.is_none().then(|| config.data_keys_file()).flatten()
}
