//! The background job that finds endpoints with something to get, and delivers to each in a task of its own. A slow receiver delays no
//! other.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::sending::Sender;
use super::{delivering, store, summary};
use crate::env::Env;
use crate::error::Result;
use crate::ids::WebhookId;
use crate::periodic::stopped;
use crate::telemetry::WebhookLabels;

/// How often the job looks for due endpoints. Other instances do not wake this one.
const INTERVAL: Duration = Duration::from_secs(1);
/// The pause after a change, in which its event gets its number.
const PAUSE: Duration = Duration::from_millis(150);
/// How often the metrics are updated.
const METRICS_INTERVAL: Duration = Duration::from_secs(15);
/// How long attempts may continue after the service was told to stop. An event whose attempt is cut off is sent again.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// The tasks that deliver, by endpoint.
type Tasks = HashMap<WebhookId, JoinHandle<()>>;

/// Starts the job. It ends at most some seconds after `stopping`.
///
/// # Errors
/// A text for the operator.
pub fn start(env: &Env, mut stopping: watch::Receiver<bool>) -> Result<JoinHandle<()>, String> {
    let (env, sender) = (env.clone(), Sender::new(&env.config.settings)?);
    Ok(tokio::spawn(async move {
        let (mut tasks, mut counted) = (Tasks::new(), None::<Instant>);
        let mut written = env.written.subscribe();
        loop {
            if counted.is_none_or(|at| at.elapsed() >= METRICS_INTERVAL) {
                counted = Some(Instant::now());
                update_metrics(&env).await;
            }
            if let Err(error) = begin(&env, &sender, &mut tasks, &stopping).await {
                tracing::warn!(%error, "due webhooks could not be read");
            }
            tokio::select! {
                biased;
                () = stopped(&mut stopping) => break,
                _ = written.changed() => tokio::time::sleep(PAUSE).await,
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
        let handles: Vec<_> = tasks.values().map(JoinHandle::abort_handle).collect();
        if tokio::time::timeout(SHUTDOWN_LIMIT, join_all(tasks.into_values())).await.is_err() {
            handles.iter().for_each(tokio::task::AbortHandle::abort);
        }
    }))
}

/// Begins to deliver to each due endpoint that has no task yet.
async fn begin(env: &Env, sender: &Sender, tasks: &mut Tasks, stopping: &watch::Receiver<bool>) -> Result<()> {
    tasks.retain(|_, task| !task.is_finished());
    let now = env.now();
    for id in env.db.read(move |conn| store::due(conn, now)).await? {
        tasks.entry(id).or_insert_with(|| {
            let (env, sender, stopping) = (env.clone(), sender.clone(), stopping.clone());
            tokio::spawn(async move {
                if let Err(error) = delivering::deliver(&env, &sender, id, &stopping).await {
                    tracing::warn!(webhook = %id, %error, "the deliveries of a webhook were interrupted");
                }
            })
        });
    }
    Ok(())
}

async fn update_metrics(env: &Env) {
    let Ok(summary) = env.db.read(summary::read).await else { return };
    for (status, count) in [("active", summary.active), ("failing", summary.failing), ("paused", summary.paused)] {
        env.metrics.webhooks.get_or_create(&WebhookLabels { status }).set(count);
    }
    env.metrics.webhook_lag.set(summary.lag);
}
