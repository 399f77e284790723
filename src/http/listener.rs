//! A listener with an application. It does what actix-web's `HttpServer` does, and wraps each socket, which
//! `HttpServer` does not support.

use std::fmt::Debug;
use std::future::ready;
use std::net::TcpListener;
use std::sync::Arc;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Request, Response};
use actix_server::Server;
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::body::MessageBody;
use actix_web::dev::AppConfig;
use actix_web::rt::net::TcpStream;

use super::connection::{self, LimitedSocket};
use super::connections::Connections;
use crate::telemetry::Metrics;

/// How many connections each worker accepts beyond its share of the limit: new ones while room is made, and closed ones
/// that take a moment to end.
pub const HEADROOM: usize = 64;

pub struct ServeOptions {
    /// The number of worker threads.
    pub threads: usize,
    /// How many seconds requests in progress have at the end.
    pub shutdown_seconds: u16,
    /// The limits on connections.
    pub connections: Connections,
    /// The metrics that count unparsable requests.
    pub metrics: Arc<Metrics>,
}

/// Serves an application on a listener.
///
/// # Errors
/// Those of the socket, or of an application that cannot be built.
pub fn start<F, I, S, B>(listener: TcpListener, options: ServeOptions, app: F) -> std::io::Result<Server>
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
    let ServeOptions { threads, shutdown_seconds, connections, metrics } = options;
    let addr = listener.local_addr()?;
    let builder = Server::build()
        .workers(threads)
        // The limit is enforced after a connection is accepted, by closing another one. This value only slows a rush.
        .max_concurrent_connections(connections.max().div_ceil(threads) + HEADROOM)
        .shutdown_timeout(u64::from(shutdown_seconds))
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
            .client_request_timeout(connection::HEAD_LIMIT)
            .client_disconnect_timeout(connection::LINGER)
            .local_addr(addr)
            .on_connect_ext(|socket: &LimitedSocket, data| {
                data.insert(socket.progress());
            })
            .h1(map_config(app, |()| AppConfig::default()));
        let (connections, metrics) = (connections.clone(), Arc::clone(&metrics));
        fn_service(move |socket: TcpStream| {
            let peer = socket.peer_addr().ok();
            let place = connections.admit(peer.map(|peer| peer.ip()));
            ready(match place {
                Some(place) => Ok((LimitedSocket::new(socket, place), peer)),
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
