//! Structured logs and metrics for the operator. Neither has patient data.

use std::io::IsTerminal;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tracing_subscriber::EnvFilter;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line, for collectors.
    Json,
}

/// The HTTP library logs a line for each request that it cannot parse, so any client could fill the log. These requests
/// are counted instead (`requests_malformed`), and their number is logged once a minute.
const QUIET: &str = "actix_http::h1::dispatcher=off";

/// Sends the log to standard error. `RUST_LOG` filters; the default is `info`.
pub fn init(format: LogFormat) {
    let wanted = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|wanted| !wanted.is_empty());
    // The most precise filter wins, and the later one of two equal ones. So `RUST_LOG` can turn the library's lines on.
    let filter = EnvFilter::try_new(format!("{QUIET},{}", wanted.as_deref().unwrap_or("info")))
        .unwrap_or_else(|_| EnvFilter::new(format!("{QUIET},info")));
    let ansi = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(std::io::stderr);
    // A second call, as in tests, changes nothing.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(true).try_init(),
    };
}

/// Labels of a request's duration. The route is the pattern and never the path, because paths have ids.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RequestLabels {
    /// The HTTP method.
    pub method: &'static str,
    /// The route's pattern, such as `/v1/patients/{id}`.
    pub route: String,
    /// The status code.
    pub status: u16,
}

/// Labels of the number of messages.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct MessageLabels {
    /// The message's status.
    pub status: String,
}

/// Labels of the number of webhooks.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct WebhookLabels {
    /// `active`, `failing` or `paused`.
    pub status: &'static str,
}

/// Labels of the number of attempts to deliver an event.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct WebhookOutcome {
    /// `delivered` or `failed`.
    pub outcome: &'static str,
}

impl WebhookOutcome {
    pub fn of(is_delivered: bool) -> Self {
        Self { outcome: if is_delivered { "delivered" } else { "failed" } }
    }
}

/// All metrics of the service.
pub struct Metrics {
    registry: Registry,
    /// Duration of requests in seconds.
    pub http_duration: Family<RequestLabels, Histogram, fn() -> Histogram>,
    /// Pooled database connections in use.
    pub db_in_use: Gauge,
    /// Transactions waiting for SQLite's writer.
    pub db_write_queue: Gauge,
    /// Transactions that share one commit.
    pub db_batch_size: Histogram,
    /// 1 after damage of the database was found.
    pub db_damaged: Gauge,
    /// Number of pieces in a check of the SQLite file.
    pub db_check_pieces: Gauge,
    /// Pieces that the current or last check has done.
    pub db_check_done: Gauge,
    /// Messages by status, as last counted.
    pub outbox: Family<MessageLabels, Gauge>,
    /// Age of the oldest due message in seconds, as last counted.
    pub outbox_oldest: Gauge<f64, AtomicU64>,
    /// Webhooks by status, as last counted.
    pub webhooks: Family<WebhookLabels, Gauge>,
    /// Events that the active webhook which is furthest behind does not have yet, as last counted.
    pub webhook_lag: Gauge,
    /// Attempts to deliver an event by outcome.
    pub webhook_attempts: Family<WebhookOutcome, Counter>,
    /// Sign-ins and other requests that wait to hash a password.
    pub password_waiting: Gauge,
    /// Passwords hashed, or compared with a hash.
    pub password_hashes: Counter,
    /// Requests that were rejected because too many waited to hash a password.
    pub password_hashes_refused: Counter,
    /// Requests that failed with a fault of the service.
    pub faults: Counter,
    /// Appointments that staff placed into the time of others.
    pub overbookings: Counter,
    /// Open connections.
    pub connections: Gauge,
    /// Connections that were closed to make room for others.
    pub connections_evicted: Counter,
    /// New connections that were closed at once, because there was no room.
    pub connections_refused: Counter,
    /// Requests that could not be parsed.
    pub requests_malformed: Counter,
    /// Responses with 429 or 503 without a log line.
    pub requests_limited: Counter,
    /// Audit events that wait to be stored.
    pub audit_waiting: Gauge,
    /// Age of the oldest audit event without a seal in seconds, as last checked.
    pub audit_seal_lag: Gauge<f64, AtomicU64>,
    /// The place of the newest seal of the audit trail. It never decreases.
    pub audit_sealed: Gauge,
    /// Committed audit events that the database did not have.
    pub audit_missing: Counter,
    /// Triggers and rules of the audit tables that differ from the migrations.
    pub audit_triggers_changed: Gauge,
}

fn request_seconds() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
}

