//! What the edge notes waits here for a fraction of a second and is written together; the same worker seals.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::model::{AuditOutcome, Event};
use super::seal::{self, Head, LATE, VERY_LATE};
use super::shown::PatientIds;
use super::store;
use crate::env::Env;
use crate::error::Result;

/// How many events may wait.
const QUEUE: usize = 4096;
/// How many are written with one statement; PostgreSQL takes 65,535 values.
const BATCH: usize = 500;
/// How many patients the events of one transaction show, give or take a page: other writers wait for it on SQLite.
const BATCH_SHOWN: usize = 5_000;
/// How often the queue is emptied.
const ROUND: Duration = Duration::from_millis(250);
/// How often what was written is sealed.
const SEAL: Duration = Duration::from_secs(1);
/// How often it is looked for what came very late, and the head of the chain is told to the log if it has changed.
const LONG: Duration = Duration::from_mins(1);
/// How often the last events are tried again at the end of the service.
const LAST_TRIES: usize = 5;

/// Where the edge leaves events.
#[derive(Clone)]
pub struct Queue(mpsc::Sender<Event>);

impl Queue {
    /// Leaves an event to be written soon. If the queue is full, the event is written now and the request waits for it. If
    /// that fails as well, readiness ends until the worker has emptied the queue.
    ///
    /// # Errors
    /// The database's, if the queue is full.
    pub async fn note(&self, env: &Env, event: Event) -> Result<()> {
        match self.0.try_send(event) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(event) | mpsc::error::TrySendError::Closed(event)) => {
                let written = env.db.write(move |tx| store::insert(tx, std::slice::from_ref(&event))).await;
                if written.is_err() {
                    env.audit_stalled.store(true, Ordering::Relaxed);
                }
                written
            }
        }
    }
}

/// Starts the worker. It ends when, after `stopping`, all that waited is written and sealed.
pub fn start(env: &Env, mut stopping: watch::Receiver<bool>) -> (Queue, JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let mut worker = Worker { env: env.clone(), receiver, held: Vec::new(), sealed: None, looked: None, told: None };
    let handle = tokio::spawn(async move {
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stopping) => break,
                () = tokio::time::sleep(ROUND) => worker.round().await,
            }
        }
        worker.end().await;
    });
    (Queue(sender), handle)
}

/// Ends when the service is told to stop.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that whoever would tell it is gone.
    let _ = stopping.wait_for(|stop| *stop).await;
}

struct Worker {
    env: Env,
    receiver: mpsc::Receiver<Event>,
    /// What could not be written yet.
    held: Vec<Event>,
    sealed: Option<Instant>,
    /// When it was looked for what came very late.
    looked: Option<Instant>,
    /// The head that the log was told last.
    told: Option<Head>,
}

impl Worker {
    async fn round(&mut self) {
        self.flush().await;
        if self.sealed.is_none_or(|at| at.elapsed() >= SEAL) {
            self.sealed = Some(Instant::now());
            self.seal().await;
        }
    }

    /// Writes all that waits; false if the database took not all of it.
    async fn flush(&mut self) -> bool {
        loop {
            let count = |event: &Event| event.shown.as_ref().map_or(0, PatientIds::count);
            let mut shown: usize = self.held.iter().map(count).sum();
            while self.held.len() < BATCH
                && shown < BATCH_SHOWN
                && let Ok(event) = self.receiver.try_recv()
            {
                shown += count(&event);
                self.held.push(event);
            }
            self.env
                .metrics
                .audit_waiting
                .set(i64::try_from(self.held.len() + self.receiver.len()).unwrap_or(i64::MAX));
            if self.held.is_empty() {
                self.env.audit_stalled.store(false, Ordering::Relaxed);
                return true;
            }
            let signer = self.env.signer.clone();
            self.held = condensed(std::mem::take(&mut self.held), &|event| event.signed(&signer));
            let events = self.held.clone();
            if let Err(error) = self.env.db.write(move |tx| store::insert(tx, &events)).await {
                tracing::warn!(%error, waiting = self.held.len(), "audit events could not be written");
                return false;
            }
            self.held.clear();
        }
    }

