//! The queue for password hashes, in which no caller can crowd out the others.
//!
//! Requests count by caller, such as a device, and by the caller's group, such as its account. A group has a limited number of
//! requests in the queue. If the queue is full, a new request takes a place from the group that has the most, provided that its own
//! group has fewer. If its group is full, it takes a place from the caller of the group who has the most, provided that its own
//! caller has fewer. So filling the queue takes about as many groups as there are places, and keeping one device of an account out
//! takes about as many devices as the account has places.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// The number of requests that may wait for each hasher. A core computes about thirty hashes a second.
pub const WAITING_PER_HASHER: usize = 64;
/// How long a request waits for a hasher before it is rejected.
const MAX_WAIT: Duration = Duration::from_secs(4);

/// A permit to compute one hash.
pub type Hasher = OwnedSemaphorePermit;

/// The hashes that are computed at the same time, and the requests that wait.
pub struct Queue {
    hashers: Arc<Semaphore>,
    waiting: Mutex<Vec<Waiter>>,
    max_waiting: usize,
    max_waiting_per_group: usize,
    next_id: AtomicU64,
}

struct Waiter {
    id: u64,
    group: Vec<u8>,
    caller: Vec<u8>,
    /// Dropped with the waiter if the request loses its place, which tells the [`Ticket`].
    _place_kept: oneshot::Sender<()>,
}

/// A request in the queue. It leaves when this is dropped.
struct Ticket<'a> {
    queue: &'a Queue,
    id: u64,
    place_lost: oneshot::Receiver<()>,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.queue.lock().retain(|waiter| waiter.id != self.id);
    }
}

impl Queue {
    /// An empty queue for this number of concurrent hashes.
    pub fn new(hashers: usize, max_waiting_per_group: usize) -> Self {
        Self {
            hashers: Arc::new(Semaphore::new(hashers)),
            waiting: Mutex::default(),
            max_waiting: hashers * WAITING_PER_HASHER,
            max_waiting_per_group,
            next_id: AtomicU64::new(0),
        }
    }

    /// Waits for a hasher. Returns none if too many requests wait, or the request lost its place to another caller. Callers of
    /// different groups must have different names.
    pub async fn enter(&self, group: &[u8], caller: &[u8]) -> Option<Hasher> {
        let mut ticket = self.line_up(group, caller)?;
        tokio::select! {
            hasher = tokio::time::timeout(MAX_WAIT, Arc::clone(&self.hashers).acquire_owned()) => hasher.ok()?.ok(),
            _ = &mut ticket.place_lost => None,
        }
    }

