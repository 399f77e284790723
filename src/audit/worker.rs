//! The background job of the audit trail. It stores the events of the queue together, several times a second, seals new events and
//! checks the trail.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::anonymous::{AnonymousEvents, merge_repeats};
use super::model::Event;
use super::patient_ids::PatientIds;
use super::queue::Queue;
use super::seal::{Head, LATE, VERY_LATE};
use super::sealing::seal_all;
use super::store;
use super::watch::Committed;
use super::watch_check::check;
use crate::env::Env;
use crate::periodic::stopped;

/// How many events one statement stores. PostgreSQL takes 65,535 values.
const BATCH: usize = 500;
/// How many shown patients one transaction stores, except for the last page. On SQLite other writers wait for it.
const BATCH_SHOWN: usize = 5_000;
/// How often the queue is emptied.
const FLUSH_INTERVAL: Duration = Duration::from_millis(250);
/// The greatest age of an event that the database does not store. Readiness ends when one is older.
const STORED_WITHIN: jiff::SignedDuration = jiff::SignedDuration::from_secs(30);
/// How often new events are sealed.
const SEAL_INTERVAL: Duration = Duration::from_secs(1);
/// How often the worker looks for events that were committed very late, and logs the head of the chain if it has
/// changed.
const LATE_SCAN_INTERVAL: Duration = Duration::from_mins(1);
/// How often the worker tries to store the last events when the service stops.
const FINAL_ATTEMPTS: usize = 5;

/// Starts the worker. It ends after `stopping`, when all waiting events are stored and sealed.
pub fn start(env: &Env, mut stopping: watch::Receiver<bool>) -> (Queue, JoinHandle<()>) {
    let (queue, receiver) = Queue::new();
    let mut worker = Worker {
        env: env.clone(),
        receiver,
        unstored: Vec::new(),
        anonymous: AnonymousEvents::default(),
        sealed: None,
        late_scan: None,
        logged_head: None,
    };
    let handle = tokio::spawn(async move {
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stopping) => break,
                () = tokio::time::sleep(FLUSH_INTERVAL) => worker.tick().await,
            }
        }
        worker.end().await;
    });
    (queue, handle)
}

struct Worker {
    env: Env,
    receiver: mpsc::Receiver<Event>,
    /// Events that could not be stored yet.
    unstored: Vec<Event>,
    anonymous: AnonymousEvents,
    sealed: Option<Instant>,
    /// When the worker last looked for events that were committed very late.
    late_scan: Option<Instant>,
    /// The head that was logged last.
    logged_head: Option<Head>,
}

impl Worker {
    async fn tick(&mut self) {
        self.unstored.extend(self.anonymous.counted(&self.env.signer, self.env.now()));
        self.flush().await;
        if self.sealed.is_none_or(|at| at.elapsed() >= SEAL_INTERVAL) {
            self.sealed = Some(Instant::now());
            self.seal().await;
        }
    }

    /// Stores all waiting events. Returns false if the database did not take all of them.
    async fn flush(&mut self) -> bool {
        loop {
            let count = |event: &Event| event.shown.as_ref().map_or(0, PatientIds::count);
            let mut shown: usize = self.unstored.iter().map(count).sum();
            let mut new = Vec::new();
            while self.unstored.len() + new.len() < BATCH
                && shown < BATCH_SHOWN
                && let Ok(event) = self.receiver.try_recv()
            {
                shown += count(&event);
                new.push(event);
            }
            let signer = self.env.signer.clone();
            self.unstored.extend(self.anonymous.limited(merge_repeats(new, &|event| event.signed(&signer))));
            self.env
                .metrics
                .audit_waiting
                .set(i64::try_from(self.unstored.len() + self.receiver.len()).unwrap_or(i64::MAX));
            if self.unstored.is_empty() {
                self.env.audit.set_stalled(false);
                return true;
            }
            let events = self.unstored.clone();
            if let Err(error) = self.env.db.write(move |tx| store::insert(tx, &events)).await {
                tracing::warn!(%error, waiting = self.unstored.len(), "audit events could not be stored");
                let latest = self.env.now().minus(STORED_WITHIN);
                if self.unstored.iter().any(|event| event.at < latest) {
                    self.env.audit.set_stalled(true);
                }
                return false;
            }
            self.env.audit.committed(self.unstored.drain(..).map(|event| Committed { id: event.id, at: event.at }));
        }
    }

    async fn seal(&mut self) {
        let very_late = self.late_scan.is_none_or(|at| at.elapsed() >= LATE_SCAN_INTERVAL);
        let back = if very_late { VERY_LATE } else { LATE };
        match seal_all(&self.env, back).await {
            Ok(head) if very_late => {
                self.log_head(head);
                self.late_scan = Some(Instant::now());
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "audit events could not be sealed"),
        }
        self.check().await;
    }

    async fn check(&self) {
        if let Err(error) = check(&self.env).await {
            tracing::warn!(%error, "the audit trail could not be checked");
        }
    }

    /// Logs the head of the chain, so that events cut off later can be detected from the log. A head that was logged
    /// already is skipped.
    fn log_head(&mut self, head: Head) {
        if self.logged_head.as_ref() != Some(&head) {
            tracing::info!(%head, "audit head");
            self.logged_head = Some(head);
        }
    }

    async fn end(mut self) {
        self.unstored.extend(self.anonymous.rest(&self.env.signer, self.env.now()));
        for _ in 0..FINAL_ATTEMPTS {
            if self.flush().await {
                match seal_all(&self.env, LATE).await {
                    Ok(head) => self.log_head(head),
                    Err(error) => tracing::warn!(%error, "audit events could not be sealed"),
                }
                self.check().await;
                return;
            }
            tokio::time::sleep(FLUSH_INTERVAL).await;
        }
        tracing::error!(
            lost = self.unstored.len() + self.receiver.len(),
            "audit events were lost because the database did not store them"
        );
    }
}
