//! Builds the server from database, background jobs and HTTP, and ends them in order.

pub mod opening;
mod probes;
pub mod stopping;

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_web::middleware::{Condition, from_fn};
use actix_web::{App, web};
use tokio::sync::{Notify, watch};

use self::stopping::Stopper;
use crate::config::Settings;
use crate::db;
use crate::env::Env;
use crate::http::Endpoints;
use crate::http::connections::Connections;
use crate::http::fallback::Routes;
use crate::http::input::BODY_LIMIT;
use crate::http::limits::Limiter;
use crate::http::listener::{self, HEADROOM, ServeOptions};
use crate::http::rejection_log;
use crate::routes::routes;
use crate::web::Docs;
use crate::{
    accounts, appointments, audit, events, http, intake, messages, openapi, patients, privacy, scheduling, waitlist,
    webhooks,
};

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
    /// Ends when the outcomes of the webhooks in progress are stored.
    delivering: tokio::task::JoinHandle<()>,
    /// Ends when all audit events are stored and sealed.
    auditing: tokio::task::JoinHandle<()>,
    /// Ends when the events of the last changes have their numbers.
    numbering: tokio::task::JoinHandle<()>,
    /// Ends when the last count of rejected connections is logged.
    rejection_log: tokio::task::JoinHandle<()>,
}

/// What a server knows from the document.
#[derive(Clone)]
struct Documented {
    routes_table: web::Data<Routes>,
    published: web::Data<openapi::Published>,
    docs: web::Data<Docs>,
}

impl Documented {
    /// Builds it once for all servers of the process, because it takes a moment and is always the same.
    fn get() -> Result<Self, String> {
        static BUILT: OnceLock<Result<Documented, String>> = OnceLock::new();
        BUILT.get_or_init(Self::build).clone()
    }

    fn build() -> Result<Self, String> {
        let document = openapi::document();
        Ok(Self {
            routes_table: web::Data::new(Routes::of(&document, rls::OWN_READERS)?),
            published: web::Data::new(openapi::Published::new(&document)?),
            docs: web::Data::new(Docs::new(&document)),
        })
    }
}

impl Server {
    /// Binds the address and starts the background jobs. The schema must be current.
    ///
    /// # Errors
    /// A text for the operator.
    pub fn bind(env: Env, threads: usize) -> Result<Self, String> {
        let keys = accounts::Keys::new(&env)?;
        let (listener, addr) = bind(env.config.settings.listen_addr)?;
        let Documented { routes_table, published, docs } = Documented::get()?;
        let (data, keys) = (web::Data::new(env.clone()), web::Data::new(keys));
        let (stop, stopping) = watch::channel(false);
        let (queue, auditing) = audit::worker::start(&env, stopping.clone());
        let queue = web::Data::new(queue);
        let settings = &env.config.settings;
        let limiter = Limiter::new(settings.rate_limits);
        let shared_limiter = web::Data::new(limiter.clone());
        let (feed, numbering) = events::numbering::start(&env, stopping.clone());
        let feed = web::Data::new(feed);
        let public = web::Data::new(http::operations::Public);
        let origins = settings.cors_origins.clone();
        let app = move || {
            App::new()
                .app_data(data.clone())
                // For the handlers that take the bytes of a body. Pages set less.
                .app_data(web::PayloadConfig::new(BODY_LIMIT))
                .app_data(keys.clone())
                .app_data(routes_table.clone())
                .app_data(published.clone())
                .app_data(docs.clone())
                .app_data(shared_limiter.clone())
                .app_data(queue.clone())
                .app_data(feed.clone())
                .app_data(public.clone())
                .wrap(from_fn(http::middleware::reject_unknown_methods_and_parameters))
                .wrap(from_fn(accounts::caller::identify))
                .wrap(from_fn(audit::middleware::record_request))
                .wrap(Condition::new(!origins.is_empty(), http::cors::cors(&origins)))
                .wrap(from_fn(http::cors::reject_unlisted_origin))
                .wrap(from_fn(crate::web::explain))
                .wrap(from_fn(http::middleware::wrap))
                .configure(|served| routes(&mut Endpoints::served(served)))
                .configure(crate::web::routes)
                .service(web::resource("/openapi.json").get(openapi::serve))
                .default_service(web::to(crate::web::nowhere))
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
        let probes = settings.health_addr.map(|addr| probes::serve(&env, addr)).transpose()?;
        let rejection_log = rejection_log::start(&env.metrics, stopping.clone());
        limiter.start_cleaning(stopping.clone());
        let mailing = messages::worker::start(&env, stopping.clone())?;
        let delivering = webhooks::worker::start(&env, stopping.clone())?;
        scheduling::hours::publishing::start(&env, stopping.clone());
        appointments::zone_changes::scanning::start(&env, stopping.clone());
        appointments::reminders::sending::start(&env, stopping.clone());
        patients::access::coming_of_age::start(&env, stopping.clone());
        intake::follow_up::asking::start(&env, stopping.clone());
        intake::due::start(&env, stopping.clone());
        waitlist::job::start(&env, stopping.clone());
        crate::context::start_purge(&env, stopping.clone());
        accounts::purge::start(&env, stopping.clone());
        privacy::retention::start(&env, stopping.clone());
        db::check::start(&env.db, &env.config.target, stopping);
        let at_once = Arc::new(Notify::new());
        Ok(Self { addr, env, http, probes, stop, at_once, mailing, delivering, auditing, numbering, rejection_log })
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
        let Self { http, probes, stop, at_once, mailing, delivering, auditing, numbering, rejection_log, env, .. } =
            self;
        let probes = probes.map(|probes| (probes.handle(), actix_web::rt::spawn(probes)));
        let mut result = Ok(());
        let ended = async {
            result = http.await;
            let _ = stop.send(true);
            let _ = mailing.await;
            let _ = delivering.await;
        };
        let stops_at_once = tokio::select! {
            () = ended => false,
            () = at_once.notified() => true,
        };
        let _ = stop.send(true);
        let stored = async {
            let _ = auditing.await;
            let _ = numbering.await;
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

/// Raises the limit of open files to what connections may need, and warns if the system allows fewer.
fn check_open_files(settings: &Settings, threads: usize) {
    let connections = settings.max_connections as usize + threads * HEADROOM;
    let probes = probes::MAX_CONNECTIONS + HEADROOM;
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
