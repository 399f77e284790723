//! Puts it together: configuration → database → workers → HTTP; and takes it apart again in order.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_server::ServerHandle;
use actix_web::middleware::{Condition, from_fn};
use actix_web::{App, web};
use secrecy::ExposeSecret;
use tokio::sync::{Notify, watch};
use utoipa_swagger_ui::SwaggerUi;

use crate::clock::{Clock, Entropy};
use crate::config::{Config, Settings};
use crate::db::migrate::{self, Standing};
use crate::db::{self, Db, Use, damage};
use crate::env::Env;
use crate::http::Endpoints;
use crate::http::connections::Connections;
use crate::http::fallback::{Routes, fallback};
use crate::http::limits::Limiter;
use crate::http::listener::{self, HEADROOM, Serving};
use crate::http::problem::Draft;
use crate::routes::routes;
use crate::sealed::keys::By;
use crate::sealed::{self, Sealer};
use crate::signed::Signer;
use crate::telemetry::Metrics;
use crate::{accounts, audit, http, intake, messages, openapi, pages, patients, privacy, scheduling};

/// Opens what requests and commands need, without starting anything. The schema must be current.
///
/// # Errors
/// In words for the operator.
pub fn open(config: Config, usage: Use, clock: Clock, entropy: Entropy) -> Result<Env, String> {
    let metrics = Arc::new(Metrics::default());
    let db = Db::open(&config.target, usage, config.settings.database_connections, Arc::clone(&metrics))?;
    let sealer = Sealer::parse(config.data_keys.expose_secret())?;
    let signer = check_keys(&config, usage, &sealer, &clock, &entropy)?;
    Ok(Env {
        db,
        clock,
        entropy,
        sealer,
        signer,
        config: Arc::new(config),
        metrics,
        mail_written: Arc::new(Notify::new()),
        accepting: Arc::new(AtomicBool::new(true)),
        audit_stalled: Arc::default(),
    })
}

/// Sees to it that the keys open what the database holds. With others every record would be a fault, and what was sealed
/// with them meanwhile would be lost as soon as the right ones are back. Gives the key of the audit trail, which they open.
fn check_keys(
    config: &Config,
    usage: Use,
    sealer: &Sealer,
    clock: &Clock,
    entropy: &Entropy,
) -> Result<Signer, String> {
    let mut conn = db::connect(&config.target)?;
    let alone = usage == Use::Serve || db::is_served(&config.target) == Some(false);
    sealed::keys::check_in(&mut conn, sealer, if alone { By::First } else { By::Beside }, clock.now())?;
    audit::keys::open(&mut conn, sealer, clock, entropy)
        .map_err(|error| format!("DATA_KEYS are not those of this database: {error}"))
}

/// Looks whether the database is whole and ours, and brings the schema up to date, or sees to it that it is.
///
/// # Errors
/// In words for the operator.
pub fn prepare_schema(config: &Config, may_migrate: bool) -> Result<(), String> {
    damage::look(&config.target)?;
    let mut conn = db::connect(&config.target)?;
    if may_migrate {
        let count = migrate::run(&mut conn)?;
        damage::mark(&mut conn)?;
        if count > 0 {
            tracing::info!(count, database = %config.target, "migrated");
        }
        return Ok(());
    }
    match migrate::standing(&mut conn)? {
        Standing::Current => Ok(()),
        Standing::Ahead(unknown) => Err(migrate::ahead(&unknown)),
        Standing::Behind(count) => {
            Err(format!("the database lacks {count} migrations; run `legwork migrate`, or start without --no-migrate"))
        }
    }
}

