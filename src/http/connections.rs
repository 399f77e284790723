//! The open connections of a listener, limited in all and per client, so that no client takes the place of all others.
//!
//! A waiting connection never causes a new one to be rejected. If a limit is reached, the server closes the connection
//! that has kept it waiting longest: idle between requests, sending a request, or not reading a response. A connection
//! whose request the server works on is never closed. A new connection is rejected only if every other one
//! is being served.
//!
//! The same applies within one address, because a clinic's staff and patients may share one. A crowd behind that
//! address closes its own silent connections, and other addresses are not affected.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use super::address::network;
use crate::config::network::Proxies;
use crate::telemetry::Metrics;

/// The open connections of one listener. Cheap to clone; all workers share it.
#[derive(Clone)]
pub struct Connections(Arc<Inner>);

struct Inner {
    max: usize,
    max_by_client: usize,
    proxies: Option<Proxies>,
    began: Instant,
    open: Mutex<Open>,
    metrics: Arc<Metrics>,
}

/// The client of a connection, and its number. Proxies and unknown peers have no client, because they have no limit of
/// their own.
type Key = (Option<IpAddr>, u64);

#[derive(Default)]
struct Open {
    opened: u64,
    all: BTreeMap<Key, Arc<Waiting>>,
}

impl Connections {
    /// Sets the limits of a listener. `max_by_client` applies to each address (IPv6: each /56 network), but not to
    /// proxies.
    pub fn new(max: usize, max_by_client: usize, proxies: Option<Proxies>, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Inner { max, max_by_client, proxies, began: Instant::now(), open: Mutex::default(), metrics }))
    }

    /// Returns how many connections may be open.
    pub fn max(&self) -> usize {
        self.0.max
    }

    /// Accepts a new connection. If a limit is reached, closes the connection that has kept the server waiting longest.
    /// Returns none if every connection that could be closed is being served. Then the new connection must be closed.
    pub fn admit(&self, peer: Option<IpAddr>) -> Option<ConnectionPlace> {
        let Inner { max, max_by_client, metrics, .. } = &*self.0;
        let client = peer.filter(|peer| !self.0.proxies.as_ref().is_some_and(|proxies| proxies.contains(*peer)));
        let client = client.map(|address| network(address, false));
        let mut open = self.lock();
        let own = (Bound::Included((client, 0)), Bound::Included((client, u64::MAX)));
        let mut has_room = true;
        if client.is_some() && open.all.range(own).count() >= *max_by_client {
            has_room = open.close_one(own, metrics);
        }
        if has_room && open.all.len() >= *max {
            has_room = open.close_one((Bound::Unbounded, Bound::Unbounded), metrics);
        }
        if !has_room {
            metrics.connections_refused.inc();
            return None;
        }
        open.opened += 1;
        let key = (client, open.opened);
        let waiting = Arc::new(Waiting::new(self.0.began));
        open.all.insert(key, Arc::clone(&waiting));
        metrics.connections.set(open.len());
        drop(open);
        Some(ConnectionPlace { connections: self.clone(), key, waiting })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn len(&self) -> i64 {
        i64::try_from(self.all.len()).unwrap_or(i64::MAX)
    }

    /// Closes the connection in the range that has waited longest. Returns false if none of them waits.
    fn close_one(&mut self, range: (Bound<Key>, Bound<Key>), metrics: &Metrics) -> bool {
        loop {
            let waiting = self.all.range(range).filter_map(|(key, it)| Some((it.since()?, *key)));
            let Some((since, key)) = waiting.min() else { return false };
            // Meanwhile its request may have arrived, or its response may have been read.
            if self.all.get(&key).is_some_and(|it| it.close(since)) {
                self.all.remove(&key);
                metrics.connections_evicted.inc();
                return true;
            }
        }
    }
}

/// A connection's place among the open ones, until it is dropped.
pub struct ConnectionPlace {
    connections: Connections,
    key: Key,
    waiting: Arc<Waiting>,
}

impl ConnectionPlace {
    /// Returns the waiting state of the connection.
    pub fn waiting(&self) -> Arc<Waiting> {
        Arc::clone(&self.waiting)
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        open.all.remove(&self.key);
        self.connections.0.metrics.connections.set(open.len());
    }
}

/// Since when a connection has kept the server waiting. The connection's thread writes it. The thread of a new
/// connection reads it, and may close it.
pub struct Waiting {
    began: Instant,
    /// Milliseconds since `began`, or one of the two values below.
    since: AtomicU64,
    task: AtomicWaker,
}

/// The server works on a request of the connection.
const WORKING: u64 = u64::MAX;
/// The connection must be closed, whatever it does now.
const CLOSED: u64 = u64::MAX - 1;

