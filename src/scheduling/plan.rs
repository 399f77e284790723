//! A practitioner's plan: which times it gives. Pure.
//!
//! **Weekly hours and extra hours, without time off and closures.** Slots are cut from the start of each opening
//! ([`super::hours`]); extra hours open what the weekly hours leave shut, and are cut from where they begin to do so. An
//! absence takes away every slot that it touches and moves none: what is booked around it keeps its place in the grid.

use jiff::ToSpan;

use super::hours::{self, Place, Rule, Stretch};
use super::model::OffPlan;
use crate::clock::Timestamp;
use crate::ids::LocationId;

/// The longest extra hours.
pub const LONGEST_EXTRA: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// A time at which nobody is seen, whatever the hours say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absence {
    /// Its start.
    pub starts_at: Timestamp,
    /// Its end.
    pub ends_at: Timestamp,
    /// Where; `None` is everywhere.
    pub location_id: Option<LocationId>,
    /// What it is.
    pub why: OffPlan,
}

impl Absence {
    /// Whether some of a time lies in it.
    pub fn touches(&self, time: &Stretch) -> bool {
        self.location_id.is_none_or(|location| location == time.location_id)
            && time.overlaps(self.starts_at, self.ends_at)
    }
}

/// All that decides about a practitioner's time.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Where they work; hours elsewhere rest.
    pub places: Vec<Place>,
    /// The weekly hours.
    pub rules: Vec<Rule>,
    /// The extra hours, earliest first, none longer than [`LONGEST_EXTRA`].
    pub extra: Vec<Stretch>,
    /// Time off and closures.
    pub absences: Vec<Absence>,
}

/// What a plan says of a span of time.
#[derive(Debug, Clone)]
pub struct Outlook {
    /// The slots that it gives, in order, without overlaps.
    pub slots: Vec<Stretch>,
    /// When the doctor would be there but for the absences, in order.
    openings: Vec<Stretch>,
    absences: Vec<Absence>,
}

impl Plan {
    /// What it says of the time from `from` until before `to`, by the starts of slots.
    pub fn outlook(&self, from: Timestamp, to: Timestamp) -> Outlook {
        let weekly = self.weekly(from, to);
        let extra = self.extra(&weekly);
        let mut slots = Vec::new();
        for opening in weekly.iter().chain(&extra) {
            if let Some(place) = self.place(opening.location_id) {
                hours::cut(opening, place.slot_minutes, &mut slots);
            }
        }
        slots.sort_unstable();
        // Rules are checked against each other when they are written; places that change their zone later may still collide.
        let mut end = Timestamp::from(jiff::Timestamp::MIN);
        slots.retain(|slot| {
            let free = slot.starts_at >= end;
            end = if free { slot.ends_at } else { end };
            free
        });
        let absences = &self.absences;
        slots.retain(|slot| {
            from <= slot.starts_at && slot.starts_at < to && !absences.iter().any(|absence| absence.touches(slot))
        });
        let mut openings: Vec<_> = weekly.into_iter().chain(extra).collect();
        openings.sort_unstable();
        Outlook { slots, openings, absences: absences.clone() }
    }

    /// Whether the hours have the doctor at another place at some time of these extra hours.
    pub fn open_elsewhere(&self, extra: &Stretch) -> bool {
        let weekly = self.weekly(extra.starts_at, extra.ends_at);
        let elsewhere =
            |other: &Stretch| other.location_id != extra.location_id && other.overlaps(extra.starts_at, extra.ends_at);
        let works = |other: &&Stretch| self.place(other.location_id).is_some();
        weekly.iter().chain(self.extra.iter().filter(works)).any(elsewhere)
    }

    fn place(&self, location: LocationId) -> Option<&Place> {
        self.places.iter().find(|place| place.location_id == location)
    }

    /// The weekly openings around a span of time, with a margin that is wider than any offset and any extra hours.
    fn weekly(&self, from: Timestamp, to: Timestamp) -> Vec<Stretch> {
        let mut openings = Vec::new();
        for place in &self.places {
            let day = |at: Timestamp| at.in_zone(&place.zone).date();
            let (first, until) = (day(from).saturating_sub(2.days()), day(to).saturating_add(3.days()));
            openings.append(&mut hours::openings(&self.rules, place, first, until));
        }
        openings.sort_unstable();
        openings
    }

    /// What extra hours open beyond the weekly openings and each other: a doctor is in one place at a time.
    fn extra(&self, weekly: &[Stretch]) -> Vec<Stretch> {
        let mut taken = weekly.to_vec();
        let mut opened = Vec::new();
        for extra in self.extra.iter().filter(|extra| self.place(extra.location_id).is_some()) {
            let left = without(extra, &taken);
            taken.extend(&left);
            taken.sort_unstable();
            opened.extend(left);
        }
        opened
    }
}

/// What `taken`, which is in order, leaves of a stretch.
fn without(stretch: &Stretch, taken: &[Stretch]) -> Vec<Stretch> {
    let mut left = Vec::new();
    let mut start = stretch.starts_at;
    for other in taken.iter().filter(|other| other.overlaps(stretch.starts_at, stretch.ends_at)) {
        if start < other.starts_at {
            left.push(Stretch { starts_at: start, ends_at: other.starts_at, ..*stretch });
        }
        start = start.max(other.ends_at);
    }
    if start < stretch.ends_at {
        left.push(Stretch { starts_at: start, ..*stretch });
    }
    left
}

impl Outlook {
    /// Whether it gives exactly this slot.
    pub fn gives(&self, slot: &Stretch) -> bool {
        self.slots.binary_search(slot).is_ok()
    }

    /// Why a doctor is not there for the whole of a time, however the slots are cut; `None` if they are.
    pub fn off(&self, time: &Stretch) -> Option<OffPlan> {
        let touching = |why| self.absences.iter().any(|absence| absence.why == why && absence.touches(time));
        if touching(OffPlan::TimeOff) {
            return Some(OffPlan::TimeOff);
        }
        if touching(OffPlan::Closure) {
            return Some(OffPlan::Closure);
        }
        // No opening is longer than a day, so none that begins earlier reaches into it.
        let day = jiff::SignedDuration::from_hours(48);
        let first = self.openings.partition_point(|opening| opening.starts_at < time.starts_at.minus(day));
        let mut end = time.starts_at;
        for opening in &self.openings[first..] {
            if opening.starts_at > end || end >= time.ends_at {
                break;
            }
            if opening.location_id == time.location_id {
                end = end.max(opening.ends_at);
            }
        }
        (end < time.ends_at).then_some(OffPlan::Hours)
    }
}

#[cfg(test)]
mod tests;
