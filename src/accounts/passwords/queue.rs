//! The queue for password hashes, in which no caller can crowd out the others.
//!
//! If the queue is full, a new request takes the place of the newest request of the caller who has the most in it, provided that the
//! new request's caller has fewer. So one caller cannot fill the queue: that takes about as many callers as there are places.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// The number of requests that may wait for one place. A core computes about thirty hashes a second.
const WAITING_PER_PLACE: usize = 64;
/// The longest wait of a request.
const PATIENCE: Duration = Duration::from_secs(4);

/// The places for hashes that are computed at the same time, and the requests that wait for one.
pub struct Queue {
    places: Arc<Semaphore>,
    waiting: Mutex<Vec<Waiter>>,
    most: usize,
    /// The number of requests of one caller that may wait.
    most_by_caller: usize,
    next_id: AtomicU64,
}

struct Waiter {
    id: u64,
    caller: Vec<u8>,
    /// Dropped if the request loses its place.
    _stays: oneshot::Sender<()>,
}

/// A request in the queue. It leaves when this is dropped.
struct Ticket<'a> {
    queue: &'a Queue,
    id: u64,
    lost: oneshot::Receiver<()>,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.queue.lock().retain(|waiter| waiter.id != self.id);
    }
}

impl Queue {
    /// An empty queue for this number of concurrent hashes, in which each caller may have `most_by_caller` requests.
    pub fn new(places: usize, most_by_caller: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            waiting: Mutex::default(),
            most: places * WAITING_PER_PLACE,
            most_by_caller,
            next_id: AtomicU64::new(0),
        }
    }

    /// Waits for a place. Returns none if too many requests wait, or the request lost its place to another caller.
    pub async fn enter(&self, caller: &[u8]) -> Option<OwnedSemaphorePermit> {
        let mut ticket = self.line_up(caller)?;
        tokio::select! {
            place = tokio::time::timeout(PATIENCE, Arc::clone(&self.places).acquire_owned()) => place.ok()?.ok(),
            _ = &mut ticket.lost => None,
        }
    }

    fn line_up(&self, caller: &[u8]) -> Option<Ticket<'_>> {
        let mut waiting = self.lock();
        if waiting.iter().filter(|waiter| waiter.caller == caller).count() >= self.most_by_caller {
            return None;
        }
        if waiting.len() >= self.most {
            let newest = newest_of_largest(&waiting, caller)?;
            waiting.remove(newest);
        }
        let (stays, lost) = oneshot::channel();
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        waiting.push(Waiter { id, caller: caller.to_vec(), _stays: stays });
        Some(Ticket { queue: self, id, lost })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waiter>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The newest request of the caller who has the most in the queue, if that is more than `caller` has including the new one.
fn newest_of_largest(waiting: &[Waiter], caller: &[u8]) -> Option<usize> {
    let mut counts: HashMap<&[u8], usize> = HashMap::new();
    for waiter in waiting {
        *counts.entry(&waiter.caller).or_default() += 1;
    }
    let own = counts.get(caller).copied().unwrap_or_default();
    let (largest, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    (count > own + 1).then(|| waiting.iter().rposition(|waiter| waiter.caller == largest)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn row_07_a_full_queue_takes_a_new_caller_in_place_of_the_newest_request_of_the_largest() {
        let queue = Queue::new(1, usize::MAX);
        let held = queue.enter(b"holder").await.expect("a place");
        let crowd: Vec<_> = (0..WAITING_PER_PLACE).map(|_| queue.line_up(b"crowd").expect("room")).collect();
        assert!(queue.line_up(b"crowd").is_none(), "a caller does not take a place of its own");
        let owner = queue.line_up(b"owner").expect("the place of another");
        let lost = |ticket: &Ticket<'_>| queue.lock().iter().all(|waiter| waiter.id != ticket.id);
        assert_eq!(crowd.iter().map(lost).filter(|lost| *lost).count(), 1);
        assert!(lost(crowd.last().expect("the newest")) && !lost(&owner));
        drop((crowd, owner));
        assert!(queue.lock().is_empty());
        // If every caller has one request, a new caller gets no place.
        let all: Vec<_> = (0..WAITING_PER_PLACE).map(|number| queue.line_up(&number.to_be_bytes())).collect();
        assert!(all.iter().all(Option::is_some));
        assert!(queue.line_up(b"owner").is_none());
        drop((all, held));
        assert!(queue.enter(b"owner").await.is_some());
    }

    #[tokio::test]
    async fn row_07_a_caller_has_a_bounded_number_of_requests_in_the_queue() {
        let queue = Queue::new(1, 4);
        let held = queue.enter(b"ann").await.expect("a place");
        let of_ann: Vec<_> = (0..4).map(|_| queue.line_up(b"ann").expect("room")).collect();
        assert!(queue.line_up(b"ann").is_none());
        assert!(queue.line_up(b"bob").is_some());
        drop((of_ann, held));
        assert!(queue.enter(b"ann").await.is_some());
    }
}
