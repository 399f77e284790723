//! The expected schedule.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{ACTORS, KINDS, SLOTS, WITH_CHAIR};

/// The slots that a visit takes with its buffers; none if they are not all in the morning.
pub(super) fn busy(start: usize, kind: usize) -> Option<Range<usize>> {
    let (before, visit, after) = KINDS[kind];
    let (from, to) = (start.checked_sub(before)?, start + visit + after);
    (to <= SLOTS).then_some(from..to)
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Hold {
    pub start: usize,
    pub kind: usize,
    pub until: i64,
    pub chair: Option<usize>,
}

#[derive(Debug, Clone)]
pub(super) struct Visit {
    pub start: usize,
    pub kind: usize,
    pub patient: usize,
    pub live: bool,
    pub overbooked: bool,
    /// The number of its chair, from 1.
    pub chair: Option<usize>,
}

impl Visit {
    fn covers(&self, slot: usize) -> bool {
        self.live && busy(self.start, self.kind).is_some_and(|busy| busy.contains(&slot))
    }
}

/// The expected schedule: it checks every slot each time.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub minute: i64,
    pub blocked: BTreeSet<usize>,
    pub holds: [Option<Hold>; ACTORS + 1],
    pub visits: Vec<Visit>,
    /// The visit that each slot names, of those that take it.
    pub named: [Option<usize>; SLOTS],
    /// The number of chairs.
    pub chairs: usize,
    /// When the practitioner is away or the location closed: the first slot, the one after the last, and which of the two.
    pub away: Vec<(usize, usize, bool)>,
}

