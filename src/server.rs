//! Puts it together: configuration → database → workers → HTTP; and takes it apart again in order.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use secrecy::ExposeSecret;
use tokio::sync::{Notify, watch};
use utoipa_actix_web::AppExt;
use utoipa_swagger_ui::SwaggerUi;

use crate::clock::{Clock, Entropy};
use crate::config::Config;
use crate::db::migrate::{self, Standing};
use crate::db::{self, Db, Use};
use crate::env::Env;
use crate::http::fallback::{Routes, fallback};
use crate::routes::routes;
use crate::sealed::Sealer;
use crate::signed::Signer;
use crate::telemetry::Metrics;
use crate::{accounts, audit, http, intake, messages, openapi, patients, scheduling};

/// Opens what requests and commands need, without starting anything. The schema must be current.
///
/// # Errors
/// In words for the operator.
pub fn open(config: Config, usage: Use, clock: Clock, entropy: Entropy) -> Result<Env, String> {
    let metrics = Arc::new(Metrics::default());
    let db = Db::open(&config.target, usage, config.settings.database_connections, Arc::clone(&metrics))?;
    let sealer = Sealer::parse(config.data_keys.expose_secret())?;
    let signer = check_keys(&config, &sealer, &clock, &entropy)?;
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
    })
}

/// Sees to it that the keys open what the database holds. With others every record would be a fault, and what was sealed
/// with them meanwhile would be lost as soon as the right ones are back. Gives the key of the audit trail, which they open.
fn check_keys(config: &Config, sealer: &Sealer, clock: &Clock, entropy: &Entropy) -> Result<Signer, String> {
    let mut conn = db::connect(&config.target)?;
    patients::store::try_keys(&mut conn, sealer)
        .and_then(|()| audit::keys::open(&mut conn, sealer, clock, entropy))
        .map_err(|error| format!("DATA_KEYS are not those of this database: {error}"))
}

/// Brings the schema up to date, or sees to it that it is.
///
/// # Errors
/// In words for the operator.
pub fn prepare_schema(config: &Config, may_migrate: bool) -> Result<(), String> {
    let mut conn = db::connect(&config.target)?;
    if may_migrate {
        let count = migrate::run(&mut conn)?;
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
    http: actix_web::dev::Server,
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
        let table = web::Data::new(Routes::of(&document));
        let (data, keys, rules) = (web::Data::new(env.clone()), web::Data::new(keys), web::Data::new(rules));
        let (stop, stopping) = watch::channel(false);
        let (queue, auditing) = audit::queue::start(&env, stopping.clone());
        let queue = web::Data::new(queue);
        let http = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .app_data(keys.clone())
                .app_data(rules.clone())
                .app_data(table.clone())
                .app_data(queue.clone())
                .wrap(actix_web::middleware::from_fn(http::middleware::refuse_unknown_parameters))
                .wrap(actix_web::middleware::from_fn(accounts::authentication::identify))
                .wrap(actix_web::middleware::from_fn(audit::edge::note))
                .wrap(actix_web::middleware::from_fn(http::middleware::wrap))
                .into_utoipa_app()
                .configure(routes)
                .into_app()
                .service(web::redirect("/docs", "/docs/"))
                .service(SwaggerUi::new("/docs/{_:.*}").url("/openapi.json", document.clone()))
                .default_service(web::to(fallback))
        })
        .workers(threads)
        .client_request_timeout(Duration::from_secs(10))
        .client_disconnect_timeout(Duration::from_secs(5))
        .shutdown_timeout(u64::from(env.config.settings.shutdown_seconds))
        .disable_signals()
        .listen(listener)
        .map_err(|error| format!("listen on {addr}: {error}"))?
        .run();
        let mailing = messages::worker::start(&env, stopping.clone())?;
        scheduling::publishing::start(&env, stopping.clone());
        http::idempotency::start_purge(&env, stopping);
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
        let Self { http, stop, mailing, auditing, .. } = self;
        let result = http.await;
        let _ = stop.send(true);
        let _ = mailing.await;
        let _ = auditing.await;
        result
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
