//! The limit of what callers without an account hold of a day; pure.
//!
//! It counts the visits that no longer fit, not the time held: a few short holds with gaps between them can leave no room for a longer
//! visit.

use crate::clock::Timestamp;
use crate::scheduling::visit_time::VisitLength;

/// A time of a day, such as a slot or a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub from: Timestamp,
    pub until: Timestamp,
}

impl Span {
    pub fn overlaps(self, other: Self) -> bool {
        self.from < other.until && other.from < self.until
    }
}

/// The day of a practitioner, or of a unit of a resource, without the times that others than strangers have.
#[derive(Debug, Clone, Default)]
pub(super) struct Day {
    /// The slots, in order.
    pub slots: Vec<Span>,
    /// What strangers hold.
    pub held: Vec<Span>,
}

impl Day {
    /// The same day with another hold.
    pub fn with(mut self, hold: Span) -> Self {
        self.held.push(hold);
        self
    }

    /// How many visits fit one after the other into the slots that are not held.
    fn capacity(&self, length: VisitLength, held: &[Span]) -> i64 {
        let minutes = (length.before + length.from_start()).as_mins();
        if minutes <= 0 {
            return 0;
        }
        let (mut visits, mut run): (i64, Option<Span>) = (0, None);
        let fit = |run: Option<Span>| run.map_or(0, |run| run.until.since(run.from).as_mins() / minutes);
        for slot in self.slots.iter().filter(|slot| !held.iter().any(|hold| hold.overlaps(**slot))) {
            run = match run {
                Some(run) if run.until == slot.from => Some(Span { until: slot.until, ..run }),
                ended => {
                    visits += fit(ended);
                    Some(*slot)
                }
            };
        }
        visits + fit(run)
    }
}

/// Whether strangers take at most `percent` of the visits of this length that would fit into the days without them.
pub(super) fn leaves_enough(days: &[Day], length: VisitLength, percent: u8) -> bool {
    let without: i64 = days.iter().map(|day| day.capacity(length, &[])).sum();
    let with: i64 = days.iter().map(|day| day.capacity(length, &day.held)).sum();
    (without - with) * 100 <= without * i64::from(percent)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    fn at(quarter: i64) -> Timestamp {
        let nine = Timestamp::from_micros(1_772_460_000_000_000).expect("an instant");
        nine.plus(SignedDuration::from_mins(15 * quarter))
    }

    fn span(from: i64, quarters: i64) -> Span {
        Span { from: at(from), until: at(from + quarters) }
    }

    /// Eight hours of slots of 15 minutes.
    fn day(held: Vec<Span>) -> Day {
        Day { slots: (0..32).map(|quarter| span(quarter, 1)).collect(), held }
    }

    fn minutes(visit: i32) -> VisitLength {
        VisitLength::of_minutes(0, visit, 0)
    }

    #[test]
    fn short_holds_with_gaps_take_more_visits_than_their_time() {
        let holds = |count: i64| (0..count).map(|n| span(3 + 5 * n, 2)).collect::<Vec<_>>();
        // Half-hour holds, 45 minutes apart: of eight visits of an hour each one takes about one.
        assert!(leaves_enough(&[day(holds(2))], minutes(60), 40));
        assert!(!leaves_enough(&[day(holds(4))], minutes(60), 40));
        // They take 4 of 16 half hours.
        assert!(leaves_enough(&[day(holds(4))], minutes(30), 40));
        // Side by side they take two of eight hours.
        assert!(leaves_enough(&[day((0..4).map(|n| span(2 * n, 2)).collect())], minutes(60), 40));
    }

    #[test]
    fn the_visits_of_several_units_count_together() {
        let (free, full) = (day(vec![]), day(vec![span(0, 32)]));
        assert!(leaves_enough(&[free.clone(), free.clone(), full.clone()], minutes(45), 40));
        assert!(!leaves_enough(&[free, full], minutes(45), 40));
    }

    #[test]
    fn buffers_are_part_of_a_visit() {
        let with_buffers = VisitLength::of_minutes(15, 30, 15);
        assert_eq!(day(vec![]).capacity(with_buffers, &[]), 8);
        assert_eq!(day(vec![]).capacity(with_buffers, &[span(3, 1)]), 7);
    }

    proptest! {
        #[test]
        fn a_hold_never_makes_room_and_a_limit_of_all_allows_everything(
            holds in prop::collection::vec((0..30_i64, 1..6_i64), 0..8), more in (0..30_i64, 1..6_i64), visit in 1..9_i32,
        ) {
            let held: Vec<Span> = holds.into_iter().map(|(from, quarters)| span(from, quarters)).collect();
            let (before, length) = (day(held), minutes(15 * visit));
            let after = before.clone().with(span(more.0, more.1));
            prop_assert!(after.capacity(length, &after.held) <= before.capacity(length, &before.held));
            prop_assert!(leaves_enough(&[after], length, 100));
        }

        #[test]
        fn what_is_allowed_leaves_the_share_of_visits_that_fit_one_after_the_other(
            holds in prop::collection::vec((0..30_i64, 1..6_i64), 0..8), visit in 1..9_i32, percent in 0..101_u8,
        ) {
            let mut allowed = day(vec![]);
            let length = minutes(15 * visit);
            for (from, quarters) in holds {
                let next = allowed.clone().with(span(from, quarters));
                if leaves_enough(std::slice::from_ref(&next), length, percent) {
                    allowed = next;
                }
            }
            // Places a visit at the first start where it fits, again and again.
            let (mut start, mut placed) = (0_i64, 0_i64);
            while start + i64::from(visit) <= 32 {
                let visit = span(start, visit.into());
                if allowed.held.iter().any(|hold| hold.overlaps(visit)) {
                    start += 1;
                } else {
                    placed += 1;
                    start += length.visit.as_mins() / 15;
                }
            }
            prop_assert!(placed * 100 >= (32 / i64::from(visit)) * (100 - i64::from(percent)));
        }
    }
}
