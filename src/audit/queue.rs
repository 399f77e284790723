//! The queue of events that have no transaction of their own: reads, rejections and failures.

use tokio::sync::mpsc;

use super::model::Event;
use super::store;
use super::watch::Committed;
use crate::env::Env;
use crate::error::Result;

/// How many events may wait.
const CAPACITY: usize = 4096;

#[derive(Clone)]
pub struct Queue(mpsc::Sender<Event>);

impl Queue {
    /// Creates a queue, and the end at which the worker takes its events.
    pub(super) fn new() -> (Self, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        (Self(sender), receiver)
    }

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
