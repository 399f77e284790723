//! The time of a visit, and the working time that it takes: the buffers of its visit type before and after it.

use jiff::SignedDuration;

use crate::clock::Timestamp;

/// The length of a visit and of its buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisitLength {
    pub before: SignedDuration,
    /// The visit itself.
    pub visit: SignedDuration,
    pub after: SignedDuration,
}

impl VisitLength {
    /// From numbers of minutes: the buffer before the visit, the visit, and the buffer after it.
    pub fn of_minutes(before: i32, visit: i32, after: i32) -> Self {
        let [before, visit, after] = [before, visit, after].map(|minutes| SignedDuration::from_mins(minutes.into()));
        Self { before, visit, after }
    }

    /// The working time from the start of the visit on.
    pub fn from_start(self) -> SignedDuration {
        self.visit + self.after
    }

    /// The times of a visit that starts at `starts_at`.
    pub fn starting(self, starts_at: Timestamp) -> VisitTime {
        let ends_at = starts_at.plus(self.visit);
        VisitTime { starts_at, ends_at, busy_from: starts_at.minus(self.before), busy_until: ends_at.plus(self.after) }
    }
}

/// The times of a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisitTime {
    /// The start that the patient is told.
    pub starts_at: Timestamp,
    /// The end that the patient is told.
    pub ends_at: Timestamp,
    /// The start of the working time.
    pub busy_from: Timestamp,
    /// The end of the working time.
    pub busy_until: Timestamp,
}
