//! A listener with an application behind it: what actix-web's `HttpServer` does, with each socket guarded, which it has no
//! place for.

use std::fmt::Debug;
use std::future::ready;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Request, Response};
use actix_server::Server;
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::body::MessageBody;
use actix_web::dev::AppConfig;
use actix_web::rt::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::connection::{self, Guarded};
use super::connections::Connections;
use crate::telemetry::Metrics;

/// How many connections each worker takes beyond its share of those that may be open: new ones, for which room is being made,
/// and closed ones, which take a moment to go.
pub const HEADROOM: usize = 64;

/// How a listener serves.
pub struct Serving {
    /// Threads that serve.
    pub threads: usize,
    /// Seconds that requests in flight are given at the end.
    pub patience: u16,
    /// The bounds on connections.
    pub connections: Connections,
    /// What counts requests that cannot be read.
    pub metrics: Arc<Metrics>,
}

/// Serves an application on a listener.
///
/// # Errors
/// The socket's, or an application's that cannot be built.
pub fn start<F, I, S, B>(listener: TcpListener, serving: Serving, app: F) -> std::io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<actix_web::Error> + 'static,
    S::InitError: Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as actix_service::Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let Serving { threads, patience, connections, metrics } = serving;
    let addr = listener.local_addr()?;
    let builder = Server::build()
        .workers(threads)
        // The bound is enforced after a connection is taken, by closing another one. This one only stops a rush.
        .max_concurrent_connections(connections.most().div_ceil(threads) + HEADROOM)
        .shutdown_timeout(u64::from(patience))
        .disable_signals();
    let draining = builder.graceful_shutdown_signal();
    let serve = move || {
        let draining = draining.clone();
        let app = app().into_factory().map_err(|error| error.into().error_response());
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
        let (connections, metrics) = (connections.clone(), Arc::clone(&metrics));
        fn_service(move |socket: TcpStream| {
            let peer = socket.peer_addr().ok();
            let place = connections.admit(peer.map(|peer| peer.ip()));
            ready(match place {
                Some(place) => Ok((Guarded::new(socket, place), peer)),
                None => Err(DispatchError::Io(std::io::ErrorKind::ConnectionRefused.into())),
            })
        })
        .and_then(http)
        .map_err(move |error| {
            if matches!(error, DispatchError::Parse(_)) {
                metrics.requests_malformed.inc();
            }
            error
        })
    };
    Ok(builder.listen("http", listener, serve)?.run())
}

/// How often the log says that callers were turned away.
const TELLING: Duration = Duration::from_mins(1);

/// Tells the log how many callers were turned away before they had a request that a line of its own could name: at most once
/// a minute and at the end, since anybody can make as many of them as they like.
pub fn start_telling(metrics: &Arc<Metrics>, mut stopping: watch::Receiver<bool>) -> JoinHandle<()> {
    let metrics = Arc::clone(metrics);
    actix_web::rt::spawn(async move {
        let mut told = [0; 3];
        loop {
            let is_over = tokio::select! {
                () = tokio::time::sleep(TELLING) => false,
                _ = stopping.changed() => true,
            };
            let Metrics { requests_malformed, connections_evicted, connections_refused, .. } = &*metrics;
            let counted = [requests_malformed.get(), connections_evicted.get(), connections_refused.get()];
            if counted != told {
                let [malformed, evicted, refused] = [0, 1, 2].map(|at| counted[at] - told[at]);
                tracing::warn!(malformed, evicted, refused, "callers were turned away before they had a request");
                told = counted;
            }
            if is_over {
                return;
            }
        }
    })
}
