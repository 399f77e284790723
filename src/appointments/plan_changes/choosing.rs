//! Which free times are proposed for visits that have to move. Pure.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use jiff::SignedDuration;
use jiff::civil::Date as Day;

use crate::clock::Timestamp;
use crate::ids::{LocationId, PatientId, PractitionerId, ResourceId};
use crate::scheduling::visit_time::VisitTime;

/// How many times are proposed for each visit.
pub const MOST: usize = 3;
/// A later time is near if it starts within this time of the visit's present start. Earlier times come after all of these: patients have
/// planned until the present start, and rarely can come sooner.
pub const NEAR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A visit that has to move.
#[derive(Debug, Clone)]
pub struct Visit {
    pub patient: PatientId,
    pub starts_at: Timestamp,
    /// The list of free times in which it fits.
    pub group: usize,
    /// The times of the patient's other visits.
    pub others: Vec<(Timestamp, Timestamp)>,
}

/// A free time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub practitioner: PractitionerId,
    pub time: VisitTime,
    /// The local day of the start.
    pub day: Day,
    pub needs: Vec<Need>,
}

/// A resource of which the visit takes a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    pub resource: (ResourceId, LocationId),
    /// How many units are free for the whole time.
    pub free: usize,
}

/// The first choice of a visit, with its patient.
type First<'a> = Option<(PatientId, &'a Choice)>;

impl Choice {
    /// Whether a practitioner cannot see both patients.
    fn collides(&self, other: &Self) -> bool {
        self.practitioner == other.practitioner && self.is_busy_with(other)
    }

    fn is_busy_with(&self, other: &Self) -> bool {
        overlap((self.time.busy_from, self.time.busy_until), (other.time.busy_from, other.time.busy_until))
    }

    /// The first choices that need a unit of the resource at the same time.
    fn rivals<'a>(&self, resource: (ResourceId, LocationId), firsts: &[First<'a>]) -> Vec<&'a Choice> {
        let needs = |one: &Self| one.needs.iter().any(|need| need.resource == resource);
        let firsts = firsts.iter().flatten().map(|(_, first)| *first);
        firsts.filter(|first| needs(first) && self.is_busy_with(first)).collect()
    }

    /// Whether a unit of each resource is left for this and for each first choice, whichever units the others take, in any order: each takes one
    /// unit, so a choice with more free units than rivals always has one left.
    fn leaves_units(&self, firsts: &[First]) -> bool {
        self.needs.iter().all(|need| {
            let rivals = self.rivals(need.resource, firsts);
            let is_left = |rival: &&Choice| {
                let free =
                    rival.needs.iter().find(|other| other.resource == need.resource).map_or(0, |other| other.free);
                // Its rivals are this one instead of itself.
                rival.rivals(need.resource, firsts).len() < free
            };
            rivals.len() < need.free && rivals.iter().all(is_left)
        })
    }

    fn visit(&self) -> (Timestamp, Timestamp) {
        (self.time.starts_at, self.time.ends_at)
    }
}

fn overlap(one: (Timestamp, Timestamp), other: (Timestamp, Timestamp)) -> bool {
    one.0 < other.1 && other.0 < one.1
}

/// Returns for each visit the places of its proposals in the list of its group, the first choice first.
///
/// First choices are the best ones by [`in_order`]. They never collide, so all visits can move to them at once, and a unit of each resource
/// is left for each; the visits choose in their order. The further proposals are on other days, as far as other days have a free time. No
/// proposal takes a first choice of another visit, or the time of another visit of the patient.
pub fn propose(visits: &[Visit], groups: &[Vec<Choice>]) -> Vec<Vec<usize>> {
    let choices = |visit: &Visit| groups.get(visit.group).map(Vec::as_slice).unwrap_or_default();
    let mut firsts: Vec<First> = vec![None; visits.len()];
    let mut proposals: Vec<Vec<usize>> = vec![Vec::new(); visits.len()];
    for (at, visit) in visits.iter().enumerate() {
        let free = |place: &usize| is_free(visit, &choices(visit)[*place], &firsts);
        if let Some(place) = in_order(visit, choices(visit)).into_iter().find(free) {
            firsts[at] = Some((visit.patient, &choices(visit)[place]));
            proposals[at].push(place);
        }
    }
    for (at, visit) in visits.iter().enumerate() {
        let Some(first) = proposals[at].first().copied() else { continue };
        let own = firsts[at].take();
        proposals[at] = with_others(visit, choices(visit), first, &firsts);
        firsts[at] = own;
    }
    proposals
}

