//! Whom a free time is offered to. Pure.
//!
//! The more urgent entry is first, then the one that has waited longer, then the one with the lower id. Only an entry counts that the time
//! suits, that is not paused, and whose patient has no other open offer; an account that patients use gets one offer at a time for all its
//! entries ([`super::room`]). An entry is paused after some offers in a row that lapsed; it keeps its place, and waits again when somebody
//! changes it. An entry keeps its place when the patient declines an offer. It is not offered that time again, nor, for a day, a time of the
//! same practitioner that starts at most two hours before or after it.

use std::collections::HashSet;

use jiff::SignedDuration;

use super::entry::WaitlistUrgency;
use crate::clock::Timestamp;
use crate::ids::{PatientId, PractitionerId, WaitlistEntryId};

/// How far the start of a time may be from that of a declined one to be like it.
const NEAR: SignedDuration = SignedDuration::from_hours(2);
/// How long after a decline an entry is not offered a time like the declined one.
const REST: SignedDuration = SignedDuration::from_hours(24);

/// What the rule knows of an entry that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub id: WaitlistEntryId,
    pub patient: PatientId,
    pub urgency: WaitlistUrgency,
    /// The time since which the patient waits.
    pub since: Timestamp,
    /// How many offers lapsed in a row.
    pub lapses: u32,
}

impl Candidate {
    /// The place in the queue; the lowest is first.
    fn place(&self) -> (WaitlistUrgency, Timestamp, WaitlistEntryId) {
        (self.urgency, self.since, self.id)
    }
}

/// A time that the patient declined.
#[derive(Debug, Clone, Copy)]
pub(super) struct Declined {
    pub practitioner: PractitionerId,
    pub starts_at: Timestamp,
    /// When the patient declined it.
    pub at: Timestamp,
}

/// Returns whether a time is so like one that the patient declined a short time ago that it is not offered yet.
pub(super) fn is_like_declined(
    (practitioner, starts_at): (PractitionerId, Timestamp),
    declined: &[Declined],
    now: Timestamp,
) -> bool {
    declined.iter().any(|one| {
        let is_near = one.starts_at.minus(NEAR) <= starts_at && starts_at <= one.starts_at.plus(NEAR);
        one.practitioner == practitioner && is_near && now < one.at.plus(REST)
    })
}

