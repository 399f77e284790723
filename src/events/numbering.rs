//! The background job that numbers events after their commit, and hands new ones to this instance's streams.
//!
//! A transaction cannot number its own event: two that run together would wait for each other, or leave a gap when one is rolled back.
//! Each instance runs the job, and on PostgreSQL a lock lets one of them number at a time. It takes all committed events without a
//! number, however late they were committed, in the order of their ids. The rows of one subject have ids in the order of its changes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::feed::{Batch, Feed};
use super::store;
use crate::env::Env;
use crate::error::Result;
use crate::periodic::stopped;

/// How often the job looks for events of other processes, and how often if a stream is open.
const INTERVAL: Duration = Duration::from_secs(1);
const INTERVAL_WITH_STREAMS: Duration = Duration::from_millis(400);
/// The pause after each run, so that many changes are numbered together.
const PAUSE: Duration = Duration::from_millis(50);

/// Starts the job. It ends after `stopping`. The database must not be closed before.
pub fn start(env: &Env, mut stopping: watch::Receiver<bool>) -> (Feed, JoinHandle<()>) {
    let (env, feed) = (env.clone(), Feed::new(env.config.settings.max_connections as usize));
    let own = feed.clone();
    let job = tokio::spawn(async move {
        // Up to which number the streams were told; none while no stream is open.
        let mut told = None;
        let mut written = env.written.subscribe();
        loop {
            let is_read = feed.has_streams();
            if let Err(error) = number(&env).await {
                tracing::warn!(%error, "events could not be numbered");
            }
            if let Err(error) = tell(&env, &feed, &mut told).await {
                tracing::warn!(%error, "events could not be read");
            }
            let interval = if is_read { INTERVAL_WITH_STREAMS } else { INTERVAL };
            tokio::select! {
                biased;
                () = stopped(&mut stopping) => return,
                _ = written.changed() => tokio::time::sleep(PAUSE).await,
                () = tokio::time::sleep(interval) => {}
            }
        }
    });
    (own, job)
}

/// Numbers until no event waits.
async fn number(env: &Env) -> Result<()> {
    while env.db.read(store::is_waiting).await? {
        let now = env.now();
        if env.db.write(move |tx| store::number(tx, now)).await? == 0 {
            return Ok(());
        }
    }
    Ok(())
}

/// Reads new events once for all streams.
async fn tell(env: &Env, feed: &Feed, told: &mut Option<i64>) -> Result<()> {
    if !feed.has_streams() {
        *told = None;
        return Ok(());
    }
    let Some(mut last) = *told else {
        // The streams that were opened until now have read up to here, or see from the empty batch that they have not.
        let newest = env.db.read(store::newest).await?;
        feed.send(Batch { after: newest, through: newest, events: Vec::new() });
        *told = Some(newest);
        return Ok(());
    };
    loop {
        let part = env.db.read(move |conn| store::after(conn, Some(last), &[], store::BATCH)).await;
        let part = match part {
            Ok(part) => part,
            Err(error) => {
                *told = None;
                return Err(error);
            }
        };
        if part.through > last {
            feed.send(Batch {
                after: last,
                through: part.through,
                events: part.events.into_iter().map(Arc::new).collect(),
            });
        }
        last = part.through;
        *told = Some(last);
        if part.through >= part.newest {
            return Ok(());
        }
    }
}
