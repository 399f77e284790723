//! What the operator sees: structured logs and metrics. Neither ever holds a patient's data.

use std::io::IsTerminal;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tracing_subscriber::EnvFilter;

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// The HTTP library writes a line for each request that it cannot read, so that anybody could fill the log. They are counted
/// instead (`requests_malformed`), and the log has their number once a minute.
const QUIET: &str = "actix_http::h1::dispatcher=off";

/// Sends the log to standard error. `RUST_LOG` filters; the default is `info`.
pub fn init(format: LogFormat) {
    let wanted = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|wanted| !wanted.is_empty());
    // The most precise name wins, and of two alike the later one: `RUST_LOG` can switch the library's lines on.
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

/// Labels of a request's duration. The route is the pattern, never the path: paths hold ids.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RequestLabels {
    /// The HTTP method.
    pub method: &'static str,
    /// The route's pattern, such as `/v1/patients/{id}`.
    pub route: String,
    /// The status code.
    pub status: u16,
}

/// Labels of the outbox's depth.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct MessageLabels {
    /// The message's status.
    pub status: String,
}

/// Every figure the service counts.
pub struct Metrics {
    registry: Registry,
    /// Seconds a request took.
    pub http_duration: Family<RequestLabels, Histogram, fn() -> Histogram>,
    /// Pooled database connections at work.
    pub db_in_use: Gauge,
    /// Transactions waiting for SQLite's writer.
    pub db_write_queue: Gauge,
    /// Transactions that shared one commit.
    pub db_batch_size: Histogram,
    /// 1 once damage of the database was found.
    pub db_damaged: Gauge,
    /// Into how many pieces the check of the SQLite file is cut, …
    pub db_check_pieces: Gauge,
    /// … and how many of them the present or last round has done.
    pub db_check_done: Gauge,
    /// Messages by status, as last counted.
    pub outbox: Family<MessageLabels, Gauge>,
    /// The age of the oldest due message in seconds, as last counted.
    pub outbox_oldest: Gauge<f64, AtomicU64>,
    /// Log-ins and the like that wait for a place at the password hash.
    pub password_waiting: Gauge,
    /// Requests that ended in a fault.
    pub faults: Counter,
    /// Connections that are open.
    pub connections: Gauge,
    /// Connections that were closed to make room for others.
    pub connections_evicted: Counter,
    /// New connections that were closed at once, as there was no room.
    pub connections_refused: Counter,
    /// Requests that could not be read.
    pub requests_malformed: Counter,
    /// Audit events that wait to be written.
    pub audit_waiting: Gauge,
    /// The age of the oldest audit event without a seal in seconds, as last looked.
    pub audit_seal_lag: Gauge<f64, AtomicU64>,
    /// The place of the newest seal of the audit trail. It never falls.
    pub audit_sealed: Gauge,
}

fn request_seconds() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
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
            password_waiting: Gauge::default(),
            faults: Counter::default(),
            connections: Gauge::default(),
            connections_evicted: Counter::default(),
            connections_refused: Counter::default(),
            requests_malformed: Counter::default(),
            audit_waiting: Gauge::default(),
            audit_seal_lag: Gauge::default(),
            audit_sealed: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register_with_unit(
            "http_request_duration",
            "Time to answer, by route",
            Unit::Seconds,
            metrics.http_duration.clone(),
        );
        registry.register("db_connections_in_use", "Pooled connections at work", metrics.db_in_use.clone());
        registry.register("db_write_queue", "Transactions waiting for the writer", metrics.db_write_queue.clone());
        registry.register("db_batch_size", "Transactions that shared a commit", metrics.db_batch_size.clone());
        registry.register("db_damaged", "1 once damage of the database was found", metrics.db_damaged.clone());
        registry.register("db_check_pieces", "Pieces of a check of the file", metrics.db_check_pieces.clone());
        registry.register("db_check_done", "Pieces done in this round", metrics.db_check_done.clone());
        registry.register("outbox_messages", "Messages by status", metrics.outbox.clone());
        registry.register_with_unit(
            "outbox_oldest_due",
            "Age of the oldest due message",
            Unit::Seconds,
            metrics.outbox_oldest.clone(),
        );
        registry.register("password_hash_waiting", "Requests waiting to hash", metrics.password_waiting.clone());
        registry.register("faults", "Requests that ended in a fault", metrics.faults.clone());
        registry.register("connections_open", "Connections that are open", metrics.connections.clone());
        registry.register(
            "connections_evicted",
            "Connections closed to make room for others",
            metrics.connections_evicted.clone(),
        );
        registry.register(
            "connections_refused",
            "New connections closed for want of room",
            metrics.connections_refused.clone(),
        );
        registry.register("requests_malformed", "Requests that could not be read", metrics.requests_malformed.clone());
        registry.register("audit_events_waiting", "Audit events to be written", metrics.audit_waiting.clone());
        registry.register_with_unit(
            "audit_seal_lag",
            "Age of the oldest audit event without a seal",
            Unit::Seconds,
            metrics.audit_seal_lag.clone(),
        );
        registry.register("audit_sealed", "The place of the newest seal", metrics.audit_sealed.clone());
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
