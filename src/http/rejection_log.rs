//! Logs counts of rejected connections and requests.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::telemetry::Metrics;

/// How often rejected connections and requests are logged.
const REJECTION_LOG_INTERVAL: Duration = Duration::from_mins(1);

/// Logs how many connections and requests were rejected without a log line of their own. At most once a minute and at
/// the end, because clients can cause any number of them.
pub fn start(metrics: &Arc<Metrics>, mut stopping: watch::Receiver<bool>) -> JoinHandle<()> {
    let metrics = Arc::clone(metrics);
    actix_web::rt::spawn(async move {
        let mut logged = [0; 4];
        loop {
            let is_stopping = tokio::select! {
                () = tokio::time::sleep(REJECTION_LOG_INTERVAL) => false,
                _ = stopping.changed() => true,
            };
            let Metrics { requests_malformed, connections_evicted, connections_refused, requests_limited, .. } =
                &*metrics;
            let counted = [requests_malformed, connections_evicted, connections_refused, requests_limited]
                .map(prometheus_client::metrics::counter::Counter::get);
            if counted != logged {
                let [malformed, evicted, refused, limited] = [0, 1, 2, 3].map(|at| counted[at] - logged[at]);
                tracing::warn!(
                    malformed,
                    evicted,
                    refused,
                    limited,
                    "connections or requests were rejected without a log line of their own"
                );
                logged = counted;
            }
            if is_stopping {
                return;
            }
        }
    })
}