impl Waiting {
    fn new(began: Instant) -> Self {
        let waiting = Self { began, since: AtomicU64::new(WORKING), task: AtomicWaker::new() };
        waiting.wait_since(Instant::now());
        waiting
    }

    /// Since this time the server waits for the client to send or read.
    pub fn wait_since(&self, since: Instant) {
        let millis = u64::try_from(since.saturating_duration_since(self.began).as_millis()).unwrap_or(0);
        self.set(millis);
    }

    /// The server works on a request.
    pub fn work(&self) {
        self.set(WORKING);
    }

    fn set(&self, value: u64) {
        let _ =
            self.since.fetch_update(Ordering::AcqRel, Ordering::Acquire, |before| (before != CLOSED).then_some(value));
    }

    fn since(&self) -> Option<u64> {
        let since = self.since.load(Ordering::Acquire);
        (since < CLOSED).then_some(since)
    }

    /// Closes it, unless it is not waiting any more as it was.
    fn close(&self, since: u64) -> bool {
        let closed = self.since.compare_exchange(since, CLOSED, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if closed {
            self.task.wake();
        }
        closed
    }

    /// Returns whether it must be closed. If not, `task` is woken when it must.
    pub fn is_closed(&self, task: &Waker) -> bool {
        self.task.register(task);
        self.since.load(Ordering::Acquire) == CLOSED
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn connections(max: usize, max_by_client: usize) -> Connections {
        Connections::new(max, max_by_client, "10.0.0.0/8".parse().ok(), Arc::default())
    }

    fn admit(connections: &Connections, peer: &str) -> Option<ConnectionPlace> {
        connections.admit(Some(peer.parse().expect("an address")))
    }

    fn is_closed(place: &ConnectionPlace) -> bool {
        place.waiting.is_closed(Waker::noop())
    }

    /// As if it had waited for this many seconds of an hour.
    fn waits(place: &ConnectionPlace, seconds: u64) {
        let hour = Duration::from_hours(1);
        place.waiting.wait_since(place.connections.0.began + hour - Duration::from_secs(seconds));
    }

    #[test]
    fn a_client_at_its_bound_closes_its_own_connection_that_has_waited_longest() {
        let all = connections(100, 2);
        let other = admit(&all, "192.0.2.9").expect("room");
        waits(&other, 50);
        let (first, second) = (admit(&all, "192.0.2.1").expect("room"), admit(&all, "192.0.2.1").expect("room"));
        waits(&first, 5);
        waits(&second, 10);
        let third = admit(&all, "192.0.2.1").expect("room");
        assert!(is_closed(&second) && !is_closed(&first) && !is_closed(&third) && !is_closed(&other));
        // Connections that the server works for stay, and then there is no room.
        first.waiting.work();
        third.waiting.work();
        assert!(admit(&all, "192.0.2.1").is_none());
        assert!(admit(&all, "192.0.2.2").is_some());
        drop(first);
        assert!(admit(&all, "192.0.2.1").is_some());
    }

    #[test]
    fn a_full_server_closes_the_connection_that_waited_longest() {
        let all = connections(3, 2);
        let places: Vec<_> =
            ["192.0.2.1", "192.0.2.2", "192.0.2.3"].iter().map(|peer| admit(&all, peer).expect("room")).collect();
        for (place, seconds) in places.iter().zip([1, 9, 4]) {
            waits(place, seconds);
        }
        let fourth = admit(&all, "192.0.2.4").expect("room");
        fourth.waiting.work();
        assert_eq!(places.iter().map(is_closed).collect::<Vec<_>>(), [false, true, false]);
        // A closed connection stays closed, even if it is about to send something.
        places[1].waiting.work();
        assert!(is_closed(&places[1]));
        places[0].waiting.work();
        places[2].waiting.work();
        assert!(admit(&all, "192.0.2.5").is_none());
        assert_eq!(all.0.metrics.connections_refused.get(), 1);
        assert_eq!(all.0.metrics.connections_evicted.get(), 1);
        drop((places, fourth));
        assert_eq!(all.0.metrics.connections.get(), 0);
    }

    #[test]
    fn an_ipv6_network_is_one_client_and_a_proxy_is_none() {
        let all = connections(100, 1);
        let first = admit(&all, "2001:db8:1:2::1").expect("room");
        let neighbour = admit(&all, "2001:db8:1:2:ffff::2").expect("room");
        let _other = admit(&all, "2001:db8:1:102::1").expect("room");
        assert!(is_closed(&first) && !is_closed(&neighbour));
        let proxied: Vec<_> = (0..5).map(|_| admit(&all, "10.1.2.3").expect("room")).collect();
        let mapped = admit(&all, "::ffff:10.1.2.3").expect("room");
        assert!(!proxied.iter().chain([&mapped]).any(is_closed));
    }
}