/// Returns the entries that may get a time, in the order in which they choose: each one, the first free time that suits it. So a time goes to
/// the first one that it suits. `offered` are the patients with an open offer. An entry pauses after `pause_after` lapses.
pub(super) fn queue<'a>(
    waiting: impl IntoIterator<Item = &'a Candidate>,
    offered: &HashSet<PatientId>,
    pause_after: u32,
) -> Vec<&'a Candidate> {
    let is_open = |candidate: &&Candidate| candidate.lapses < pause_after && !offered.contains(&candidate.patient);
    let mut queue: Vec<&Candidate> = waiting.into_iter().filter(is_open).collect();
    queue.sort_by_key(|candidate| candidate.place());
    queue
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn candidate() -> impl Strategy<Value = Candidate> {
        (0..1000_u128, 0..8_u128, 0..3_usize, 0..5_i64, 0..4_u32).prop_map(|(id, patient, urgency, since, lapses)| {
            Candidate {
                id: WaitlistEntryId(Uuid::from_u128(id)),
                patient: PatientId(Uuid::from_u128(patient)),
                urgency: WaitlistUrgency::ALL[urgency],
                since: Timestamp::from_micros(since).expect("an instant"),
                lapses,
            }
        })
    }

    /// Entries with different ids.
    fn entries() -> impl Strategy<Value = Vec<Candidate>> {
        prop::collection::vec(candidate(), 0..12).prop_map(|mut all| {
            all.sort_by_key(|one| one.id);
            all.dedup_by_key(|one| one.id);
            all
        })
    }

    /// The entry that gets a time that suits all.
    fn first<'a>(suited: &'a [Candidate], offered: &HashSet<PatientId>, pause_after: u32) -> Option<&'a Candidate> {
        queue(suited, offered, pause_after).into_iter().next()
    }

    fn patients(numbers: HashSet<u128>) -> HashSet<PatientId> {
        numbers.into_iter().map(|number| PatientId(Uuid::from_u128(number))).collect()
    }

    fn minutes(count: i64) -> SignedDuration {
        SignedDuration::from_mins(count)
    }

    proptest! {
        #[test]
        fn a_time_like_a_declined_one_rests_for_a_day_and_no_other_time_does(
            declined in prop::collection::vec((0..3_u128, 0..3000_i64, -3000..0_i64), 0..6),
            practitioner in 0..3_u128, starts in 0..3000_i64, later in 0..3000_i64,
        ) {
            let now = Timestamp::from_micros(0).expect("an instant");
            let doctor = |number| PractitionerId(Uuid::from_u128(number));
            let all: Vec<Declined> = declined.iter().map(|&(number, starts, at)| Declined {
                practitioner: doctor(number), starts_at: now.plus(minutes(starts)), at: now.plus(minutes(at)),
            }).collect();
            let time = (doctor(practitioner), now.plus(minutes(starts)));
            let rests = is_like_declined(time, &all, now);
            let expected = declined.iter().any(|&(number, start, at)| {
                number == practitioner && (start - starts).abs() <= 120 && at > -24 * 60
            });
            prop_assert_eq!(rests, expected);
            // It never begins to rest by the clock, and what others declined does not matter.
            prop_assert!(rests || !is_like_declined(time, &all, now.plus(minutes(later))));
            prop_assert!(!is_like_declined(time, &all, now.plus(minutes(24 * 60))));
            let own: Vec<Declined> = all.iter().rev().filter(|one| one.practitioner == time.0).copied().collect();
            prop_assert_eq!(is_like_declined(time, &own, now), rests);
        }

        #[test]
        fn the_choice_does_not_depend_on_the_order_of_the_rows(
            waiting in entries().prop_shuffle(), offered in prop::collection::hash_set(0..8_u128, 0..4), pause in 1..4_u32,
        ) {
            let offered = patients(offered);
            let mut sorted = waiting.clone();
            sorted.sort_by_key(|one| std::cmp::Reverse(one.id));
            prop_assert_eq!(first(&waiting, &offered, pause), first(&sorted, &offered, pause));
        }

        #[test]
        fn nobody_is_passed_over_for_one_who_is_less_urgent_or_came_later(
            waiting in entries(), offered in prop::collection::hash_set(0..8_u128, 0..4), pause in 1..4_u32,
        ) {
            let offered = patients(offered);
            let may = |one: &&Candidate| one.lapses < pause && !offered.contains(&one.patient);
            let Some(chosen) = first(&waiting, &offered, pause) else {
                prop_assert!(!waiting.iter().any(|one| may(&one)), "a time is offered if anybody may get it");
                return Ok(());
            };
            prop_assert!(may(&chosen));
            for other in waiting.iter().filter(may) {
                let more_urgent = other.urgency < chosen.urgency;
                let longer = other.urgency == chosen.urgency && other.since < chosen.since;
                prop_assert!(!more_urgent && !longer, "{other:?} before {chosen:?}");
            }
        }

        #[test]
        fn offers_one_after_the_other_reach_everybody_once_in_the_order_of_the_queue(waiting in entries()) {
            let (mut offered, mut order) = (HashSet::new(), Vec::new());
            while let Some(chosen) = first(&waiting, &offered, 4) {
                prop_assert!(offered.insert(chosen.patient), "nobody has two offers at once");
                order.push(chosen.place());
            }
            prop_assert!(order.is_sorted());
            let everybody: HashSet<PatientId> = waiting.iter().map(|one| one.patient).collect();
            prop_assert_eq!(offered, everybody);
        }

        #[test]
        fn each_time_goes_to_the_first_one_that_it_suits(
            waiting in entries(), suits in prop::collection::vec(prop::collection::hash_set(0..6_usize, 0..4), 12),
        ) {
            // Which of the times suit each entry. An entry chooses the first one that is left.
            let suited = |one: &Candidate| &suits[waiting.iter().position(|other| other == one).expect("an entry")];
            let (mut given, mut offered) = (std::collections::HashMap::new(), HashSet::new());
            for one in queue(&waiting, &HashSet::new(), 4) {
                let choice = (0..6).find(|time| suited(one).contains(time) && !given.contains_key(time));
                if let Some(time) = choice.filter(|_| !offered.contains(&one.patient)) {
                    offered.insert(one.patient);
                    given.insert(time, one.clone());
                }
            }
            let left_out = waiting.iter().filter(|one| !offered.contains(&one.patient));
            for (one, time) in left_out.flat_map(|one| suited(one).iter().map(move |time| (one, time))) {
                let other = given.get(time);
                prop_assert!(other.is_some_and(|other| other.place() < one.place()), "{one:?} could have had {time}");
            }
        }
    }
}
