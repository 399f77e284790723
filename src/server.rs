//! Puts it together: configuration → database → workers → HTTP; and takes it apart again in order.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_server::ServerHandle;
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::middleware::{Condition, from_fn};
use actix_web::rt::net::TcpStream;
use actix_web::{App, web};
use secrecy::ExposeSecret;
use tokio::sync::{Notify, watch};
use utoipa_swagger_ui::SwaggerUi;

use crate::clock::{Clock, Entropy};
use crate::config::Config;
use crate::db::migrate::{self, Standing};
use crate::db::{self, Db, Use, damage};
use crate::env::Env;
use crate::http::Endpoints;
use crate::http::connection::{self, Guarded};
use crate::http::fallback::{Routes, fallback};
use crate::http::limits::Limiter;
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
    stop: watch::Sender<bool>,
    /// Ends when the mail under way has gone out.
    mailing: tokio::task::JoinHandle<()>,
    /// Ends when all events are written and sealed.
    auditing: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Binds the address and starts the workers. The schema must be current.
    ///
    /// # Errors
    /// In words for the operator.
    pub fn bind(env: Env, threads: usize) -> Result<Self, String> {
        let keys = accounts::Keys::new(&env)?;
        let rules = intake::Rules::open(&env.config)?;
        let listen = env.config.settings.listen_addr;
        let listener = TcpListener::bind(listen).map_err(|error| format!("listen on {listen}: {error}"))?;
        let addr = listener.local_addr().map_err(|error| format!("listen on {listen}: {error}"))?;
        let document = openapi::document();
        let table = web::Data::new(Routes::of(&document)?);
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
                .wrap(from_fn(http::middleware::refuse_unknown_parameters))
                .wrap(from_fn(accounts::authentication::identify))
                .wrap(from_fn(audit::edge::note))
                .wrap(Condition::new(!origins.is_empty(), http::cors::cors(&origins)))
                .wrap(from_fn(http::middleware::wrap))
                .configure(|served| routes(&mut Endpoints::served(served)))
                .configure(pages::routes)
                .service(web::redirect("/docs", "/docs/"))
                .service(web::resource("/openapi.json").get(openapi::serve))
                .service(SwaggerUi::new("/docs/{_:.*}").config(utoipa_swagger_ui::Config::new(["/openapi.json"])))
                .default_service(web::to(fallback))
        };
        check_open_files(settings.max_connections + 4 * settings.database_connections);
        let builder = actix_server::Server::build()
            .workers(threads)
            .max_concurrent_connections((settings.max_connections as usize / threads).max(1))
            .shutdown_timeout(u64::from(settings.shutdown_seconds))
            .disable_signals();
        let draining = builder.graceful_shutdown_signal();
        // What `HttpServer` does, with the socket guarded: it has no place for that.
        let serve = move || {
            let draining = draining.clone();
            let app = app().into_factory().map_err(|error| error.error_response());
            let http = HttpService::build()
                .graceful_shutdown_signal(move || {
                    let draining = draining.clone();
                    async move { draining.notified().await }
                })
                .client_request_timeout(connection::HEAD)
                .client_disconnect_timeout(connection::LINGER)
                .local_addr(addr)
                .on_connect_ext(|socket: &Guarded, data| {
                    data.insert(socket.progress());
                })
                .h1(map_config(app, |()| AppConfig::default()));
            fn_service(async |socket: TcpStream| {
                let peer = socket.peer_addr().ok();
                Ok::<_, DispatchError>((Guarded::new(socket), peer))
            })
            .and_then(http)
        };
        let http = builder.listen("http", listener, serve).map_err(|error| format!("listen on {addr}: {error}"))?.run();
        limiter.start_cleaning(stopping.clone());
        let mailing = messages::worker::start(&env, stopping.clone())?;
        scheduling::publishing::start(&env, stopping.clone());
        patients::ending::start(&env, stopping.clone());
        http::idempotency::start_purge(&env, stopping.clone());
        accounts::purge::start(&env, stopping.clone());
        privacy::retention::start(&env, stopping.clone());
        db::check::start(&env.db, &env.config.target, stopping);
        Ok(Self { addr, env, http, stop, mailing, auditing })
    }

    /// What stops it from outside.
    pub fn handle(&self) -> Stopper {
        Stopper { http: self.http.handle(), stop: self.stop.clone(), accepting: Arc::clone(&self.env.accepting) }
    }

    /// Serves until it is stopped.
    ///
    /// # Errors
    /// The socket's.
    pub async fn serve(self) -> std::io::Result<()> {
        let Self { http, stop, mailing, auditing, env, .. } = self;
        let result = http.await;
        let _ = stop.send(true);
        let _ = mailing.await;
        let _ = auditing.await;
        env.db.close().await;
        result
    }
}

/// Asks the system for as many open files as connections may need, and warns where it will not have it.
fn check_open_files(wanted: u32) {
    let wanted = u64::from(wanted) + 64;
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
    accepting: Arc<AtomicBool>,
}

impl Stopper {
    /// Turns readiness off, lets the requests in flight end, stops the workers.
    pub async fn stop(&self) {
        self.accepting.store(false, Ordering::Relaxed);
        self.http.stop(true).await;
        let _ = self.stop.send(true);
    }
}

/// Waits for the operating system to say that it is time to go.
pub async fn told_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            (Ok(mut terminate), Ok(mut interrupt)) => {
                tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            }
            _ => std::future::pending().await,
        }
    }
    #[cfg(not(unix))]
    let _ = tokio::signal::ctrl_c().await;
}
