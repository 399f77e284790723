//! The limit of what callers without an account hold of a day; pure.
//!
//! It counts the visits that no longer fit, not the time held: a few short holds with gaps between them can leave no room for a longer
//! visit, and holds of one practitioner's time or of a device can leave none for visits that need both.

use std::collections::HashMap;

use crate::clock::Timestamp;
use crate::ids::{PractitionerId, ResourceId};
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

/// A practitioner's day at a location, without the times that others than strangers have.
#[derive(Debug, Clone, Default)]
pub(super) struct PractitionerDay {
    /// The slots, in order.
    pub slots: Vec<Span>,
    /// What strangers hold.
    pub held: Vec<Span>,
}

/// The day of a unit of a resource.
#[derive(Debug, Clone, Default)]
pub(super) struct UnitDay {
    /// What others than strangers have.
    pub taken: Vec<Span>,
    /// What strangers hold.
    pub held: Vec<Span>,
}

/// The day of a location, and as much of the next one as visits need that start before midnight.
#[derive(Debug, Clone)]
pub(super) struct Day {
    /// The midnight after it. Visits that start before it count.
    pub end: Timestamp,
    pub practitioners: HashMap<PractitionerId, PractitionerDay>,
    /// The units of each resource.
    pub units: HashMap<ResourceId, Vec<UnitDay>>,
}

/// Visits of one length that need a unit of each of some resources, with any of some practitioners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Visits {
    pub length: VisitLength,
    /// The earliest start for patients.
    pub earliest: Timestamp,
    pub practitioners: Vec<PractitionerId>,
    pub resources: Vec<ResourceId>,
}

impl Day {
    /// Whether strangers hold something of the practitioners' time or, for visits with any of several, of the resources.
    pub fn is_held(&self, visits: &Visits) -> bool {
        let is_held = |held: &Vec<Span>| held.iter().any(|hold| hold.from < self.end);
        let mut practitioners = visits.practitioners.iter().filter_map(|id| self.practitioners.get(id));
        let mut units = visits.resources.iter().filter_map(|id| self.units.get(id)).flatten();
        practitioners.any(|day| is_held(&day.held))
            || (visits.practitioners.len() > 1 && units.any(|unit| is_held(&unit.held)))
    }

    /// Whether strangers take at most `percent` of these visits that would fit into the day without them.
    pub fn leaves_enough(&self, visits: &Visits, percent: u8) -> bool {
        let (without, with) = (self.capacity(visits, false), self.capacity(visits, true));
        (without - with) * 100 <= without * i64::from(percent)
    }

    /// How many of these visits fit, each at the first start that is left. They all have one length, so an earlier start never costs a
    /// later visit. Its time grows with the number of starts and not with what is taken, because strangers ask for it.
    fn capacity(&self, visits: &Visits, with_holds: bool) -> i64 {
        let minutes = visits.length.before + visits.length.from_start();
        let days = visits.practitioners.iter().filter_map(|id| self.practitioners.get(id));
        let mut starts: Vec<Start> = Vec::new();
        for (practitioner, day) in days.enumerate() {
            let runs = day.runs(with_holds).into_iter().filter(|run| run.from < self.end);
            let in_time = runs.filter(|run| run.from.plus(visits.length.before) >= visits.earliest);
            starts.extend(in_time.map(|run| Start { practitioner, run }));
        }
        starts.sort_unstable_by_key(|start| (start.run.from, start.practitioner));
        let units_of = |resource: &ResourceId| {
            let units = self.units.get(resource).into_iter().flatten();
            units.map(|unit| UnitTime::new(unit, with_holds)).collect()
        };
        let mut resources: Vec<Vec<UnitTime>> = visits.resources.iter().map(units_of).collect();
        let mut busy_until: Vec<Option<Timestamp>> = vec![None; visits.practitioners.len()];
        let mut count = 0;
        for Start { practitioner, run } in starts {
            let visit = Span { from: run.from, until: run.from.plus(minutes) };
            if visit.until > run.until || busy_until[practitioner].is_some_and(|until| visit.from < until) {
                continue;
            }
            let free = |units: &mut Vec<UnitTime>| units.iter_mut().position(|unit| unit.is_free(visit));
            let Some(units) = resources.iter_mut().map(free).collect::<Option<Vec<_>>>() else { continue };
            for (resource, unit) in resources.iter_mut().zip(units) {
                resource[unit].busy_until = Some(visit.until);
            }
            busy_until[practitioner] = Some(visit.until);
            count += 1;
        }
        count
    }
}

/// A slot of a practitioner in which a visit may start: from its start to the end of the free slots that follow without a gap.
struct Start {
    practitioner: usize,
    run: Span,
}