/// The expected response of a request: the status, and the code of an error.
pub(super) type Expected = (u16, &'static str);
pub(super) const TAKEN: Expected = (409, "slot_taken");
pub(super) const GONE: Expected = (404, "not_found");

impl Model {
    /// Gives a visit those slots of its time that name no other one.
    pub fn take(&mut self, which: usize) {
        for slot in (0..SLOTS).filter(|slot| self.visits[which].covers(*slot)) {
            self.named[slot].get_or_insert(which);
        }
    }

    /// Ends a visit, or begins its move. Its slots pass to the overbooked visits that share them. Returns these.
    pub fn leave(&mut self, which: usize) -> BTreeSet<usize> {
        let mut heirs = BTreeSet::new();
        for slot in (0..SLOTS).filter(|slot| self.named[*slot] == Some(which)).collect::<Vec<_>>() {
            let mut others = self.visits.iter().enumerate();
            let heir = others.find(|(n, other)| *n != which && other.overbooked && other.covers(slot)).map(|(n, _)| n);
            self.named[slot] = heir;
            heirs.extend(heir);
        }
        heirs
    }

    /// Those that have their whole time now are not overbooked any more.
    pub fn unmark(&mut self, heirs: BTreeSet<usize>) {
        for heir in heirs {
            let has_all = (0..SLOTS).all(|slot| !self.visits[heir].covers(slot) || self.named[slot] == Some(heir));
            self.visits[heir].overbooked &= !has_all;
        }
    }

    /// Whether a visit fits, ignoring the caller's own hold and the visit that is to move.
    pub fn fits(&self, start: usize, kind: usize, own_hold: Option<usize>, own_visit: Option<usize>) -> bool {
        self.fits_slots(start, kind, own_hold, own_visit) && self.chair(start, kind, own_hold, own_visit).is_ok()
    }

    /// The chair that a visit gets, which must be within the morning; none if it needs none.
    pub fn chair(
        &self,
        start: usize,
        kind: usize,
        own_hold: Option<usize>,
        own_visit: Option<usize>,
    ) -> Result<Option<usize>, Expected> {
        if kind < WITH_CHAIR {
            return Ok(None);
        }
        let span = busy(start, kind).expect("within the morning");
        let overlaps =
            |start, kind| busy(start, kind).is_some_and(|other| other.start < span.end && span.start < other.end);
        let is_free = |chair: &usize| {
            let by_visit = self.visits.iter().enumerate().any(|(n, visit)| {
                Some(n) != own_visit && visit.live && visit.chair == Some(*chair) && overlaps(visit.start, visit.kind)
            });
            let by_hold = self.holds.iter().enumerate().any(|(actor, hold)| {
                Some(actor) != own_hold
                    && hold.is_some_and(|hold| {
                        hold.until > self.minute && hold.chair == Some(*chair) && overlaps(hold.start, hold.kind)
                    })
            });
            !by_visit && !by_hold
        };
        (1..=self.chairs).find(is_free).map(Some).ok_or(TAKEN)
    }

    /// Whether a visit fits into the practitioner's time.
    fn fits_slots(&self, start: usize, kind: usize, own_hold: Option<usize>, own_visit: Option<usize>) -> bool {
        busy(start, kind).is_some_and(|mut span| {
            span.all(|slot| {
                let taken = self.visits.iter().enumerate().any(|(n, visit)| Some(n) != own_visit && visit.covers(slot));
                !taken && !self.is_held(slot, own_hold) && !self.blocked.contains(&slot) && !self.is_off(slot)
            })
        })
    }

    /// Whether a visit fits that shares the time of others.
    fn fits_shared(&self, start: usize, kind: usize, own_hold: Option<usize>) -> bool {
        busy(start, kind).is_some_and(|mut span| {
            span.all(|slot| !self.is_held(slot, own_hold) && !self.blocked.contains(&slot) && !self.is_off(slot))
        })
    }

    /// Whether an actor other than `own_hold` holds a slot.
    fn is_held(&self, slot: usize, own_hold: Option<usize>) -> bool {
        self.holds.iter().enumerate().any(|(actor, hold)| {
            Some(actor) != own_hold
                && hold.is_some_and(|hold| {
                    hold.until > self.minute && busy(hold.start, hold.kind).is_some_and(|busy| busy.contains(&slot))
                })
        })
    }

    /// Whether the schedule does not contain a slot.
    pub fn is_off(&self, slot: usize) -> bool {
        self.away.iter().any(|(from, to, _)| (*from..*to).contains(&slot))
    }

    /// Whether the slot exists: outside the schedule it stays while it is booked or blocked.
    pub fn is_there(&self, slot: usize) -> bool {
        !self.is_off(slot) || self.blocked.contains(&slot) || self.visits.iter().any(|visit| visit.covers(slot))
    }

    /// Why a visit needs attention.
    pub fn attention(&self, visit: &Visit) -> Option<&'static str> {
        let hit = |closed: bool| {
            self.away.iter().any(|(from, to, shut)| *shut == closed && (*from..*to).any(|slot| visit.covers(slot)))
        };
        // The reason is that of the first affected slot since the first change, which the model does not track.
        match (hit(false), hit(true)) {
            (false, false) => None,
            (true, false) => Some("time_off"),
            (false, true) => Some("closure"),
            (true, true) => Some("either"),
        }
    }

    /// Whether the patient has another visit at the time. The patient is not busy during buffers.
    fn is_patient_busy(&self, patient: usize, start: usize, kind: usize, except: Option<usize>) -> bool {
        let others = self.visits.iter().enumerate().filter(|(n, visit)| Some(*n) != except && visit.patient == patient);
        others.into_iter().any(|(_, visit)| {
            visit.live && visit.start < start + KINDS[kind].1 && start < visit.start + KINDS[visit.kind].1
        })
    }

    /// Whether a visit that is booked or moved shares the time of others, with its chair; or its conflict. `hold` is the actor whose hold is sent.
    pub fn outcome(
        &self,
        (start, kind): (usize, usize),
        patient: usize,
        hold: Option<usize>,
        own: Option<usize>,
        overbook: bool,
    ) -> Result<(bool, Option<usize>), Expected> {
        if let Some(Hold { start: held, kind: for_kind, until, .. }) = hold.and_then(|actor| self.holds[actor]) {
            if until <= self.minute {
                return Err((409, "hold_lapsed"));
            }
            if !self.is_there(start) {
                return Err(TAKEN);
            }
            if (held, for_kind) != (start, kind) {
                return Err((422, "validation_failed"));
            }
        }
        if !self.is_there(start) {
            return Err(TAKEN);
        }
        let shared = !self.fits_slots(start, kind, hold, own);
        if shared && !(overbook && self.fits_shared(start, kind, hold)) {
            return Err(TAKEN);
        }
        let chair = self.chair(start, kind, hold, own)?;
        if self.is_patient_busy(patient, start, kind, own) { Err((409, "patient_busy")) } else { Ok((shared, chair)) }
    }

    pub fn free(&self, kind: usize) -> BTreeSet<usize> {
        (0..SLOTS).filter(|start| self.fits(*start, kind, None, None)).collect()
    }
}
