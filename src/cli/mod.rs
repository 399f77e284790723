//! The command line: serve (the default), migrate, backup, restore, doctor, openapi, admin, audit, keys, purge.

mod keys;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use secrecy::ExposeSecret;

use crate::audit::verify::KnownHead;
use crate::audit::{record, seal, triggers, verify};
use crate::audit_context::AuditContext;
use crate::clock::{Clock, Entropy};
use crate::config::network::{Origin, Proxies};
use crate::config::{Config, RequireTotp, Settings};
use crate::db::{self, Target, Use, backup, restore};
use crate::env::Env;
use crate::privacy::retention::RULES;
use crate::{accounts, build_options, demo, doctor, openapi, server, telemetry};

/// The appointment and intake service of a vein clinic that treats restless legs
#[derive(Debug, Parser)]
#[command(name = "legwork", version, about)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service (the default)
    Serve(Serve),
    /// Migrate the database to this program's schema
    Migrate,
    /// Copy the database into a new file while the service runs (SQLite; on PostgreSQL it prints what to do instead)
    Backup {
        /// The file to write; it must not exist
        file: std::path::PathBuf,
    },
    /// Put a checked copy of a backup in the place of the database while no service runs (SQLite; on PostgreSQL it prints what to do
    /// instead)
    Restore {
        /// The backup
        file: std::path::PathBuf,
        /// Keep an existing database under another name, instead of refusing
        #[arg(long)]
        replace: bool,
    },
    /// Check settings, database, keys, bookings, mails and audit trail; the exit status is the result
    Doctor {
        /// Print the findings as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the OpenAPI document
    Openapi {
        /// Fail unless this file is exactly the document
        #[arg(long, value_name = "FILE")]
        check: Option<std::path::PathBuf>,
    },
    /// Manage administrators' accounts
    #[command(subcommand)]
    Admin(Admin),
    /// Verify the audit trail
    #[command(subcommand)]
    Audit(Audit),
    /// Delete data after its retention period while the service runs (see the retention settings)
    Purge {
        /// Only print how much would be deleted
        #[arg(long)]
        dry_run: bool,
    },
    /// Manage the keys that encrypt values in the database
    #[command(subcommand)]
    Keys(keys::Keys),
}

#[derive(Debug, Default, clap::Args)]
struct Serve {
    /// Fill an empty database with a demo clinic; a demo needs this flag at every start
    #[arg(long)]
    demo: bool,
    /// Fail instead of migrating the database
    #[arg(long)]
    no_migrate: bool,
}

#[derive(Debug, Subcommand)]
enum Admin {
    /// Create an administrator's account and mail a link to set the password
    Create {
        /// The e-mail address
        #[arg(long)]
        email: String,
        /// The name
        #[arg(long, default_value = "Administrator")]
        name: String,
    },
    /// End an administrator's sessions, remove the second factor and mail a link to set a new password
    Reset {
        /// The e-mail address
        #[arg(long)]
        email: String,
    },
}

#[derive(Debug, Subcommand)]
enum Audit {
    /// Check that no event was edited, removed, added or moved; the exit status is the result
    Verify {
        /// A head that was written down earlier, to check that the end was not cut off
        #[arg(long, value_name = "SEQ:HMAC")]
        head: Option<KnownHead>,
    },
    /// Print the end of the chain of seals; store it elsewhere
    Head,
}

