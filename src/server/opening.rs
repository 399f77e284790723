//! Opens the database with its keys. The server, the commands and the doctor use it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use secrecy::ExposeSecret;
use tokio::sync::{Notify, watch};

use crate::accounts::passwords::hashing::REQUIRED;
use crate::audit;
use crate::clock::{Clock, Entropy};
use crate::config::Config;
use crate::db::migrate::{self, SchemaStatus};
use crate::db::setup_cache::SetupCache;
use crate::db::{self, Db, Use, damage, pooler};
use crate::env::Env;
use crate::messages::outbox;
use crate::sealed::keys::KeyUser;
use crate::sealed::{self, Sealer};
use crate::signed::Signer;
use crate::telemetry::Metrics;
use crate::zones::recorded::{self, Standing};

/// Opens the environment of requests and commands without starting anything. The schema must be current.
///
/// # Errors
/// A text for the operator.
pub fn open(config: Config, usage: Use, clock: Clock, entropy: Entropy) -> Result<Env, String> {
    let metrics = Arc::new(Metrics::default());
    let db = Db::open(&config.target, usage, config.settings.database_connections, Arc::clone(&metrics))?;
    let sealer = Sealer::parse(config.data_keys.expose_secret())?;
    let signer = check_keys(&config, usage, &sealer, &clock, &entropy)?;
    if usage == Use::Serve {
        record_zones(&config, &clock)?;
    }
    let rls_text_pack = if usage == Use::Serve { load_text_pack(&config)? } else { None };
    Ok(Env {
        db,
        clock,
        entropy,
        password_params: REQUIRED,
        mail_spread: outbox::SPREAD,
        turns: Arc::default(),
        sealer,
        signer,
        rls_text_pack,
        config: Arc::new(config),
        metrics,
        mail_written: Arc::new(Notify::new()),
        zone_written: Arc::new(Notify::new()),
        written: Arc::new(watch::Sender::new(())),
        accepting: Arc::new(AtomicBool::new(true)),
        audit: Arc::default(),
        setup: SetupCache::default(),
    })
}

/// Records the version of the zone data, unless a newer one is recorded. Otherwise this instance publishes no slots.
fn record_zones(config: &Config, clock: &Clock) -> Result<(), String> {
    let adopted = recorded::adopt(&mut db::connect(&config.target)?, &config.zones, clock.now());
    let (before, standing) = adopted.map_err(|error| format!("record the version of the zone data: {error}"))?;
    let version = config.zones.version();
    match (before, standing) {
        (_, Standing::Other(recorded)) => tracing::error!("{}", recorded::outdated(&config.zones, &recorded)),
        (Some(before), _) if before != version => tracing::info!(before, version, "the data of time zones changed"),
        _ => {}
    }
    Ok(())
}

/// Loads the licensed text of the IRLS, if the settings name one.
fn load_text_pack(config: &Config) -> Result<Option<Arc<rls::TextPack>>, String> {
    let Some(path) = &config.settings.rls_text_pack else { return Ok(None) };
    let explain = |error: &dyn std::fmt::Display| format!("RLS_TEXT_PACK {}: {error}", path.display());
    let file = std::fs::read(path).map_err(|error| explain(&error))?;
    let text_pack = rls::TextPack::load(&file).map_err(|error| explain(&error))?;
    Ok(Some(Arc::new(text_pack)))
}

/// Checks that the keys decrypt the values in the database, and returns the key of the audit trail. With wrong keys
/// every read would fail, and values written meanwhile would be unreadable once the right keys return.
fn check_keys(
    config: &Config,
    usage: Use,
    sealer: &Sealer,
    clock: &Clock,
    entropy: &Entropy,
) -> Result<Signer, String> {
    let mut conn = db::connect(&config.target)?;
    let alone = usage == Use::Serve || db::is_served(&config.target) == Some(false);
    sealed::keys::check_in(
        &mut conn,
        sealer,
        if alone { KeyUser::Server } else { KeyUser::CommandBesideServer },
        clock.now(),
    )?;
    audit::keys::open(&mut conn, sealer, clock, entropy)
        .map_err(|error| format!("DATA_KEYS are not those of this database: {error}"))
}

/// Checks that the database is undamaged and belongs to this service. Updates the schema, or checks that it is current.
///
/// # Errors
/// A text for the operator.
pub fn prepare_schema(config: &Config, can_migrate: bool) -> Result<(), String> {
    damage::check_at_start(&config.target)?;
    pooler::refuse(&config.target)?;
    let mut conn = db::connect(&config.target)?;
    db::refuse_other_schema(&mut conn)?;
    if can_migrate {
        let count = migrate::run(&mut conn)?;
        damage::check_schema(&mut conn)?;
        damage::mark(&mut conn)?;
        if count > 0 {
            tracing::info!(count, database = %config.target, "migrated");
        }
        return Ok(());
    }
    match migrate::schema_status(&mut conn)? {
        SchemaStatus::Current => damage::check_schema(&mut conn),
        SchemaStatus::Ahead(unknown) => Err(migrate::newer_database_text(&unknown)),
        SchemaStatus::Behind(count) => {
            Err(format!("the database lacks {count} migrations; run `legwork migrate`, or start without --no-migrate"))
        }
    }
}
