//! Finds the starts of a visit among free slots that are read in order: the rule of [`check_fit`](super::slot::check_fit) for all starts at
//! once, in memory that does not grow with the slots read.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use diesel::prelude::*;

use super::units::Units;
use crate::clock::Timestamp;
use crate::db::schema::slots;
use crate::ids::{LocationId, PractitionerId, SlotId};
use crate::scheduling::visit_time::VisitLength;

/// A slot that is neither booked nor blocked.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = slots)]
pub struct FreeSlot {
    pub id: SlotId,
    pub practitioner_id: PractitionerId,
    pub location_id: LocationId,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    /// The time at which the hold on it lapses or has lapsed.
    pub held_until: Option<Timestamp>,
}

/// Slots of one practitioner that follow each other without a gap at one location, none of them held.
struct Run {
    location_id: LocationId,
    ends_at: Timestamp,
    /// The starts of its last slots, as far back as the buffer before a visit reaches.
    starts: VecDeque<Timestamp>,
    /// The starts for which the run is not long enough yet, by number.
    undecided: VecDeque<(u64, FreeSlot)>,
}

/// Decides for one slot after the other, in order of start and id, whether the visit fits from it on.
pub struct Finder {
    length: VisitLength,
    now: Timestamp,
    /// The units that the visit needs; none if it needs no resources.
    units: Option<Arc<Units>>,
    runs: HashMap<PractitionerId, Run>,
    /// The slots in which the visit can start, by number. Numbers count the slots that have the buffer before them.
    found: BTreeMap<u64, FreeSlot>,
    count: u64,
}

impl Finder {
    /// For a visit of this length. Holds that have lapsed by `now` do not count.
    pub fn new(length: VisitLength, now: Timestamp, units: Option<Arc<Units>>) -> Self {
        Self { length, now, units, runs: HashMap::new(), found: BTreeMap::new(), count: 0 }
    }

    /// Takes the next slot. The visit may start in it if `is_start`, and may continue in it otherwise as well.
    pub fn add(&mut self, slot: FreeSlot, is_start: bool) {
        if slot.held_until.is_some_and(|until| until > self.now) {
            self.runs.remove(&slot.practitioner_id);
            return;
        }
        let run = self.runs.entry(slot.practitioner_id).or_insert_with(|| Run {
            location_id: slot.location_id,
            ends_at: slot.starts_at,
            starts: VecDeque::new(),
            undecided: VecDeque::new(),
        });
        if run.ends_at != slot.starts_at || run.location_id != slot.location_id {
            run.undecided.clear();
            run.starts.clear();
            run.location_id = slot.location_id;
        }
        run.ends_at = slot.ends_at;
        run.starts.push_back(slot.starts_at);
        let busy_from = self.length.starting(slot.starts_at).busy_from;
        while run.starts.front().is_some_and(|start| *start < busy_from) {
            run.starts.pop_front();
        }
        // A slot that begins before the buffer could not be booked in part.
        if is_start && run.starts.front() == Some(&busy_from) {
            run.undecided.push_back((self.count, slot));
            self.count += 1;
        }
        while let Some((number, start)) = run.undecided.pop_front() {
            let end = self.length.starting(start.starts_at).busy_until;
            if end > run.ends_at {
                run.undecided.push_front((number, start));
                break;
            }
            // A slot that ends after the visit could not be booked in part.
            let has_units = || {
                let time = self.length.starting(start.starts_at);
                self.units.as_ref().is_none_or(|units| units.choose(start.location_id, time).is_ok())
            };
            if end == run.ends_at && has_units() {
                self.found.insert(number, start);
            }
        }
    }

    /// How many starts are found that no later slot can precede.
    pub fn decided(&self) -> usize {
        match self.first_undecided() {
            Some(first) => self.found.range(..first).count(),
            None => self.found.len(),
        }
    }

    /// Whether some start still depends on later slots.
    pub fn is_undecided(&self) -> bool {
        self.first_undecided().is_some()
    }

    fn first_undecided(&self) -> Option<u64> {
        self.runs.values().filter_map(|run| run.undecided.front()).map(|(number, _)| *number).min()
    }

    /// Takes the starts that are found so far. For callers to whom the order does not matter.
    pub fn take_found(&mut self) -> impl Iterator<Item = FreeSlot> {
        std::mem::take(&mut self.found).into_values()
    }

    /// The starts, in order. Starts for which slots were missing are none.
    pub fn finish(self) -> impl Iterator<Item = FreeSlot> {
        self.found.into_values()
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::super::slot::{Slot, check_fit};
    use super::super::units::Unit;
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        let base = Timestamp::from_micros(1_772_460_000_000_000).expect("an instant");
        base.plus(SignedDuration::from_mins(minutes))
    }

    const NOW: i64 = 10;