/// Runs the program.
pub fn main() -> ExitCode {
    // A missing .env is normal. An invalid one is an error.
    if let Err(error) = dotenvy::dotenv()
        && !error.not_found()
    {
        eprintln!("legwork: .env: {error}");
        return ExitCode::FAILURE;
    }
    let cli = Cli::parse();
    telemetry::init(cli.settings.log_format);
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("legwork: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut cli: Cli) -> Result<(), String> {
    let entropy = Entropy::system();
    match cli.command.unwrap_or(Command::Serve(Serve::default())) {
        Command::Openapi { check } => print_openapi(check),
        // Without the other settings, because a backup needs no keys.
        Command::Backup { file } => {
            let target = Target::parse(cli.settings.database_url.expose_secret())?;
            println!("{}", backup::backup(&target, &file)?);
            Ok(())
        }
        // Without the other settings as well: the keys may be restored later.
        Command::Restore { file, replace } => {
            let target = Target::parse(cli.settings.database_url.expose_secret())?;
            println!("{}", restore::restore(&target, &file, replace)?);
            Ok(())
        }
        Command::Doctor { json } => {
            let findings = actix_web::rt::System::new().block_on(doctor::examine(cli.settings, entropy));
            show_findings(&findings, json)
        }
        Command::Migrate => {
            let config = Config::new(cli.settings, &entropy)?;
            server::opening::prepare_schema(&config, true)?;
            println!("{} has the schema of this version.", config.target);
            Ok(())
        }
        Command::Serve(options) => {
            if options.demo {
                cli.settings.demo = true;
                // Demo users sign in with published passwords only.
                cli.settings.require_totp = RequireTotp::Off;
                // A web client under development runs on this machine at any port.
                cli.settings.cors_origins.push(Origin::ThisMachine);
                // A receiver of webhooks under development runs on this machine.
                cli.settings.webhook_allowed_networks.get_or_insert_with(Proxies::this_machine);
                // No load balancer watches a demo, and Ctrl-C should be fast.
                cli.settings.shutdown_delay_seconds = 0;
            }
            let config = Config::new(cli.settings, &entropy)?;
            let system = actix_web::rt::System::new();
            let result = system.block_on(serve(config, entropy, options));
            // Dropping it would wait for threads that wait for a database which does not respond.
            std::mem::forget(system);
            result
        }
        Command::Audit(command) => {
            let config = Config::new(cli.settings, &entropy)?;
            actix_web::rt::System::new().block_on(async move {
                server::opening::prepare_schema(&config, false)?;
                audit(&server::opening::open(config, Use::Tool, Clock::System, entropy)?, command).await
            })
        }
        Command::Purge { dry_run } => {
            let config = Config::new(cli.settings, &entropy)?;
            actix_web::rt::System::new().block_on(async move {
                server::opening::prepare_schema(&config, false)?;
                let env = server::opening::open(config, Use::Tool, Clock::System, entropy)?;
                let purged = purge(&env, dry_run).await;
                purged.and(seal_events(&env).await)
            })
        }
        Command::Keys(command) => {
            let config = Config::new(cli.settings, &entropy)?;
            actix_web::rt::System::new().block_on(keys::run(config, &entropy, command))
        }
        Command::Admin(command) => {
            let config = Config::new(cli.settings, &entropy)?;
            actix_web::rt::System::new().block_on(async move {
                server::opening::prepare_schema(&config, true)?;
                demo::reject(&config.target)?;
                let env = server::opening::open(config, Use::Tool, Clock::System, entropy)?;
                let done = match command {
                    Admin::Create { email, name } => accounts::admin::create(&env, &email, &name).await,
                    Admin::Reset { email } => accounts::admin::reset(&env, &email).await,
                };
                println!("{}", done?);
                seal_events(&env).await
            })
        }
    }
}

fn show_findings(findings: &[doctor::Finding], json: bool) -> Result<(), String> {
    if json {
        println!("{}", serde_json::to_string_pretty(findings).map_err(|error| error.to_string())?);
    } else {
        for finding in findings {
            println!("{finding}");
        }
    }
    match findings.iter().filter(|finding| finding.severity == doctor::Severity::Failure).count() {
        0 => Ok(()),
        failures => Err(format!("{failures} of {} checks failed", findings.len())),
    }
}

/// Seals the events of a command, because the service may be stopped.
async fn seal_events(env: &Env) -> Result<(), String> {
    let sealed = seal::seal_waiting(&env.db, &env.signer, seal::VERY_LATE, env.now()).await;
    sealed.map_err(|error| format!("seal the events of this command: {error}"))
}

async fn audit(env: &Env, command: Audit) -> Result<(), String> {
    match command {
        Audit::Head => {
            println!("{}", env.db.read(seal::head).await.map_err(|error| error.to_string())?);
            Ok(())
        }
        Audit::Verify { head } => {
            let report = verify::verify(env, head).await.map_err(|error| error.to_string())?;
            for finding in &report.findings {
                println!("{finding}");
            }
            let head = report.head.map(|head| head.to_string()).unwrap_or_default();
            println!("{} sealed events, head {head}", report.events);
            if report.events == 0 {
                println!(
                    "an audit trail without events proves nothing. Use --head with a head that was written down earlier"
                );
            }
            if report.wrong == 0 { Ok(()) } else { Err(format!("the audit trail has {} faults", report.wrong)) }
        }
    }
}

async fn purge(env: &Env, dry_run: bool) -> Result<(), String> {
    if !dry_run {
        // First, so that nothing is deleted without an event, even if the command is interrupted.
        let shared = env.clone();
        let written = env.db.write(move |tx| record(tx, &shared, &AuditContext::of_command("purge"), None));
        written.await.map_err(|error| format!("record it in the audit trail: {error}"))?;
    }
    let mut failed = Vec::new();
    for rule in RULES {
        let counted = if dry_run { rule.count(env).await } else { rule.apply(env).await };
        match counted {
            Ok(count) => println!("{:<24} {count:>10} {}", rule.name, if dry_run { "expired" } else { "deleted" }),
            // One object that cannot be deleted keeps no others.
            Err(error) => failed.push(format!("{}: {error}", rule.name)),
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(format!("{}. Deleted data stays deleted; run it again", failed.join("; ")))
}

fn print_openapi(check: Option<std::path::PathBuf>) -> Result<(), String> {
    let document = openapi::json()?;
    let Some(path) = check else {
        print!("{document}");
        return Ok(());
    };
    let there = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    if there == document {
        Ok(())
    } else {
        Err(format!("{} is out of date. Write it again with `legwork openapi > {0}`", path.display()))
    }
}

async fn serve(config: Config, entropy: Entropy, options: Serve) -> Result<(), String> {
    config.check_listen_addr()?;
    if options.demo {
        demo::check_addresses(&config.settings)?;
    }
    server::opening::prepare_schema(&config, !options.no_migrate)?;
    triggers::reject_differences(&mut db::connect(&config.target)?)?;
    if !options.demo {
        demo::reject(&config.target)?;
    }
    for difference in build_options::differences()? {
        tracing::warn!("{difference}. Build in the project's folder, where .cargo/config.toml is read");
    }
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let env = server::opening::open(config, Use::Serve, Clock::System, entropy)?;
    if options.demo {
        demo::fill(&env).await?;
    }
    let server = server::Server::bind(env, threads)?;
    let (target, zones) = (&server.env.config.target, server.env.config.zones.version());
    tracing::info!(address = %server.addr, database = %target, zone_data = zones, "listening");
    if options.demo {
        println!("{}", demo::welcome(&server.env, server.addr));
    }
    let (stopper, mut signals) = (server.handle(), server::stopping::Signals::listen());
    actix_web::rt::spawn(async move {
        signals.next().await;
        tracing::info!("stopping; a second signal stops at once");
        let gently = stopper.clone();
        actix_web::rt::spawn(async move { gently.stop().await });
        signals.next().await;
        tracing::info!("stopping at once");
        stopper.stop_at_once();
    });
    server.serve().await.map_err(|error| format!("serve: {error}"))?;
    tracing::info!("stopped");
    Ok(())
}
