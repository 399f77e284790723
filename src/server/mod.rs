//! Builds the server from configuration, database, background jobs and HTTP, and stops it in order.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_server::ServerHandle;
use actix_web::middleware::{Condition, from_fn};
use actix_web::{App, web};
use secrecy::ExposeSecret;
use tokio::sync::{Notify, watch};

use crate::clock::{Clock, Entropy};
use crate::config::{Config, Settings};
use crate::db::migrate::{self, SchemaStatus};
use crate::db::{self, Db, Use, damage, pooler};
use crate::env::Env;
use crate::http::Endpoints;
use crate::http::connections::Connections;
use crate::http::fallback::{Routes, fallback};
use crate::http::limits::Limiter;
use crate::http::listener::{self, HEADROOM, ServeOptions};
use crate::http::problem::ProblemBuilder;
use crate::routes::routes;
use crate::sealed::keys::KeyUser;
use crate::sealed::{self, Sealer};
use crate::signed::Signer;
use crate::telemetry::Metrics;
use crate::{accounts, audit, http, messages, openapi, pages, patients, privacy, scheduling};

/// Opens the environment of requests and commands without starting anything. The schema must be current.
///
/// # Errors
/// A text for the operator.
pub fn open(config: Config, usage: Use, clock: Clock, entropy: Entropy) -> Result<Env, String> {
    let metrics = Arc::new(Metrics::default());
    let db = Db::open(&config.target, usage, config.settings.database_connections, Arc::clone(&metrics))?;
    let sealer = Sealer::parse(config.data_keys.expose_secret())?;
    let signer = check_keys(&config, usage, &sealer, &clock, &entropy)?;
    let rls_text_pack = if usage == Use::Serve { load_text_pack(&config)? } else { None };
    Ok(Env {
        db,
        clock,
        entropy,
        sealer,
        signer,
        rls_text_pack,
        config: Arc::new(config),
        metrics,
        mail_written: Arc::new(Notify::new()),
        accepting: Arc::new(AtomicBool::new(true)),
        audit: Arc::default(),
    })
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

/// A server that listens.
pub struct Server {
    /// The address on which it listens.
    pub addr: SocketAddr,
    /// The environment.
    pub env: Env,
    http: actix_server::Server,
    /// Serves the health checks on an address of their own.
    probes: Option<actix_server::Server>,
    stop: watch::Sender<bool>,
    /// Notified when the server must stop at once.
    at_once: Arc<Notify>,
    /// Ends when the mails in progress are sent.
    mailing: tokio::task::JoinHandle<()>,
    /// Ends when all audit events are stored and sealed.
    auditing: tokio::task::JoinHandle<()>,
    /// Ends when the last count of rejected connections is logged.
    rejection_log: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Binds the address and starts the background jobs. The schema must be current.
    ///
    /// # Errors
    /// A text for the operator.
    pub fn bind(env: Env, threads: usize) -> Result<Self, String> {
        let keys = accounts::Keys::new(&env)?;
        let (listener, addr) = bind(env.config.settings.listen_addr)?;
        let document = openapi::document();
        let routes_table = web::Data::new(Routes::of(&document, rls::OWN_READERS)?);
        let document = web::Data::new(openapi::Published::new(&document)?);
        let (data, keys) = (web::Data::new(env.clone()), web::Data::new(keys));
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
                .app_data(routes_table.clone())
                .app_data(document.clone())
                .app_data(shared_limiter.clone())
                .app_data(queue.clone())
                .wrap(from_fn(http::middleware::reject_unknown_methods_and_parameters))
                .wrap(from_fn(accounts::caller::identify))
                .wrap(from_fn(audit::middleware::record_request))
                .wrap(Condition::new(!origins.is_empty(), http::cors::cors(&origins)))
                .wrap(from_fn(http::cors::reject_unlisted_origin))
                .wrap(from_fn(http::middleware::wrap))
                .configure(|served| routes(&mut Endpoints::served(served)))
                .configure(pages::routes)
                .service(web::redirect("/docs", "/docs/"))
                .service(web::resource("/openapi.json").get(openapi::serve))
                .service(web::resource("/docs/{file:.*}").get(openapi::serve_swagger_ui))
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
        let options = ServeOptions { threads, shutdown_seconds: settings.shutdown_seconds, connections, metrics };
        let http = listener::start(listener, options, app).map_err(|error| format!("listen on {addr}: {error}"))?;
        let probes = settings.health_addr.map(|addr| serve_probes(&env, addr)).transpose()?;
        let rejection_log = listener::start_rejection_log(&env.metrics, stopping.clone());
        limiter.start_cleaning(stopping.clone());
        let mailing = messages::worker::start(&env, stopping.clone())?;
        scheduling::hours::publishing::start(&env, stopping.clone());
        patients::access::coming_of_age::start(&env, stopping.clone());
        crate::context::start_purge(&env, stopping.clone());
        accounts::purge::start(&env, stopping.clone());
        privacy::retention::start(&env, stopping.clone());
        db::check::start(&env.db, &env.config.target, stopping);
        let at_once = Arc::new(Notify::new());
        Ok(Self { addr, env, http, probes, stop, at_once, mailing, auditing, rejection_log })
    }

    /// Returns a handle that stops the server.
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
    /// Those of the socket.
    pub async fn serve(self) -> std::io::Result<()> {
        let Self { http, probes, stop, at_once, mailing, auditing, rejection_log, env, .. } = self;
        let probes = probes.map(|probes| (probes.handle(), actix_web::rt::spawn(probes)));
        let mut result = Ok(());
        let ended = async {
            result = http.await;
            let _ = stop.send(true);
            let _ = mailing.await;
        };
        let stops_at_once = tokio::select! {
            () = ended => false,
            () = at_once.notified() => true,
        };
        let _ = stop.send(true);
        let stored = async {
            let _ = auditing.await;
            env.db.close().await;
        };
        if stops_at_once {
            let _ = tokio::time::timeout(IMMEDIATE_STOP_LIMIT, stored).await;
        } else {
            stored.await;
        }
        let _ = rejection_log.await;
        // Last, so that readiness fails until the end.
        if let Some((handle, task)) = probes {
            handle.stop(false).await;
            let _ = task.await;
        }
        result
    }
}

/// The limit for storing audit events and closing the database when the service must stop at once.
const IMMEDIATE_STOP_LIMIT: Duration = Duration::from_secs(2);

/// Binds a listener and returns its address.
fn bind(listen: SocketAddr) -> Result<(TcpListener, SocketAddr), String> {
    let listener = TcpListener::bind(listen).map_err(|error| format!("listen on {listen}: {error}"))?;
    let addr = listener.local_addr().map_err(|error| format!("listen on {listen}: {error}"))?;
    Ok((listener, addr))
}

/// The maximum number of connections for health checks: in all, and of one client.
const PROBES: (usize, usize) = (64, 16);

/// Serves only the health checks and metrics, on a thread of its own. Load on the main address does not delay them.
fn serve_probes(env: &Env, listen: SocketAddr) -> Result<actix_server::Server, String> {
    let (listener, addr) = bind(listen)?;
    let data = web::Data::new(env.clone());
    let app = move || {
        App::new()
            .app_data(data.clone())
            .wrap(from_fn(http::middleware::wrap))
            .configure(|served| http::operations::routes(&mut Endpoints::served(served)))
            .default_service(web::to(async || ProblemBuilder::no_route().into_response()))
    };
    let connections = Connections::new(PROBES.0, PROBES.1, None, Arc::default());
    let options = ServeOptions { threads: 1, shutdown_seconds: 0, connections, metrics: Arc::clone(&env.metrics) };
    let server = listener::start(listener, options, app).map_err(|error| format!("listen on {addr}: {error}"))?;
    tracing::info!(probes = %addr, "health checks are served");
    Ok(server)
}

/// Raises the limit of open files to what connections may need, and warns if the system allows fewer.
fn check_open_files(settings: &Settings, threads: usize) {
    let connections = settings.max_connections as usize + threads * HEADROOM;
    let probes = PROBES.0 + HEADROOM;
    let wanted = connections + probes + 4 * settings.database_connections as usize + 64;
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
    match rlimit::increase_nofile_limit(wanted) {
        Ok(granted) if granted >= wanted => {}
        Ok(granted) => {
            tracing::warn!(granted, wanted, "too few open files are allowed. Lower MAX_CONNECTIONS or raise the limit");
        }
        Err(error) => tracing::warn!(%error, "the limit of open files cannot be read"),
    }
}

/// Stops a server.
#[derive(Clone)]
pub struct Stopper {
    http: ServerHandle,
    stop: watch::Sender<bool>,
    at_once: Arc<Notify>,
    accepting: Arc<AtomicBool>,
    /// How long the service continues after readiness fails.
    delay: Duration,
}

impl Stopper {
    /// Makes readiness fail, serves until a load balancer has noticed, waits for the requests in progress, and stops
    /// the background jobs.
    pub async fn stop(&self) {
        self.accepting.store(false, Ordering::Relaxed);
        tokio::time::sleep(self.delay).await;
        self.http.stop(true).await;
        let _ = self.stop.send(true);
    }

    /// Stops without waiting for requests in progress or for the mail being sent, which is sent again after the next
    /// start. Waiting audit events are still stored.
    pub fn stop_at_once(&self) {
        self.accepting.store(false, Ordering::Relaxed);
        self.at_once.notify_one();
    }
}

/// The signals of the operating system that stop the process.
pub struct Signals {
    #[cfg(unix)]
    signals: Option<(tokio::signal::unix::Signal, tokio::signal::unix::Signal)>,
}

impl Signals {
    /// Starts to listen. From now on the signals do not end the process by themselves.
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

    /// Waits for the next signal.
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