    fn line_up(&self, group: &[u8], caller: &[u8]) -> Option<Ticket<'_>> {
        let mut waiting = self.lock();
        let is_group_full = of_group(&waiting, group).count() >= self.max_waiting_per_group;
        if is_group_full || waiting.len() >= self.max_waiting {
            let loser = if is_group_full { None } else { larger_group(&waiting, group) };
            let place = match loser {
                Some(loser) => newest_of_largest_caller(&waiting, loser, None),
                None => newest_of_largest_caller(&waiting, group, Some(caller)),
            };
            waiting.remove(place?);
        }
        let (place_kept, place_lost) = oneshot::channel();
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        waiting.push(Waiter { id, group: group.to_vec(), caller: caller.to_vec(), _place_kept: place_kept });
        Some(Ticket { queue: self, id, place_lost })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waiter>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of_group<'a>(waiting: &'a [Waiter], group: &'a [u8]) -> impl Iterator<Item = &'a Waiter> {
    waiting.iter().filter(move |waiter| waiter.group == group)
}

/// The group with the most requests, if it has more than `group` has including a new one.
fn larger_group<'a>(waiting: &'a [Waiter], group: &'a [u8]) -> Option<&'a [u8]> {
    let own = of_group(waiting, group).count();
    let (largest, count) = most_frequent(waiting.iter().map(|waiter| waiter.group.as_slice()))?;
    (count > own + 1).then_some(largest)
}

/// The newest request of the caller with the most requests in a group. With a rival in the same group: only if that is more than the
/// rival has including a new one.
fn newest_of_largest_caller(waiting: &[Waiter], group: &[u8], rival: Option<&[u8]>) -> Option<usize> {
    let (largest, count) = most_frequent(of_group(waiting, group).map(|waiter| waiter.caller.as_slice()))?;
    let of_rival =
        rival.map_or(0, |rival| of_group(waiting, group).filter(|waiter| waiter.caller == rival).count() + 1);
    if count <= of_rival {
        return None;
    }
    waiting.iter().rposition(|waiter| waiter.group == group && waiter.caller == largest)
}

fn most_frequent<T: Hash + Eq>(items: impl Iterator<Item = T>) -> Option<(T, usize)> {
    let mut counts: HashMap<T, usize> = HashMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_lost(queue: &Queue, ticket: &Ticket<'_>) -> bool {
        queue.lock().iter().all(|waiter| waiter.id != ticket.id)
    }

    /// Callers of one group, as many as the queue accepts.
    fn crowd<'a>(queue: &'a Queue, group: &[u8]) -> Vec<Ticket<'a>> {
        (0_u64..).map_while(|number| queue.line_up(group, &number.to_be_bytes())).collect()
    }

    #[tokio::test]
    async fn row_07_a_full_queue_takes_a_new_caller_in_place_of_the_newest_request_of_the_largest() {
        let queue = Queue::new(1, usize::MAX);
        let held = queue.enter(b"holder", b"").await.expect("a hasher");
        let crowd: Vec<_> = (0..WAITING_PER_HASHER).map(|_| queue.line_up(b"crowd", b"").expect("room")).collect();
        assert!(queue.line_up(b"crowd", b"").is_none(), "a caller does not take a place of its own");
        let owner = queue.line_up(b"owner", b"").expect("the place of another");
        assert_eq!(crowd.iter().filter(|ticket| is_lost(&queue, ticket)).count(), 1);
        assert!(is_lost(&queue, crowd.last().expect("the newest")) && !is_lost(&queue, &owner));
        drop((crowd, owner));
        assert!(queue.lock().is_empty());
        // If every group has one request, a new one gets no place.
        let all: Vec<_> =
            (0..WAITING_PER_HASHER).map(|number| queue.line_up(&number.to_be_bytes(), b"").expect("room")).collect();
        assert!(queue.line_up(b"owner", b"").is_none());
        drop((all, held));
        assert!(queue.enter(b"owner", b"").await.is_some());
    }

    #[test]
    fn row_07_the_networks_of_one_site_together_have_a_bounded_number_of_requests_in_the_queue() {
        let queue = Queue::new(1, WAITING_PER_HASHER / 2);
        let site = crowd(&queue, b"a /48");
        assert_eq!(site.len(), WAITING_PER_HASHER / 2);
        let other = crowd(&queue, b"another /48");
        assert_eq!(other.len(), WAITING_PER_HASHER / 2);
        // Two sites fill the queue with networks that have one request each, and a third still gets a place.
        let owner = queue.line_up(b"owner", b"").expect("the place of another");
        assert!(!is_lost(&queue, &owner));
        assert_eq!(site.iter().chain(&other).filter(|ticket| is_lost(&queue, ticket)).count(), 1);
    }

    #[test]
    fn row_07_an_account_has_a_bounded_number_of_requests_which_its_devices_share() {
        let queue = Queue::new(1, 8);
        let flood: Vec<_> = (0..8).map(|_| queue.line_up(b"ann", b"stolen").expect("room")).collect();
        assert!(queue.line_up(b"ann", b"stolen").is_none());
        assert!(queue.line_up(b"bob", b"phone").is_some());
        // The other devices get half of the places, whatever the first one sends.
        let own: Vec<_> =
            (0..4).map(|_| queue.line_up(b"ann", b"phone").expect("the place of the other device")).collect();
        assert!(queue.line_up(b"ann", b"phone").is_none());
        assert!(queue.line_up(b"ann", b"stolen").is_none());
        assert_eq!(flood.iter().filter(|ticket| is_lost(&queue, ticket)).count(), 4);
        assert!(own.iter().all(|ticket| !is_lost(&queue, ticket)));
    }
}
