//! Serves the health checks and metrics on an address of their own.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::middleware::from_fn;
use actix_web::{App, web};

use crate::env::Env;
use crate::http;
use crate::http::Endpoints;
use crate::http::connections::Connections;
use crate::http::listener::{self, ServeOptions};
use crate::http::problem::ProblemBuilder;

/// The maximum number of connections.
pub(super) const MAX_CONNECTIONS: usize = 64;
/// The maximum number of connections of one client, so that no client keeps a load balancer out.
const MAX_CONNECTIONS_OF_CLIENT: usize = 16;

/// Serves only the health checks and metrics, on a thread of its own. Load on the main address does not delay them.
pub(super) fn serve(env: &Env, listen: SocketAddr) -> Result<actix_server::Server, String> {
    let (listener, addr) = super::bind(listen)?;
    let data = web::Data::new(env.clone());
    let app = move || {
        App::new()
            .app_data(data.clone())
            .wrap(from_fn(http::middleware::wrap))
            .configure(|served| http::operations::routes(&mut Endpoints::served(served)))
            .default_service(web::to(async || ProblemBuilder::no_route().into_response()))
    };
    let connections = Connections::new(MAX_CONNECTIONS, MAX_CONNECTIONS_OF_CLIENT, None, Arc::default());
    let options = ServeOptions { threads: 1, shutdown_seconds: 0, connections, metrics: Arc::clone(&env.metrics) };
    let server = listener::start(listener, options, app).map_err(|error| format!("listen on {addr}: {error}"))?;
    tracing::info!(probes = %addr, "health checks are served");
    Ok(server)
}
