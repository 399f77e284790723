//! The streams of this instance: how many are open, and the new events for all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

use super::model::Row;
use crate::error::{Error, ProblemCode, Result};
use crate::ids::UserId;

/// How many streams an account may have open at this instance, which is at most a quarter of all.
const MAX_OF_ACCOUNT: usize = 10;
/// How many batches a stream may be behind before it reads the database again.
const BATCHES: usize = 64;

/// Consecutive events.
pub struct Batch {
    /// The number before the first.
    pub after: i64,
    /// The last number.
    pub through: i64,
    pub events: Vec<Arc<Row>>,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Feed(Arc<Inner>);

struct Inner {
    sender: broadcast::Sender<Arc<Batch>>,
    max: usize,
    max_of_account: usize,
    open: Mutex<HashMap<UserId, usize>>,
}

impl Feed {
    /// Half of the connections may be streams.
    pub(super) fn new(max_connections: usize) -> Self {
        let max = (max_connections / 2).max(1);
        let max_of_account = (max / 4).clamp(1, MAX_OF_ACCOUNT);
        Self(Arc::new(Inner { sender: broadcast::Sender::new(BATCHES), max, max_of_account, open: Mutex::default() }))
    }

    fn open(&self) -> MutexGuard<'_, HashMap<UserId, usize>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_streams(&self) -> bool {
        self.0.sender.receiver_count() > 0
    }

    pub(super) fn send(&self, batch: Batch) {
        // Fails if the last stream has ended meanwhile.
        let _ = self.0.sender.send(Arc::new(batch));
    }

    /// Opens a stream of an account.
    ///
    /// # Errors
    /// [`Error::TooMany`] for the account, [`Error::Unavailable`] for the instance.
    pub(super) fn subscribe(&self, user: UserId) -> Result<(Place, broadcast::Receiver<Arc<Batch>>)> {
        let mut open = self.open();
        let all: usize = open.values().sum();
        let own = open.entry(user).or_default();
        let max = self.0.max_of_account;
        if *own >= max {
            return Err(Error::TooMany {
                code: ProblemCode::StreamLimit,
                retry_after: 5,
                detail: format!("An account may have at most {max} streams. Close one of them and retry."),
            });
        }
        if all >= self.0.max {
            if *own == 0 {
                open.remove(&user);
            }
            return Err(Error::unavailable(5, "too many event streams are open"));
        }
        *own += 1;
        Ok((Place { feed: self.clone(), user }, self.0.sender.subscribe()))
    }
}

/// A stream's place among the open ones, until it is dropped.
pub struct Place {
    feed: Feed,
    user: UserId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.feed.open();
        if let Some(count) = open.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(number: u128) -> UserId {
        UserId(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn streams_are_limited_per_account_and_in_all_and_a_closed_one_makes_room() {
        let feed = Feed::new(16);
        let mut open: Vec<_> = (1..5).map(|of| [(); 2].map(|()| feed.subscribe(user(of)).expect("room"))).collect();
        assert!(matches!(feed.subscribe(user(1)), Err(Error::TooMany { .. })));
        assert!(matches!(feed.subscribe(user(5)), Err(Error::Unavailable { .. })));
        open.pop();
        drop(feed.subscribe(user(5)).expect("room"));
        drop(open);
        assert!(!feed.has_streams());
        assert!(feed.open().is_empty());
    }
}