fn register_audit(registry: &mut Registry, metrics: &Metrics) {
    registry.register("audit_events_waiting", "Audit events that wait to be stored", metrics.audit_waiting.clone());
    registry.register_with_unit(
        "audit_seal_lag",
        "Age of the oldest audit event without a seal",
        Unit::Seconds,
        metrics.audit_seal_lag.clone(),
    );
    registry.register("audit_sealed", "The place of the newest seal", metrics.audit_sealed.clone());
    registry.register(
        "audit_events_missing",
        "Committed audit events that the database did not have",
        metrics.audit_missing.clone(),
    );
    registry.register(
        "audit_triggers_changed",
        "Triggers and rules of the audit tables that differ from the migrations",
        metrics.audit_triggers_changed.clone(),
    );
}

fn register_webhooks(registry: &mut Registry, metrics: &Metrics) {
    registry.register("webhooks", "Webhooks by status", metrics.webhooks.clone());
    registry.register(
        "webhook_lag_events",
        "Events that the active webhook which is furthest behind does not have yet",
        metrics.webhook_lag.clone(),
    );
    registry.register("webhook_attempts", "Attempts to deliver an event by outcome", metrics.webhook_attempts.clone());
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("legwork");
        let metrics = Self {
            http_duration: Family::new_with_constructor(request_seconds as fn() -> Histogram),
            db_in_use: Gauge::default(),
            db_write_queue: Gauge::default(),
            db_batch_size: Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]),
            db_damaged: Gauge::default(),
            db_check_pieces: Gauge::default(),
            db_check_done: Gauge::default(),
            outbox: Family::default(),
            outbox_oldest: Gauge::default(),
            webhooks: Family::default(),
            webhook_lag: Gauge::default(),
            webhook_attempts: Family::default(),
            password_waiting: Gauge::default(),
            password_hashes: Counter::default(),
            password_hashes_refused: Counter::default(),
            faults: Counter::default(),
            overbookings: Counter::default(),
            connections: Gauge::default(),
            requests_limited: Counter::default(),
            connections_evicted: Counter::default(),
            connections_refused: Counter::default(),
            requests_malformed: Counter::default(),
            audit_waiting: Gauge::default(),
            audit_seal_lag: Gauge::default(),
            audit_sealed: Gauge::default(),
            audit_missing: Counter::default(),
            audit_triggers_changed: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register_with_unit(
            "http_request_duration",
            "Duration of requests by route",
            Unit::Seconds,
            metrics.http_duration.clone(),
        );
        registry.register("db_connections_in_use", "Pooled connections in use", metrics.db_in_use.clone());
        registry.register(
            "db_write_queue",
            "Transactions that wait for SQLite's writer",
            metrics.db_write_queue.clone(),
        );
        registry.register("db_batch_size", "Transactions that share a commit", metrics.db_batch_size.clone());
        registry.register("db_damaged", "1 after damage of the database was found", metrics.db_damaged.clone());
        registry.register("db_check_pieces", "Pieces of a check of the SQLite file", metrics.db_check_pieces.clone());
        registry.register("db_check_done", "Pieces that the current check has done", metrics.db_check_done.clone());
        registry.register("outbox_messages", "Messages by status", metrics.outbox.clone());
        registry.register_with_unit(
            "outbox_oldest_due",
            "Age of the oldest due message",
            Unit::Seconds,
            metrics.outbox_oldest.clone(),
        );
        registry.register(
            "password_hash_waiting",
            "Requests that wait to hash a password",
            metrics.password_waiting.clone(),
        );
        registry.register("password_hashes", "Passwords hashed or compared", metrics.password_hashes.clone());
        registry.register(
            "password_hashes_refused",
            "Requests rejected because too many waited to hash a password",
            metrics.password_hashes_refused.clone(),
        );
        registry.register(
            "overbookings",
            "Appointments that staff placed into the time of others",
            metrics.overbookings.clone(),
        );
        registry.register("faults", "Requests that failed with a fault of the service", metrics.faults.clone());
        registry.register("connections_open", "Open connections", metrics.connections.clone());
        registry.register(
            "connections_evicted",
            "Connections closed to make room for others",
            metrics.connections_evicted.clone(),
        );
        registry.register(
            "connections_refused",
            "New connections closed because there was no room",
            metrics.connections_refused.clone(),
        );
        registry.register(
            "requests_malformed",
            "Requests that could not be parsed",
            metrics.requests_malformed.clone(),
        );
        registry.register(
            "requests_limited",
            "Responses with 429 or 503 without a log line",
            metrics.requests_limited.clone(),
        );
        register_audit(&mut registry, &metrics);
        register_webhooks(&mut registry, &metrics);
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// The exposition in OpenMetrics text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