/// A server that listens.
pub struct Server {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Its surroundings.
    pub env: Env,
    http: actix_server::Server,
    /// Answers the operator's probes at an address of their own.
    probes: Option<actix_server::Server>,
    stop: watch::Sender<bool>,
    /// Rings when nothing is to be waited for any more.
    at_once: Arc<Notify>,
    /// Ends when the mail under way has gone out.
    mailing: tokio::task::JoinHandle<()>,
    /// Ends when all events are written and sealed.
    auditing: tokio::task::JoinHandle<()>,
    /// Ends when the log was told the last count of callers turned away.
    telling: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Binds the address and starts the workers. The schema must be current.
    ///
    /// # Errors
    /// In words for the operator.
    pub fn bind(env: Env, threads: usize) -> Result<Self, String> {
        let keys = accounts::Keys::new(&env)?;
        let rules = intake::Rules::open(&env.config)?;
        let (listener, addr) = bind(env.config.settings.listen_addr)?;
        let document = openapi::document();
        let table = web::Data::new(Routes::of(&document, intake::rls::OWN_READERS)?);
        let document = web::Data::new(openapi::Published::new(&document)?);
        let (data, keys, rules) = (web::Data::new(env.clone()), web::Data::new(keys), web::Data::new(rules));
        let (stop, stopping) = watch::channel(false);
        let (queue, auditing) = audit::queue::start(&env, stopping.clone());
        let queue = web::Data::new(queue);
        let settings = &env.config.settings;
        let limiter = Limiter::new(settings.rate_limits);
        let shared_limiter = web::Data::new(limiter.clone());
        let origins = settings.cors_origins.clone();
        let app = move || {
            App::new()
                .app_data(data.clone())
                .app_data(keys.clone())
                .app_data(rules.clone())
                .app_data(table.clone())
                .app_data(document.clone())
                .app_data(shared_limiter.clone())
                .app_data(queue.clone())
                .wrap(from_fn(http::middleware::refuse_unknown_methods_and_parameters))
                .wrap(from_fn(accounts::authentication::identify))
                .wrap(from_fn(audit::edge::note))
                .wrap(Condition::new(!origins.is_empty(), http::cors::cors(&origins)))
                .wrap(from_fn(http::cors::refuse_unlisted))
                .wrap(from_fn(http::middleware::wrap))
                .configure(|served| routes(&mut Endpoints::served(served)))
                .configure(pages::routes)
                .service(web::redirect("/docs", "/docs/"))
                .service(web::resource("/openapi.json").get(openapi::serve))
                .service(SwaggerUi::new("/docs/{_:.*}").config(utoipa_swagger_ui::Config::new(["/openapi.json"])))
                .default_service(web::to(fallback))
        };
        check_open_files(settings, threads);
        let metrics = Arc::clone(&env.metrics);
        let connections = Connections::new(
            settings.max_connections as usize,
            settings.connections_per_client(),
            settings.behind_proxy.clone(),
            Arc::clone(&metrics),
        );
        let serving = Serving { threads, patience: settings.shutdown_seconds, connections, metrics };
        let http = listener::start(listener, serving, app).map_err(|error| format!("listen on {addr}: {error}"))?;
        let probes = settings.health_addr.map(|addr| answer_probes(&env, addr)).transpose()?;
        let telling = listener::start_telling(&env.metrics, stopping.clone());
        limiter.start_cleaning(stopping.clone());
        let mailing = messages::worker::start(&env, stopping.clone())?;
        scheduling::publishing::start(&env, stopping.clone());
        patients::ending::start(&env, stopping.clone());
        http::idempotency::start_purge(&env, stopping.clone());
        accounts::purge::start(&env, stopping.clone());
        privacy::retention::start(&env, stopping.clone());
        db::check::start(&env.db, &env.config.target, stopping);
        let at_once = Arc::new(Notify::new());
        Ok(Self { addr, env, http, probes, stop, at_once, mailing, auditing, telling })
    }

    /// What stops it from outside.
    pub fn handle(&self) -> Stopper {
        Stopper {
            http: self.http.handle(),
            stop: self.stop.clone(),
            at_once: Arc::clone(&self.at_once),
            accepting: Arc::clone(&self.env.accepting),
            delay: Duration::from_secs(self.env.config.settings.shutdown_delay_seconds.into()),
        }
    }

    /// Serves until it is stopped.
    ///
    /// # Errors
    /// The socket's.
    pub async fn serve(self) -> std::io::Result<()> {
        let Self { http, probes, stop, at_once, mailing, auditing, telling, env, .. } = self;
        let probes = probes.map(|probes| (probes.handle(), actix_web::rt::spawn(probes)));
        let mut result = Ok(());
        let ended = async {
            result = http.await;
            let _ = stop.send(true);
            let _ = mailing.await;
        };
        let in_haste = tokio::select! {
            () = ended => false,
            () = at_once.notified() => true,
        };
        let _ = stop.send(true);
        let stored = async {
            let _ = auditing.await;
            env.db.close().await;
        };
        if in_haste {
            let _ = tokio::time::timeout(HASTE, stored).await;
        } else {
            stored.await;
        }
        let _ = telling.await;
        // Last, so that readiness says until the end that the service takes nothing.
        if let Some((handle, task)) = probes {
            handle.stop(false).await;
            let _ = task.await;
        }
        result
    }
}