    async fn seal(&mut self) {
        let very_late = self.looked.is_none_or(|at| at.elapsed() >= LONG);
        let back = if very_late { VERY_LATE } else { LATE };
        match seal_all(&self.env, back).await {
            Ok(head) if very_late => {
                self.tell(head);
                self.looked = Some(Instant::now());
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "audit events could not be sealed"),
        }
    }

    /// Tells the log, which leaves the machine, how long the chain is, so that a tail that is cut off later shows. A head that
    /// it knows says nothing new.
    fn tell(&mut self, head: Head) {
        if self.told.as_ref() != Some(&head) {
            tracing::info!(%head, "audit head");
            self.told = Some(head);
        }
    }

    async fn end(mut self) {
        for _ in 0..LAST_TRIES {
            if self.flush().await {
                match seal_all(&self.env, LATE).await {
                    Ok(head) => self.tell(head),
                    Err(error) => tracing::warn!(%error, "audit events could not be sealed"),
                }
                return;
            }
            tokio::time::sleep(ROUND).await;
        }
        tracing::error!(lost = self.held.len() + self.receiver.len(), "audit events were lost: the database took none");
    }
}

/// Refusals of one kind to nobody who signed in, from one address and about one thing, are one line with their number:
/// hammering at the door does not fill the trail.
fn condensed(events: Vec<Event>, sign: &impl Fn(Event) -> Event) -> Vec<Event> {
    let mut alike = HashMap::new();
    let mut kept: Vec<(Event, bool)> = Vec::with_capacity(events.len());
    for event in events {
        if event.outcome != AuditOutcome::Refused || event.actor_id.is_some() {
            kept.push((event, false));
            continue;
        }
        let kind = (event.operation.clone(), event.status, event.address.clone(), event.patient_id, event.object_id);
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

/// Seals until nothing waits, and says where the chain ends.
///
/// # Errors
/// The database's.
pub async fn seal_all(env: &Env, back: jiff::SignedDuration) -> Result<Head> {
    let oldest = env.db.read(move |conn| seal::oldest_unsealed(conn, back)).await?;
    let lag = oldest.map_or(0.0, |at| env.now().since(at).as_secs_f64().max(0.0));
    env.metrics.audit_seal_lag.set(lag);
    if oldest.is_some() {
        let full = usize::try_from(seal::AT_ONCE).unwrap_or(usize::MAX);
        loop {
            let signer = env.signer.clone();
            if env.db.write(move |tx| seal::seal(tx, &signer, back)).await? < full {
                break;
            }
        }
    }
    let head = env.db.read(seal::head).await?;
    env.metrics.audit_sealed.set(head.seq);
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{AuditEventId, UserId};
    use crate::signed::Signer;
    use crate::trail::Trail;

    #[test]
    fn refusals_alike_to_nobody_from_one_address_are_one_line_with_their_number() {
        let signer = Signer::new(uuid::Uuid::nil(), &[1; 32]).expect("a key");
        let at = "2026-03-02T14:00:00Z".parse().expect("an instant");
        let mut number = 0;
        let mut event = |address: [u8; 4], user: Option<u128>, outcome| {
            number += 1;
            let trail = Trail::of_request("create_session", None, Some(address.into()));
            if let Some(user) = user {
                trail.note_actor(UserId(uuid::Uuid::from_u128(user)), None);
            }
            Event::new(AuditEventId(uuid::Uuid::from_u128(number)), at, &signer, &trail, outcome)
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
        let kept = condensed(events, &|event| event.signed(&signer));
        assert_eq!(kept.iter().map(|event| event.times).collect::<Vec<_>>(), [3, 1, 1, 1, 1, 1]);
        assert!(kept.iter().all(|event| event.is_genuine(&signer)));
    }
}
