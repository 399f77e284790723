//! A change of the clock that a location goes by: its time zone was corrected. What was typed or told by that clock is a local time.

use jiff::tz::TimeZone;

use crate::clock::Timestamp;

/// The clock before and after the change.
#[derive(Debug, Clone)]
pub struct ClockChange {
    pub from: TimeZone,
    pub to: TimeZone,
}

impl ClockChange {
    /// Whether an instant has another local time now.
    pub fn affects(&self, at: Timestamp) -> bool {
        at.in_zone(&self.from).datetime() != at.in_zone(&self.to).datetime()
    }

    /// The instant that has the same local time now: of two the earlier one. A time that the clock skips is moved by the length of the gap.
    pub fn follow(&self, at: Timestamp) -> Timestamp {
        let local = at.in_zone(&self.from).datetime();
        self.to.to_ambiguous_timestamp(local).compatible().map_or(at, Timestamp::from)
    }

    /// The range that has the same local times now. A range that the clock skips keeps its length.
    pub fn follow_range(&self, (starts_at, ends_at): (Timestamp, Timestamp)) -> (Timestamp, Timestamp) {
        let (start, end) = (self.follow(starts_at), self.follow(ends_at));
        (start, if end > start { end } else { start.plus(ends_at.since(starts_at)) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::zones::Zones;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn change(from: &str, to: &str) -> ClockChange {
        let zone = |name| Zones::bundled().get(name).expect("a zone");
        ClockChange { from: zone(from), to: zone(to) }
    }

    #[test]
    fn a_time_keeps_the_local_time_with_which_it_was_typed() {
        let corrected = change("America/Denver", "America/Chicago");
        assert!(corrected.affects(at("2026-12-09T20:00:00Z")));
        assert_eq!(corrected.follow(at("2026-12-09T20:00:00Z")), at("2026-12-09T19:00:00Z"));
        assert!(!change("America/New_York", "America/Detroit").affects(at("2026-12-09T20:00:00Z")));
    }

    #[test]
    fn a_range_that_the_new_clock_skips_keeps_its_length() {
        // In Phoenix the clock shows half past two to three in that night, in Denver it does not.
        let change = change("America/Phoenix", "America/Denver");
        let skipped = (at("2026-03-08T09:30:00Z"), at("2026-03-08T10:00:00Z"));
        assert_eq!(change.follow_range(skipped), (at("2026-03-08T09:30:00Z"), at("2026-03-08T10:00:00Z")));
    }

    proptest! {
        #[test]
        fn a_range_never_becomes_empty_or_turns_round(start in 0_i64..60 * 24 * 365 * 10, minutes in 1_i64..60 * 24 * 30) {
            let change = change("America/New_York", "Australia/Lord_Howe");
            let start = at("2024-01-01T00:00:00Z").plus(jiff::SignedDuration::from_mins(start));
            let (from, to) = change.follow_range((start, start.plus(jiff::SignedDuration::from_mins(minutes))));
            prop_assert!(from < to);
        }
    }
}
