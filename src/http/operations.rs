//! Endpoints for the operator's tools: liveness, readiness and metrics.

use std::sync::atomic::Ordering;

use actix_web::{HttpResponse, get, web};
use diesel::prelude::*;
use serde_json::json;

use super::address::ClientAddress;
use super::endpoints::Endpoints;
use super::problem::{ProblemBuilder, Rejected};
use crate::env::Env;
use crate::error::{Error, Result};

/// Marks the listener of `LISTEN_ADDR`, which everyone may reach. That of `HEALTH_ADDR` has no such mark.
pub struct Public;

/// Registers the endpoints.
pub fn routes(endpoints: &mut Endpoints) {
    endpoints.service(live).service(ready).service(metrics);
}

/// Check whether the process is alive
///
/// Always 200 while the process responds. It checks nothing else.
#[utoipa::path(
    tag = "operations",
    operation_id = "get_liveness",
    responses((status = 200, description = "Alive", body = Health, example = json!({"status": "alive"}))),
)]
#[get("/health/live")]
async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "alive"}))
}

/// Check whether the service accepts requests
///
/// 200 while the database responds and is not known to be damaged, audit events are stored and kept, and no shutdown has
/// begun. Otherwise 503 with the reason in `detail`.
#[utoipa::path(
    tag = "operations",
    operation_id = "get_readiness",
    responses((status = 200, description = "Ready", body = Health, example = json!({"status": "ready"}))),
)]
#[get("/health/ready")]
async fn ready(env: web::Data<Env>) -> Result<HttpResponse, actix_web::Error> {
    if !env.accepting.load(Ordering::Relaxed) {
        return Err(Rejected(ProblemBuilder::not_ready("The service is shutting down.")).into());
    }
    if let Some(fault) = env.audit.fault() {
        return Err(Rejected(ProblemBuilder::not_ready(fault)).into());
    }
    env.db.read(|conn| Ok(diesel::select(1.into_sql::<diesel::sql_types::Integer>()).get_result::<i32>(conn)?)).await?;
    Ok(HttpResponse::Ok().json(json!({"status": "ready"})))
}

/// Read the metrics
///
/// OpenMetrics text: durations by route, connection pools, the writer's queue, the outbox. It has no personal data. Only clients that the
/// operator names may read it (`METRICS_CLIENTS`, by default those on the same machine).
#[utoipa::path(
    tag = "operations",
    operation_id = "get_metrics",
    responses((status = 200, description = "The metrics", body = String, content_type = "application/openmetrics-text",
        example = json!("legwork_db_write_queue 0")),
        (status = 404, description = "`not_found`: the operator does not let this client read them")),
)]
#[get("/metrics")]
async fn metrics(
    env: web::Data<Env>,
    client: ClientAddress,
    audience: Option<web::Data<Public>>,
) -> Result<HttpResponse> {
    let named = env.config.settings.metrics_clients.as_ref();
    let may_see = named.map_or_else(|| client.0.is_loopback(), |clients| clients.contains(client.0));
    if audience.is_some() && !may_see {
        return Err(Error::NotFound);
    }
    Ok(HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(env.metrics.render()))
}

/// The state of the service.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({"status": "ready"}))]
pub struct Health {
    /// `alive` or `ready`.
    pub status: String,
}
