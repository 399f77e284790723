//! Collects events for a fraction of a second and stores them together. The same background job seals them.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::model::Event;
use super::seal::{self, Head, LATE, SEALED_WITHIN, VERY_LATE};
use super::shown::PatientIds;
use super::store;
use super::strangers::{self, Strangers};
use super::watch::{Committed, check};
use crate::env::Env;
use crate::error::Result;
use crate::periodic::stopped;

/// How many events may wait.
const CAPACITY: usize = 4096;
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

/// The queue of events.
#[derive(Clone)]
pub struct Queue(mpsc::Sender<Event>);

impl Queue {
    /// Queues an event. If the queue is full, the event is stored now and the request waits for it. If that fails as
    /// well, readiness ends until the worker has emptied the queue.
    ///
    /// # Errors
    /// Those of the database, if the queue is full.
    pub async fn note(&self, env: &Env, event: Event) -> Result<()> {
        match self.0.try_send(event) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(event) | mpsc::error::TrySendError::Closed(event)) => {
                let stored = Committed { id: event.id, at: event.at };
                let written = env.db.write(move |tx| store::insert(tx, std::slice::from_ref(&event))).await;
                match written {
                    Ok(()) => env.audit.committed([stored]),
                    Err(_) => env.audit.set_stalled(true),
                }
                written
            }
        }
    }
}

/// Starts the worker. It ends after `stopping`, when all waiting events are stored and sealed.
pub fn start(env: &Env, mut stopping: watch::Receiver<bool>) -> (Queue, JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    let mut worker = Worker {
        env: env.clone(),
        receiver,
        unstored: Vec::new(),
        strangers: Strangers::default(),
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
    (Queue(sender), handle)
}

struct Worker {
    env: Env,
    receiver: mpsc::Receiver<Event>,
    /// Events that could not be stored yet.
    unstored: Vec<Event>,
    strangers: Strangers,
    sealed: Option<Instant>,
    /// When the worker last looked for events that were committed very late.
    late_scan: Option<Instant>,
    /// The head that was logged last.
    logged_head: Option<Head>,
}

impl Worker {
    async fn tick(&mut self) {
        self.unstored.extend(self.strangers.counted(&self.env.signer, self.env.now()));
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
            self.unstored.extend(self.strangers.limited(merge_repeats(new, &|event| event.signed(&signer))));
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
        self.unstored.extend(self.strangers.rest(&self.env.signer, self.env.now()));
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

/// Merges repeated requests that had no effect and came from callers without a session into one event with a count. Two requests are
/// alike if operation, outcome, status, address, patients and object are equal. An object that the caller names in the path is not in
/// the event.
fn merge_repeats(events: Vec<Event>, sign: &impl Fn(Event) -> Event) -> Vec<Event> {
    let mut alike = HashMap::new();
    let mut kept: Vec<(Event, bool)> = Vec::with_capacity(events.len());
    for event in events {
        if !strangers::is_strangers(&event) {
            kept.push((event, false));
            continue;
        }
        let kind = (
            (event.operation.clone(), event.outcome.as_str(), event.status, event.address.clone()),
            (event.patient_id, event.object_id, event.shown.as_ref().map(|shown| shown.as_bytes().to_vec())),
        );
        let first = *alike.entry(kind).or_insert(kept.len());
        match kept.get_mut(first) {
            Some((first, changed)) => {
                first.times = first.times.saturating_add(event.times);
                *changed = true;
            }
            None => kept.push((event, false)),
        }
    }
    kept.into_iter().map(|(event, changed)| if changed { sign(event) } else { event }).collect()
}

/// Seals until no event waits, and returns the head of the chain. Warns of old events: a person who deletes seals and an event lets the
/// service seal the rest again, and that chain is whole.
pub async fn seal_all(env: &Env, back: jiff::SignedDuration) -> Result<Head> {
    let oldest = env.db.read(move |conn| seal::oldest_unsealed(conn, back)).await?;
    let lag = oldest.map_or(0.0, |at| env.now().since(at).as_secs_f64().max(0.0));
    env.metrics.audit_seal_lag.set(lag);
    if oldest.is_some() {
        seal::seal_waiting(&env.db, &env.signer, back, env.now()).await?;
    }
    let head = env.db.read(seal::head).await?;
    if let Some(oldest) = oldest.filter(|at| env.now().since(*at) > SEALED_WITHIN) {
        tracing::warn!(
            %oldest, %head,
            "audit events older than ten minutes had no seal and have one now; unless a crash with a long outage or a restored backup \
             explains it, run `legwork audit verify --head` with a head from before"
        );
    }
    env.metrics.audit_sealed.set(head.seq);
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::AuditOutcome;
    use crate::audit_context::AuditContext;
    use crate::ids::{AuditEventId, UserId};
    use crate::signed::Signer;

    #[test]
    fn equal_requests_without_effect_of_one_address_without_a_session_are_one_event_with_their_number() {
        let signer = Signer::new(uuid::Uuid::nil(), &[1; 32]).expect("a key");
        let at = "2026-03-02T14:00:00Z".parse().expect("an instant");
        let mut number = 0;
        let mut event = |address: [u8; 4], user: Option<u128>, outcome| {
            number += 1;
            let audit = AuditContext::of_request("create_session", None, Some(address.into()));
            if let Some(user) = user {
                audit.note_actor(UserId(uuid::Uuid::from_u128(user)), None);
            }
            Event::new(AuditEventId(uuid::Uuid::from_u128(number)), at, &signer, &audit, outcome)
        };
        let (here, there) = ([192, 0, 2, 1], [192, 0, 2, 2]);
        let events = vec![
            event(here, None, AuditOutcome::Refused),
            event(there, None, AuditOutcome::Refused),
            event(here, None, AuditOutcome::Refused),
            event(here, Some(1), AuditOutcome::Refused),
            event(here, Some(1), AuditOutcome::Refused),
            event(here, None, AuditOutcome::Success),
            event(here, None, AuditOutcome::Success),
            event(here, None, AuditOutcome::Refused),
        ];
        let kept = merge_repeats(events, &|event| event.signed(&signer));
        assert_eq!(kept.iter().map(|event| event.times).collect::<Vec<_>>(), [3, 1, 1, 1, 2]);
        assert!(kept.iter().all(|event| event.is_genuine(&signer)));
    }
}