/// How long the audit trail and the database may take when the service is to stop at once.
const HASTE: Duration = Duration::from_secs(2);

/// Listens, and says where.
fn bind(listen: SocketAddr) -> Result<(TcpListener, SocketAddr), String> {
    let listener = TcpListener::bind(listen).map_err(|error| format!("listen on {listen}: {error}"))?;
    let addr = listener.local_addr().map_err(|error| format!("listen on {listen}: {error}"))?;
    Ok((listener, addr))
}

/// How many connections for probes are open at most: in all, and of one client.
const PROBES: (usize, usize) = (64, 16);

/// Serves the health checks and metrics, and nothing else, on a thread of its own. Load on the service's main address does not
/// delay them.
fn answer_probes(env: &Env, listen: SocketAddr) -> Result<actix_server::Server, String> {
    let (listener, addr) = bind(listen)?;
    let data = web::Data::new(env.clone());
    let app = move || {
        App::new()
            .app_data(data.clone())
            .wrap(from_fn(http::middleware::wrap))
            .configure(|served| http::operations::routes(&mut Endpoints::served(served)))
            .default_service(web::to(async || Draft::no_route().into_response()))
    };
    let connections = Connections::new(PROBES.0, PROBES.1, None, Arc::default());
    let serving = Serving { threads: 1, patience: 0, connections, metrics: Arc::clone(&env.metrics) };
    let server = listener::start(listener, serving, app).map_err(|error| format!("listen on {addr}: {error}"))?;
    tracing::info!(probes = %addr, "probes are answered");
    Ok(server)
}

/// Asks the system for as many open files as connections may need, and warns where it will not have it.
fn check_open_files(settings: &Settings, threads: usize) {
    let connections = settings.max_connections as usize + threads * HEADROOM;
    let probes = PROBES.0 + HEADROOM;
    let wanted = connections + probes + 4 * settings.database_connections as usize + 64;
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
    match rlimit::increase_nofile_limit(wanted) {
        Ok(granted) if granted >= wanted => {}
        Ok(granted) => {
            tracing::warn!(granted, wanted, "few open files are allowed: lower MAX_CONNECTIONS or raise the limit");
        }
        Err(error) => tracing::warn!(%error, "the limit of open files is unknown"),
    }
}

/// Stops a server.
#[derive(Clone)]
pub struct Stopper {
    http: ServerHandle,
    stop: watch::Sender<bool>,
    at_once: Arc<Notify>,
    accepting: Arc<AtomicBool>,
    /// How long the service goes on after readiness has ended.
    delay: Duration,
}

impl Stopper {
    /// Turns readiness off, goes on serving until a balancer has noticed, lets the requests in flight end, stops the workers.
    pub async fn stop(&self) {
        self.accepting.store(false, Ordering::Relaxed);
        tokio::time::sleep(self.delay).await;
        self.http.stop(true).await;
        let _ = self.stop.send(true);
    }

    /// Stops without waiting for requests in flight or for the mail being sent, which is sent again after the next start. Audit
    /// events that wait are still written.
    pub fn stop_at_once(&self) {
        self.accepting.store(false, Ordering::Relaxed);
        self.at_once.notify_one();
    }
}

/// The signals with which the operating system says that it is time to go.
pub struct Signals {
    #[cfg(unix)]
    signals: Option<(tokio::signal::unix::Signal, tokio::signal::unix::Signal)>,
}

impl Signals {
    /// Begins to listen. From now on the signals do not end the process by themselves.
    pub fn listen() -> Self {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let signals = signal(SignalKind::terminate()).ok().zip(signal(SignalKind::interrupt()).ok());
            Self { signals }
        }
        #[cfg(not(unix))]
        Self {}
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        #[cfg(unix)]
        match &mut self.signals {
            Some((terminate, interrupt)) => {
                tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            }
            None => std::future::pending().await,
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}