impl PractitionerDay {
    /// For each free slot the time from its start to the end of the free slots that follow without a gap.
    fn runs(&self, with_holds: bool) -> Vec<Span> {
        let is_free = |slot: &&Span| !with_holds || !self.held.iter().any(|hold| hold.overlaps(**slot));
        let mut runs: Vec<Span> = self.slots.iter().filter(is_free).copied().collect();
        for index in (1..runs.len()).rev() {
            if runs[index - 1].until == runs[index].from {
                runs[index - 1].until = runs[index].until;
            }
        }
        runs
    }
}

/// What is left of a unit's day while visits are placed in the order of their starts.
struct UnitTime {
    /// What others have, by start.
    taken: Vec<Span>,
    /// The first of them that may still matter.
    next: usize,
    /// The end of the last visit that was placed.
    busy_until: Option<Timestamp>,
}

impl UnitTime {
    fn new(unit: &UnitDay, with_holds: bool) -> Self {
        let held = unit.held.iter().filter(|_| with_holds);
        let mut taken: Vec<Span> = unit.taken.iter().chain(held).copied().collect();
        taken.sort_unstable_by_key(|span| (span.from, span.until));
        Self { taken, next: 0, busy_until: None }
    }

    /// Whether it is free for a visit that starts no earlier than those asked for before. What others have does not overlap, because
    /// the database keeps a unit for one at a time.
    fn is_free(&mut self, visit: Span) -> bool {
        while self.taken.get(self.next).is_some_and(|span| span.until <= visit.from) {
            self.next += 1;
        }
        self.busy_until.is_none_or(|until| until <= visit.from)
            && self.taken.get(self.next).is_none_or(|span| span.from >= visit.until)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn at(quarter: i64) -> Timestamp {
        let nine = Timestamp::from_micros(1_772_460_000_000_000).expect("an instant");
        nine.plus(SignedDuration::from_mins(15 * quarter))
    }

    fn span(from: i64, quarters: i64) -> Span {
        Span { from: at(from), until: at(from + quarters) }
    }

    fn practitioner(number: u128) -> PractitionerId {
        PractitionerId(Uuid::from_u128(number))
    }

    fn device() -> ResourceId {
        ResourceId(Uuid::from_u128(1))
    }

    /// Eight hours of slots of 15 minutes.
    fn eight_hours(held: Vec<Span>) -> PractitionerDay {
        PractitionerDay { slots: (0..32).map(|quarter| span(quarter, 1)).collect(), held }
    }

    /// The days of practitioners without a resource.
    fn days(of: Vec<PractitionerDay>) -> Day {
        let of = of.into_iter().zip(0..).map(|(day, number)| (practitioner(number), day));
        Day { end: at(60), practitioners: of.collect(), units: HashMap::new() }
    }

    fn day(held: Vec<Span>) -> Day {
        days(vec![eight_hours(held)])
    }

    /// Visits with the first practitioner.
    fn of_length(length: VisitLength) -> Visits {
        Visits { length, earliest: at(0), practitioners: vec![practitioner(0)], resources: vec![] }
    }

    fn minutes(visit: i32) -> Visits {
        of_length(VisitLength::of_minutes(0, visit, 0))
    }

    /// Visits of an hour with a device, with any of so many practitioners.
    fn with_device(practitioners: u128) -> Visits {
        Visits {
            practitioners: (0..practitioners).map(practitioner).collect(),
            resources: vec![device()],
            ..minutes(60)
        }
    }

    #[test]
    fn short_holds_with_gaps_take_more_visits_than_their_time() {
        let holds = |count: i64| (0..count).map(|n| span(3 + 5 * n, 2)).collect::<Vec<_>>();
        // Half-hour holds, 45 minutes apart: of eight visits of an hour each one takes about one.
        assert!(day(holds(2)).leaves_enough(&minutes(60), 40));
        assert!(!day(holds(4)).leaves_enough(&minutes(60), 40));
        // They take 4 of 16 half hours.
        assert!(day(holds(4)).leaves_enough(&minutes(30), 40));
        // Side by side they take two of eight hours.
        assert!(day((0..4).map(|n| span(2 * n, 2)).collect()).leaves_enough(&minutes(60), 40));
    }

    #[test]
    fn the_visits_of_several_units_count_together() {
        let unit = |held: Vec<Span>| UnitDay { held, ..UnitDay::default() };
        let with_units = |units: Vec<UnitDay>| Day {
            units: HashMap::from([(device(), units)]),
            ..days((0..3).map(|_| eight_hours(vec![])).collect())
        };
        let full = || unit(vec![span(0, 32)]);
        assert!(with_units(vec![unit(vec![]), unit(vec![]), full()]).leaves_enough(&with_device(3), 40));
        assert!(!with_units(vec![unit(vec![]), full()]).leaves_enough(&with_device(3), 40));
        // One practitioner fills one unit.
        assert!(with_units(vec![unit(vec![]), full()]).leaves_enough(&with_device(1), 40));
    }

    #[test]
    fn a_device_can_be_used_while_somebody_who_uses_it_works() {
        // Another practitioner works for eight hours, and the one who uses the device for two.
        let mut both = days(vec![
            PractitionerDay { slots: (0..8).map(|quarter| span(quarter, 1)).collect(), held: vec![] },
            eight_hours(vec![]),
        ]);
        both.units = HashMap::from([(device(), vec![UnitDay { held: vec![span(0, 8)], ..UnitDay::default() }])]);
        assert!(!both.leaves_enough(&with_device(1), 50));
        both.units = HashMap::from([(device(), vec![UnitDay { held: vec![span(8, 8)], ..UnitDay::default() }])]);
        assert!(both.leaves_enough(&with_device(1), 0));
    }

    #[test]
    fn holds_of_a_device_and_holds_of_those_who_use_it_count_together() {
        let mut one = day(vec![span(0, 12)]);
        one.units = HashMap::from([(device(), vec![UnitDay { held: vec![span(16, 12)], ..UnitDay::default() }])]);
        // Each takes three of eight visits.
        assert!(one.leaves_enough(&minutes(60), 40));
        assert!(!one.leaves_enough(&with_device(1), 50));
    }

    #[test]
    fn what_others_have_of_a_unit_is_no_loss() {
        let mut one = day(vec![]);
        one.units = HashMap::from([(device(), vec![UnitDay { taken: vec![span(0, 28)], held: vec![] }])]);
        assert_eq!(one.capacity(&with_device(1), false), 1);
        assert!(one.leaves_enough(&with_device(1), 0));
    }

    #[test]
    fn a_visit_across_midnight_counts_on_the_day_of_its_start() {
        let night = |held: Vec<Span>| Day { end: at(60), ..days(vec![PractitionerDay { slots: night_slots(), held }]) };
        assert_eq!(night(vec![]).capacity(&minutes(480), false), 1);
        assert!(!night(vec![span(52, 32)]).leaves_enough(&minutes(480), 50));
        // Those that start after midnight are of the next day.
        assert_eq!(night(vec![]).capacity(&minutes(120), false), 1);
    }

    /// From two hours before midnight to six hours after it.
    fn night_slots() -> Vec<Span> {
        (52..84).map(|quarter| span(quarter, 1)).collect()
    }

    #[test]
    fn times_that_patients_cannot_book_any_more_are_no_capacity() {
        let late = Visits { earliest: at(24), ..minutes(60) };
        assert_eq!(day(vec![]).capacity(&late, false), 2);
        assert!(!day(vec![span(24, 8)]).leaves_enough(&late, 50));
        assert!(day(vec![span(24, 8)]).leaves_enough(&minutes(60), 50));
    }

    #[test]
    fn buffers_are_part_of_a_visit() {
        let with_buffers = of_length(VisitLength::of_minutes(15, 30, 15));
        assert_eq!(day(vec![]).capacity(&with_buffers, true), 8);
        assert_eq!(day(vec![span(3, 1)]).capacity(&with_buffers, true), 7);
    }

    proptest! {
        #[test]
        fn a_hold_never_makes_room_and_a_limit_of_all_allows_everything(
            holds in prop::collection::vec((0..30_i64, 1..6_i64), 0..8), more in (0..30_i64, 1..6_i64), visit in 1..9_i32,
        ) {
            let mut held: Vec<Span> = holds.into_iter().map(|(from, quarters)| span(from, quarters)).collect();
            let before = day(held.clone());
            held.push(span(more.0, more.1));
            let (after, visits) = (day(held), minutes(15 * visit));
            prop_assert!(after.capacity(&visits, true) <= before.capacity(&visits, true));
            prop_assert!(after.leaves_enough(&visits, 100));
        }

        #[test]
        fn what_is_allowed_leaves_the_share_of_visits_that_fit_one_after_the_other(
            holds in prop::collection::vec((0..30_i64, 1..6_i64), 0..8), visit in 1..9_i32, percent in 0..101_u8,
        ) {
            let mut allowed = vec![];
            let visits = minutes(15 * visit);
            for (from, quarters) in holds {
                allowed.push(span(from, quarters));
                if !day(allowed.clone()).leaves_enough(&visits, percent) {
                    allowed.pop();
                }
            }
            // Places a visit at the first start where it fits, again and again.
            let (mut start, mut placed) = (0_i64, 0_i64);
            while start + i64::from(visit) <= 32 {
                let place = span(start, visit.into());
                if allowed.iter().any(|hold| hold.overlaps(place)) {
                    start += 1;
                } else {
                    placed += 1;
                    start += i64::from(visit);
                }
            }
            prop_assert!(placed * 100 >= (32 / i64::from(visit)) * (100 - i64::from(percent)));
        }
    }
}
