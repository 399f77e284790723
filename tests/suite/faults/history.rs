//! The recorded history of requests about slots and appointments, and the check that it could have come from one request after the other
//! (linearizability). Each appointment has an id of its own, so the order of the appointments of a slot follows from the times, and the
//! check needs no search.

use std::collections::BTreeMap;

/// The time from sending a request until its response was complete, in microseconds since the start. A request that was sent again with
/// its key counts from the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub sent: u64,
    pub answered: u64,
}

impl Span {
    fn touches(self, from: u64, to: u64) -> bool {
        self.sent <= to && from <= self.answered
    }
}

/// What a response said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The appointment has this version and slot; none after a cancellation.
    Wrote { appointment: String, version: u64, slot: Option<String> },
    /// The same, seen by a read.
    Read { appointment: String, version: u64, slot: Option<String> },
    /// The slot was taken already.
    Refused { slot: String },
    /// A search showed the slot as free.
    Free { slot: String },
    /// A search left the slot out.
    NotFree { slot: String },
}

/// The time during which an appointment has a slot.
#[derive(Debug, Clone, Copy)]
struct Occupancy {
    taken: Span,
    left: Option<Span>,
}

impl Occupancy {
    fn possible_within(&self, span: Span) -> bool {
        span.touches(self.taken.sent, self.left.map_or(u64::MAX, |left| left.answered))
    }

    fn certain_throughout(&self, span: Span) -> bool {
        self.taken.answered < span.sent && self.left.is_none_or(|left| left.sent > span.answered)
    }
}

/// Returns what no order of the requests explains; nothing if there is one.
pub fn violations(history: &[(Span, Event)]) -> Vec<String> {
    let mut found = Vec::new();
    let mut writes: BTreeMap<&str, BTreeMap<u64, (Span, Option<&str>)>> = BTreeMap::new();
    for (span, event) in history {
        if let Event::Wrote { appointment, version, slot } = event {
            let same = writes.entry(appointment).or_default().insert(*version, (*span, slot.as_deref()));
            if same.is_some() {
                found.push(format!("two requests wrote version {version} of appointment {appointment}"));
            }
        }
    }
    let mut slots: BTreeMap<&str, Vec<Occupancy>> = BTreeMap::new();
    for chain in writes.values() {
        let mut left = None;
        for (span, slot) in chain.values().rev() {
            if let Some(slot) = slot {
                slots.entry(slot).or_default().push(Occupancy { taken: *span, left });
            }
            left = Some(*span);
        }
    }
    for (slot, occupancies) in &mut slots {
        // Who has a slot gives it up only after its response, so the first to be answered was the first to have it.
        occupancies.sort_by_key(|one| one.taken.answered);
        let mut free_from = 0;
        for one in occupancies.iter() {
            if free_from > one.taken.answered {
                found.push(format!("slot {slot} was given at {:?} before it was free at {free_from}", one.taken));
            }
            free_from = one.left.map_or(u64::MAX, |left| left.sent.max(one.taken.sent));
        }
    }
    for (span, event) in history {
        let of = |slot: &str| slots.get(slot).map_or(&[][..], Vec::as_slice);
        match event {
            Event::Refused { slot } | Event::NotFree { slot }
                if !of(slot).iter().any(|one| one.possible_within(*span)) =>
            {
                found.push(format!("{event:?} at {span:?}, but no appointment had it"));
            }
            Event::Free { slot } if of(slot).iter().any(|one| one.certain_throughout(*span)) => {
                found.push(format!("{event:?} at {span:?}, but it was taken"));
            }
            Event::Read { appointment, version, slot } => {
                let chain = writes.get(appointment.as_str());
                let written = chain.and_then(|chain| chain.get(version));
                let newer =
                    chain.into_iter().flatten().find(|(of, (write, _))| *of > version && write.answered < span.sent);
                match written {
                    Some((write, of)) if write.sent <= span.answered && *of == slot.as_deref() && newer.is_none() => {}
                    _ => found.push(format!("{event:?} at {span:?}, but {written:?} was written, then {newer:?}")),
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrote(sent: u64, answered: u64, appointment: &str, version: u64, slot: Option<&str>) -> (Span, Event) {
        let (appointment, slot) = (appointment.to_owned(), slot.map(str::to_owned));
        (Span { sent, answered }, Event::Wrote { appointment, version, slot })
    }

    fn saw(sent: u64, answered: u64, event: Event) -> (Span, Event) {
        (Span { sent, answered }, event)
    }

    fn s() -> String {
        "s".to_owned()
    }

    #[test]
    fn a_history_that_some_order_explains_is_accepted() {
        let history = [
            wrote(0, 10, "a", 1, Some("s")),
            saw(5, 6, Event::Free { slot: s() }),
            saw(7, 8, Event::Refused { slot: s() }),
            wrote(20, 30, "a", 2, Some("t")),
            // It may have come after the move, although it was sent before.
            wrote(15, 25, "b", 1, Some("s")),
            saw(26, 27, Event::Read { appointment: "a".into(), version: 1, slot: Some(s()) }),
            saw(31, 32, Event::Read { appointment: "a".into(), version: 2, slot: Some("t".into()) }),
            wrote(40, 50, "b", 2, None),
            saw(51, 52, Event::Free { slot: s() }),
        ];
        assert_eq!(violations(&history), Vec::<String>::new());
    }

    #[test]
    fn what_no_order_explains_is_found() {
        let a = || wrote(0, 10, "a", 1, Some("s"));
        let cases: [(&str, Vec<(Span, Event)>); 7] = [
            ("two appointments in one slot", vec![a(), wrote(5, 15, "b", 1, Some("s"))]),
            (
                "the next one before the slot was free",
                vec![a(), wrote(11, 12, "b", 1, Some("s")), wrote(13, 20, "a", 2, None)],
            ),
            (
                "a refusal without a reason",
                vec![a(), wrote(20, 30, "a", 2, None), saw(31, 32, Event::Refused { slot: s() })],
            ),
            ("a taken slot that is shown", vec![a(), saw(11, 12, Event::Free { slot: s() })]),
            (
                "a free slot that is left out",
                vec![saw(1, 2, Event::NotFree { slot: s() }), wrote(3, 4, "a", 1, Some("s"))],
            ),
            (
                "a read of what was replaced",
                vec![
                    a(),
                    wrote(11, 12, "a", 2, None),
                    saw(13, 14, Event::Read { appointment: "a".into(), version: 1, slot: Some(s()) }),
                ],
            ),
            (
                "a write that was lost",
                vec![a(), saw(13, 14, Event::Read { appointment: "a".into(), version: 2, slot: None })],
            ),
        ];
        for (what, history) in cases {
            assert!(!violations(&history).is_empty(), "{what}");
        }
    }
}
