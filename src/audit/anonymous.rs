//! Events of callers without a session whose requests change nothing: refusals, repeats, and successes without an effect. Equal ones
//! are merged, and only a limited number of them is stored a minute. Beyond it they are counted, because a flood from many addresses
//! must not fill the trail.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::model::{AuditOutcome, Event};
use crate::clock::Timestamp;
use crate::signed::Signer;

/// How many lines a window has at most.
const LINES: usize = 60;
const WINDOW: Duration = Duration::from_mins(1);

/// Whether it is the event of a caller without a session whose request changed nothing and showed no patient. Only queued events are
/// asked: a change stores its event in its own transaction.
pub fn is_anonymous(event: &Event) -> bool {
    let is_without_effect = match event.outcome {
        AuditOutcome::Refused | AuditOutcome::Replayed => true,
        AuditOutcome::Success => event.patient_id.is_none() && event.shown.is_none(),
        AuditOutcome::Failed => false,
    };
    is_without_effect && event.actor_id.is_none()
}

/// What the window in progress has.
#[derive(Default)]
pub struct AnonymousEvents {
    /// The start of the window.
    began: Option<Instant>,
    /// How many lines it has.
    lines: usize,
    /// The requests beyond them, by operation, outcome and status.
    counted: HashMap<(String, &'static str, Option<i32>), Event>,
}

impl AnonymousEvents {
    /// Returns the events that get a line each, and counts the others.
    pub fn limited(&mut self, mut events: Vec<Event>) -> Vec<Event> {
        events.retain(|event| {
            if !is_anonymous(event) {
                return true;
            }
            self.began.get_or_insert_with(Instant::now);
            if self.lines < LINES {
                self.lines += 1;
                return true;
            }
            let kind = (event.operation.clone(), event.outcome.as_str(), event.status);
            // A count names none of the callers, and nothing that they tried.
            self.counted
                .entry(kind)
                .and_modify(|counted| counted.times = counted.times.saturating_add(event.times))
                .or_insert_with(|| Event {
                    address: None,
                    request_id: None,
                    patient_id: None,
                    object_id: None,
                    shown: None,
                    ..event.clone()
                });
            false
        });
        events
    }

    /// At the end of the window: begins the next one, and returns what was counted, a line for each operation, outcome and status.
    pub fn counted(&mut self, signer: &Signer, now: Timestamp) -> Vec<Event> {
        if self.began.is_none_or(|began| began.elapsed() < WINDOW) {
            return Vec::new();
        }
        self.rest(signer, now)
    }

    /// Like [`counted`](Self::counted), before the end of the window.
    pub fn rest(&mut self, signer: &Signer, now: Timestamp) -> Vec<Event> {
        let ended = std::mem::take(self);
        // With the time of the first one it would look like an event that was not sealed in time.
        ended.counted.into_values().map(|event| Event { at: now, ..event }.signed(signer)).collect()
    }
}

/// Merges repeated requests that had no effect and came from callers without a session into one event with a count. Two requests are
/// alike if operation, outcome, status, address, patients and object are equal. An object that the caller names in the path is not in
/// the event.
pub fn merge_repeats(events: Vec<Event>, sign: &impl Fn(Event) -> Event) -> Vec<Event> {
    let mut alike = HashMap::new();
    let mut kept: Vec<(Event, bool)> = Vec::with_capacity(events.len());
    for event in events {
        if !is_anonymous(&event) {
            kept.push((event, false));
            continue;
        }
        let kind = (
            (event.operation.clone(), event.outcome.as_str(), event.status, event.address.clone()),
            (event.patient_id, event.object_id, event.shown.as_ref().map(|shown| shown.as_bytes().to_vec())),
        );
        let first = *alike.entry(kind).or_insert(kept.len());
        match kept.get_mut(first) {
            Some((first, changed)) => {
                first.times = first.times.saturating_add(event.times);
                *changed = true;
            }
            None => kept.push((event, false)),
        }
    }
    kept.into_iter().map(|(event, changed)| if changed { sign(event) } else { event }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit_context::AuditContext;
    use crate::ids::{AuditEventId, UserId};

    #[test]
    fn row_19_refusals_beyond_the_lines_of_a_minute_are_counted_by_operation() {
        let signer = Signer::new(uuid::Uuid::nil(), &[1; 32]).expect("a key");
        let at = "2026-03-02T14:00:00Z".parse().expect("an instant");
        let events = (0..200).map(|number| {
            let audit = AuditContext::of_request("get_patient", None, Some([192, 0, 2, number].into()));
            let id = AuditEventId(uuid::Uuid::from_u128(number.into()));
            Event::new(id, at, &signer, &audit, AuditOutcome::Refused)
        });
        let mut anonymous = AnonymousEvents::default();
        assert_eq!(anonymous.limited(events.collect()).len(), LINES);
        assert!(anonymous.counted(&signer, at).is_empty(), "the window goes on");
        let rest = anonymous.rest(&signer, at);
        assert_eq!(rest.len(), 1);
        assert_eq!((rest[0].times, rest[0].address.as_deref()), (140, None));
        assert!(rest[0].is_genuine(&signer));
        assert!(anonymous.rest(&signer, at).is_empty());
    }

    #[test]
    fn equal_requests_without_effect_of_one_address_without_a_session_are_one_event_with_their_number() {
        let signer = Signer::new(uuid::Uuid::nil(), &[1; 32]).expect("a key");
        let at = "2026-03-02T14:00:00Z".parse().expect("an instant");
        let mut number = 0;
        let mut event = |address: [u8; 4], user: Option<u128>, outcome| {
            number += 1;
            let audit = AuditContext::of_request("create_session", None, Some(address.into()));
            if let Some(user) = user {
                audit.note_actor(UserId(uuid::Uuid::from_u128(user)), None);
            }
            Event::new(AuditEventId(uuid::Uuid::from_u128(number)), at, &signer, &audit, outcome)
        };
        let (here, there) = ([192, 0, 2, 1], [192, 0, 2, 2]);
        let events = vec![
            event(here, None, AuditOutcome::Refused),
            event(there, None, AuditOutcome::Refused),
            event(here, None, AuditOutcome::Refused),
            event(here, Some(1), AuditOutcome::Refused),
            event(here, Some(1), AuditOutcome::Refused),
            event(here, None, AuditOutcome::Success),
            event(here, None, AuditOutcome::Success),
            event(here, None, AuditOutcome::Refused),
        ];
        let kept = merge_repeats(events, &|event| event.signed(&signer));
        assert_eq!(kept.iter().map(|event| event.times).collect::<Vec<_>>(), [3, 1, 1, 1, 2]);
        assert!(kept.iter().all(|event| event.is_genuine(&signer)));
    }
}
