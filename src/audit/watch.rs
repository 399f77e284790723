//! What a running service knows of its trail: whether events can be stored, whether the database still has those that it committed, and
//! whether the audit tables have the triggers of the migrations. Readiness ends with any fault.
//!
//! The database reports a committed event as stored even if a trigger deleted it in the same transaction. So each committed event is
//! awaited here, and [`super::watch_check`] looks it up until it has its seal. From then on the chain shows its removal.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::triggers::Difference;
use crate::clock::Timestamp;
use crate::ids::AuditEventId;

/// How many committed events are awaited at most, which takes some megabytes. They are looked up about every second.
const MAX_AWAITED: usize = 100_000;
/// A committed event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    pub id: AuditEventId,
    /// The time.
    pub at: Timestamp,
}

/// The state of the trail.
#[derive(Debug, Default)]
pub struct Watch {
    /// Whether events cannot be stored.
    stalled: AtomicBool,
    /// The committed events without a known seal.
    awaited: Mutex<Vec<Committed>>,
    /// Whether events were not awaited because there were too many.
    overflowed: AtomicBool,
    /// How many committed events the database did not have.
    missing: AtomicU64,
    /// How the triggers differ from the migrations, as last compared.
    differences: Mutex<Vec<Difference>>,
}

impl Watch {
    /// Sets whether events cannot be stored.
    pub fn set_stalled(&self, stalled: bool) {
        self.stalled.store(stalled, Ordering::Relaxed);
    }

    /// Awaits the seals of events whose transaction has committed.
    pub fn committed(&self, events: impl IntoIterator<Item = Committed>) {
        let mut awaited = lock(&self.awaited);
        for event in events {
            if awaited.len() >= MAX_AWAITED {
                self.overflowed.store(true, Ordering::Relaxed);
                return;
            }
            awaited.push(event);
        }
    }

    /// Takes the events whose seals are awaited. The caller returns those that it could not look up, or that have no seal yet.
    pub(super) fn take_awaited(&self) -> Vec<Committed> {
        std::mem::take(&mut *lock(&self.awaited))
    }

    /// Returns events that are awaited further.
    pub(super) fn await_further(&self, events: Vec<Committed>) {
        let mut awaited = lock(&self.awaited);
        let has_room = events.len() + awaited.len() < MAX_AWAITED;
        awaited.extend(events);
        if has_room {
            self.overflowed.store(false, Ordering::Relaxed);
        }
    }

    /// Notes a committed event that the database does not have.
    pub(super) fn add_missing(&self) {
        self.missing.fetch_add(1, Ordering::Relaxed);
    }

    /// Sets how the triggers differ from the migrations. Returns the differences that are new.
    pub(super) fn set_differences(&self, found: Vec<Difference>) -> Vec<Difference> {
        let mut known = lock(&self.differences);
        let new = found.iter().filter(|difference| !known.contains(difference)).cloned().collect();
        *known = found;
        new
    }

    /// Returns why the service is not ready, in words for the operator.
    pub fn fault(&self) -> Option<String> {
        if self.stalled.load(Ordering::Relaxed) {
            return Some(
                "Audit events cannot be stored, so requests are rejected. Check whether the disk is full.".to_owned(),
            );
        }
        let missing = self.missing.load(Ordering::Relaxed);
        if missing > 0 {
            return Some(format!(
                "The database has lost {missing} committed audit events. Find out who deleted them, run `legwork audit verify` and restart."
            ));
        }
        if let Some(first) = lock(&self.differences).first() {
            return Some(format!("{first}. It could drop audit events. Find out who did it, and restore the schema."));
        }
        self.overflowed.load(Ordering::Relaxed).then(|| {
            "Audit events get no seals, so they cannot be checked. The log has the error of the database.".to_owned()
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