    prop_compose! {
        /// Two units of a resource at each location, with the times at which they are taken.
        fn units()(spans in prop::collection::vec((0..4_u128, 0..300_i64, 1..90_i64), 0..8)) -> Units {
            let resource_id = Uuid::from_u128(7).into();
            let unit = |id: u128| Unit {
                id: Uuid::from_u128(id).into(),
                resource_id,
                location_id: Uuid::from_u128(1 + id % 2).into(),
                number: i32::try_from(1 + id / 2).expect("small"),
            };
            let mut taken: HashMap<_, Vec<(Timestamp, Timestamp)>> = HashMap::new();
            for (id, from, length) in spans {
                let times = taken.entry(Uuid::from_u128(id).into()).or_default();
                let (from, until) = (at(from), at(from + length));
                if times.iter().all(|(other, end)| *end <= from || until <= *other) {
                    times.push((from, until));
                    times.sort_unstable();
                }
            }
            Units { needed: vec![resource_id], units: (0..4).map(unit).collect(), taken }
        }
    }

    prop_compose! {
        /// Slots of one practitioner, one after the other, mostly without a gap.
        fn calendar(practitioner: u128)(parts in prop::collection::vec(
            (prop_oneof![9 => Just(0_i64), 1 => 1_i64..30], prop_oneof![9 => Just(15_i64), 1 => 5_i64..40],
             prop_oneof![9 => Just(1_u128), 1 => Just(2_u128)], prop::bool::weighted(0.1), prop::option::weighted(0.2, 0_i64..20)),
            0..24,
        )) -> Vec<Slot> {
            let mut clock = 0;
            parts.into_iter().enumerate().map(|(index, (gap, length, location, booked, held))| {
                let starts_at = clock + gap;
                clock = starts_at + length;
                Slot {
                    id: Uuid::from_u128((practitioner << 64) | u128::try_from(index + 1).expect("few")).into(),
                    practitioner_id: Uuid::from_u128(practitioner).into(),
                    location_id: Uuid::from_u128(location).into(),
                    starts_at: at(starts_at),
                    ends_at: at(clock),
                    appointment_id: booked.then(|| Uuid::from_u128(9).into()),
                    hold_id: held.map(|_| Uuid::from_u128(8).into()),
                    held_until: held.map(at),
                    blocked: false,
                    off_plan: None,
                }
            }).collect()
        }
    }

    proptest! {
        #[test]
        fn a_start_is_found_exactly_if_booking_accepts_it(
            calendars in (calendar(1), calendar(2), calendar(3)), quarters in (0..3_i32, 1..6_i32, 0..3_i32),
            first_start in prop_oneof![Just(0), 0..120_i64], last_start in 0..300_i64,
            units in prop::option::of(units()),
        ) {
            let length = VisitLength::of_minutes(quarters.0 * 15, quarters.1 * 15, quarters.2 * 15);
            let all: Vec<Slot> = [calendars.0, calendars.1, calendars.2].concat();
            // What booking locks and checks: all slots of the practitioner within the working time of the visit.
            let accepts = |start: &Slot| {
                let time = length.starting(start.starts_at);
                let visit: Vec<Slot> = all.iter()
                    .filter(|slot| slot.practitioner_id == start.practitioner_id)
                    .filter(|slot| time.busy_from <= slot.starts_at && slot.starts_at < time.busy_until)
                    .cloned().collect();
                check_fit(&visit, time, at(NOW), None).is_ok()
                    && units.as_ref().is_none_or(|units| units.choose(start.location_id, time).is_ok())
            };
            let is_start = |slot: &Slot| at(first_start) <= slot.starts_at && slot.starts_at <= at(last_start);
            let mut expected: Vec<_> = all.iter().filter(|slot| is_start(slot) && accepts(slot)).collect();
            expected.sort_by_key(|slot| (slot.starts_at, slot.id));

            let mut free: Vec<_> = all.iter().filter(|slot| slot.appointment_id.is_none()).collect();
            free.sort_by_key(|slot| (slot.starts_at, slot.id));
            let mut finder = Finder::new(length, at(NOW), units.clone().map(Arc::new));
            for slot in free {
                let decided = finder.decided();
                let Slot { id, practitioner_id, location_id, starts_at, ends_at, held_until, .. } = slot.clone();
                finder.add(FreeSlot { id, practitioner_id, location_id, starts_at, ends_at, held_until }, is_start(slot));
                // What was decided stays the beginning of the result.
                let beginning: Vec<_> = finder.found.values().take(decided).map(|slot| slot.id).collect();
                prop_assert!(expected.iter().take(decided).map(|slot| slot.id).eq(beginning));
            }
            prop_assert!(finder.finish().map(|slot| slot.id).eq(expected.iter().map(|slot| slot.id)));
        }
    }
}