/// Adds further proposals to a first choice: the best one of each other day, then the best ones that are left.
fn with_others(visit: &Visit, choices: &[Choice], first: usize, firsts: &[First]) -> Vec<usize> {
    let others = in_order(visit, choices).into_iter().filter(|place| *place != first);
    let mut others = others.filter(|place| is_free(visit, &choices[*place], firsts));
    let mut days = BTreeSet::from([choices[first].day]);
    let (mut chosen, mut same_days) = (Vec::new(), Vec::new());
    while chosen.len() < MOST - 1 {
        let Some(place) = others.next() else { break };
        if days.insert(choices[place].day) {
            chosen.push(place);
        } else if same_days.len() < MOST - 1 {
            same_days.push(place);
        }
    }
    let missing = MOST - 1 - chosen.len();
    chosen.extend(same_days.into_iter().take(missing));
    let mut proposals = vec![first];
    proposals.extend(in_order(visit, choices).into_iter().filter(|place| chosen.contains(place)));
    proposals
}

/// The places of a list, the best one first: the near later times by their start, which begin with a colleague at the same time and the rest
/// of the day; then the earlier times, the nearest first; then the times that are later than near.
fn in_order(visit: &Visit, choices: &[Choice]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..choices.len()).collect();
    places.sort_by_key(|place| {
        let start = choices[*place].time.starts_at;
        (Wait::of(visit, start), *place)
    });
    places
}

/// How well a start fits in the place of the present one, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wait {
    Near(Timestamp),
    Earlier(Reverse<Timestamp>),
    Far(Timestamp),
}

impl Wait {
    fn of(visit: &Visit, start: Timestamp) -> Self {
        if start < visit.starts_at {
            Self::Earlier(Reverse(start))
        } else if start <= visit.starts_at.plus(NEAR) {
            Self::Near(start)
        } else {
            Self::Far(start)
        }
    }
}

fn is_free(visit: &Visit, choice: &Choice, firsts: &[First]) -> bool {
    let is_taken = |(patient, first): &(PatientId, &Choice)| {
        choice.collides(first) || (*patient == visit.patient && overlap(choice.visit(), first.visit()))
    };
    !visit.others.iter().any(|other| overlap(choice.visit(), *other))
        && !firsts.iter().flatten().any(is_taken)
        && choice.leaves_units(firsts)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::scheduling::visit_time::VisitLength;

    fn at(minutes: i64) -> Timestamp {
        let start: Timestamp = "2026-03-02T14:00:00Z".parse().expect("an instant");
        start.plus(SignedDuration::from_mins(minutes))
    }

    fn choice(practitioner: u8, quarter: i64, length: i32) -> Choice {
        let time = VisitLength::of_minutes(0, length, 15).starting(at(quarter * 15));
        let day = time.starts_at.in_zone(&TimeZone::UTC).date();
        Choice { practitioner: PractitionerId(Uuid::from_u128(practitioner.into())), time, day, needs: Vec::new() }
    }

    const SCANNER: (ResourceId, LocationId) = (ResourceId(Uuid::nil()), LocationId(Uuid::nil()));

    /// Whether a unit is free, by the times at which it is taken.
    fn is_unit_free(taken: &[(Timestamp, Timestamp)], time: VisitTime) -> bool {
        !taken.iter().any(|span| overlap(*span, (time.busy_from, time.busy_until)))
    }

    fn visit(patient: u8, quarter: i64) -> Visit {
        let patient = PatientId(Uuid::from_u128(patient.into()));
        Visit { patient, starts_at: at(quarter * 15), group: 0, others: Vec::new() }
    }

    /// Quarters of an hour in a day.
    const DAY: i64 = 96;

    #[test]
    fn a_colleague_at_the_same_time_comes_first_then_later_times_and_earlier_ones_last() {
        let choices = vec![choice(1, -8, 15), choice(1, -4, 15), choice(2, 0, 15), choice(1, 4, 15), choice(1, 8, 15)];
        assert_eq!(in_order(&visit(1, 0), &choices), [2, 3, 4, 1, 0]);
        assert_eq!(propose(&[visit(1, 0)], &[choices]), [vec![2, 3, 4]]);
    }

    #[test]
    fn an_earlier_time_comes_before_one_that_is_later_than_near() {
        let choices = vec![choice(1, -4, 15), choice(1, 7 * DAY, 15), choice(1, 7 * DAY + 1, 15)];
        assert_eq!(in_order(&visit(1, 0), &choices), [1, 0, 2]);
        assert_eq!(in_order(&visit(1, -1), &choices), [0, 1, 2], "the later ones are both too far");
    }

    #[test]
    fn the_further_proposals_are_on_other_days() {
        let day = |at: i64| [0, 1, 2].map(|quarter| choice(1, at * DAY + quarter, 15));
        let choices: Vec<_> = [day(1), day(2), day(4)].into_iter().flatten().collect();
        assert_eq!(propose(&[visit(1, 0)], &[choices]), [vec![0, 3, 6]]);
        let choices: Vec<_> = [day(1), day(2)].into_iter().flatten().collect();
        assert_eq!(propose(&[visit(1, 0)], &[choices]), [vec![0, 1, 3]], "two days have three times");
    }

    #[test]
    fn a_first_choice_is_proposed_to_one_visit_only() {
        let choices = vec![choice(1, 4, 15), choice(1, 5, 15), choice(2, 6, 15), choice(2, 40, 15)];
        let proposed = propose(&[visit(1, 0), visit(2, 0)], &[choices]);
        // The buffer after the first visit takes the second time from the other visit, but the first visit could have it itself.
        assert_eq!(proposed, [vec![0, 1, 3], vec![2, 3]]);
    }

    #[test]
    fn a_patient_is_not_sent_to_two_practitioners_at_once() {
        let choices = vec![choice(1, 4, 15), choice(2, 4, 15), choice(2, 9, 15)];
        let mut third = visit(7, 0);
        third.others = vec![(at(60), at(75))];
        let proposed = propose(&[visit(1, 0), visit(1, 1), third], &[choices]);
        assert_eq!(proposed[0][0], 0);
        assert_eq!(proposed[1], [2]);
        assert!(proposed[2].is_empty(), "{proposed:?}");
        assert_eq!(propose(&[visit(1, 0)], &[Vec::new()]), [Vec::<usize>::new()]);
    }

    #[test]
    fn two_first_choices_never_want_the_last_unit() {
        let scan = |practitioner, quarter, free| Choice {
            needs: vec![Need { resource: SCANNER, free }],
            ..choice(practitioner, quarter, 15)
        };
        let choices = vec![scan(1, 4, 1), scan(2, 4, 1), scan(2, 6, 1), scan(3, 6, 1)];
        let proposed = propose(&[visit(1, 0), visit(2, 0), visit(3, 0)], &[choices]);
        assert_eq!(proposed, [vec![0, 1], vec![2, 3], vec![]], "one unit at each time");
        let choices = vec![scan(1, 4, 2), scan(2, 4, 2), scan(3, 4, 2)];
        let proposed = propose(&[visit(1, 0), visit(2, 0), visit(3, 0)], &[choices]);
        assert_eq!(proposed, [vec![0, 2], vec![1, 2], vec![]], "two units");
    }

    proptest! {
        #[test]
        fn all_first_choices_get_a_unit_in_any_order(
            visits in vec((0_u8..20, 0_i64..30, 0_usize..2), 0..12).prop_shuffle(),
            free in vec((0_u8..6, 0_i64..24), 0..40),
            taken in vec(vec((0_i64..24, 1_i64..8), 0..4), 1..4),
            order in Just((0..12_usize).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let mut units: Vec<Vec<(Timestamp, Timestamp)>> = taken
                .iter()
                .map(|spans| spans.iter().map(|(from, length)| (at(from * 15), at((from + length) * 15))).collect())
                .collect();
            // As in the search: only times at which a unit is free.
            let with_unit = |one: Choice| {
                let free = units.iter().filter(|taken| is_unit_free(taken, one.time)).count();
                (free > 0).then(|| Choice { needs: vec![Need { resource: SCANNER, free }], ..one })
            };
            let groups = [15, 60]
                .map(|length| free.iter().filter_map(|(who, at)| with_unit(choice(*who, *at, length))).collect::<Vec<_>>());
            let visits: Vec<_> =
                visits.into_iter().map(|(patient, quarter, group)| Visit { group, ..visit(patient, quarter) }).collect();
            let proposed = propose(&visits, &groups);
            for index in order.into_iter().filter(|index| *index < visits.len()) {
                let Some(place) = proposed[index].first() else { continue };
                let time = groups[visits[index].group][*place].time;
                let unit = units.iter_mut().find(|taken| is_unit_free(taken, time));
                let Some(taken) = unit else { return Err(TestCaseError::fail(format!("no unit is left for visit {index}"))) };
                taken.push((time.busy_from, time.busy_until));
            }
        }

        #[test]
        fn all_first_choices_can_be_taken_at_once(
            visits in vec((0_u8..4, 0_i64..30, 0_usize..2), 0..20),
            free in vec((0_u8..3, 0_i64..40), 0..60),
            busy in vec(0_i64..40, 0..3),
        ) {
            let groups = [15, 60].map(|length| free.iter().map(|(who, at)| choice(*who, *at, length)).collect::<Vec<_>>());
            let others: Vec<_> = busy.iter().map(|quarter| (at(quarter * 15), at(quarter * 15 + 30))).collect();
            let visits: Vec<_> = visits
                .into_iter()
                .map(|(patient, quarter, group)| Visit { group, others: others.clone(), ..visit(patient, quarter) })
                .collect();
            let proposed = propose(&visits, &groups);
            let chosen: Vec<Vec<Choice>> = visits
                .iter()
                .zip(&proposed)
                .map(|(visit, places)| places.iter().map(|place| groups[visit.group][*place].clone()).collect())
                .collect();
            for (index, (visit, own)) in visits.iter().zip(&chosen).enumerate() {
                prop_assert!(own.len() <= MOST);
                prop_assert!(own.iter().all(|one| !others.iter().any(|other| overlap(one.visit(), *other))));
                for (other_index, (other, theirs)) in visits.iter().zip(&chosen).enumerate() {
                    let Some(first) = theirs.first().filter(|_| index != other_index) else { continue };
                    for one in own {
                        prop_assert!(!one.collides(first));
                        prop_assert!(visit.patient != other.patient || !overlap(one.visit(), first.visit()));
                    }
                }
                // A visit without a proposal has none that is free.
                if own.is_empty() {
                    let firsts: Vec<_> =
                        visits.iter().zip(&chosen).map(|(one, own)| Some((one.patient, own.first()?))).collect();
                    prop_assert!(!groups[visit.group].iter().any(|choice| is_free(visit, choice, &firsts)));
                }
            }
        }

        #[test]
        fn an_earlier_time_is_the_first_choice_only_if_no_near_later_one_is_free(
            visits in vec((0_u8..4, 0_i64..2 * DAY), 0..12),
            free in vec((0_u8..3, -DAY..12 * DAY), 0..40),
        ) {
            let choices: Vec<_> = free.iter().map(|(who, at)| choice(*who, *at, 15)).collect();
            let visits: Vec<_> = visits.into_iter().map(|(patient, quarter)| visit(patient, quarter)).collect();
            let groups = [choices];
            let proposed = propose(&visits, &groups);
            for (index, (visit, own)) in visits.iter().zip(&proposed).enumerate() {
                let Some(first) = own.first().map(|place| &groups[0][*place]) else { continue };
                if first.time.starts_at >= visit.starts_at {
                    continue;
                }
                let firsts = firsts_of_others(&visits, &groups[0], &proposed, index);
                let is_near = |one: &&Choice| matches!(Wait::of(visit, one.time.starts_at), Wait::Near(_));
                prop_assert!(!groups[0].iter().filter(is_near).any(|one| is_free(visit, one, &firsts)));
            }
        }

        #[test]
        fn two_proposals_are_on_one_day_only_if_no_other_day_has_a_free_time(
            visits in vec((0_u8..4, 0_i64..2 * DAY), 0..12),
            free in vec((0_u8..3, -DAY..12 * DAY), 0..40),
        ) {
            let choices: Vec<_> = free.iter().map(|(who, at)| choice(*who, *at, 15)).collect();
            let visits: Vec<_> = visits.into_iter().map(|(patient, quarter)| visit(patient, quarter)).collect();
            let groups = [choices];
            let proposed = propose(&visits, &groups);
            for (index, (visit, own)) in visits.iter().zip(&proposed).enumerate() {
                let days: BTreeSet<_> = own.iter().map(|place| groups[0][*place].day).collect();
                let firsts = firsts_of_others(&visits, &groups[0], &proposed, index);
                let is_on_another_day = |one: &&Choice| !days.contains(&one.day);
                if days.len() < own.len().max(1) || own.len() < MOST {
                    prop_assert!(!groups[0].iter().filter(is_on_another_day).any(|one| is_free(visit, one, &firsts)));
                }
            }
        }
    }

    /// The first choices of all visits but one.
    fn firsts_of_others<'a>(
        visits: &[Visit],
        choices: &'a [Choice],
        proposed: &[Vec<usize>],
        without: usize,
    ) -> Vec<First<'a>> {
        let first = |(at, (visit, own)): (usize, (&Visit, &Vec<usize>))| {
            let place = own.first().filter(|_| at != without)?;
            Some((visit.patient, &choices[*place]))
        };
        visits.iter().zip(proposed).enumerate().map(first).collect()
    }
}
