//! A practitioner's plan, and the slots that it contains. Pure.
//!
//! **A plan contains weekly hours and extra hours, without time off and closures.** Slots are cut from the start of each opening
//! ([`super::weekly`]). Extra hours add only time that the weekly hours do not open, and are cut from the start of that time. An
//! absence removes every slot that it overlaps and moves none, so that booked slots around it stay in the grid.

use jiff::ToSpan;

use super::weekly::{self, TimeRange, WeeklyRule, Workplace};
use crate::clock::Timestamp;
use crate::db::types::text_enum;
use crate::ids::LocationId;

text_enum! {
    /// Why staff must call the patient of a booked visit.
    AttentionReason {
        /// The practitioner is away.
        TimeOff = "time_off",
        /// The location is closed.
        Closure = "closure",
        /// The practitioner does not work there at that time.
        Hours = "hours",
        /// The law of the time zone or the zone of the location changed, and the start does not show the promised local time any more.
        ZoneChanged = "zone_changed",
    }
}

/// The longest extra hours.
pub const MAX_EXTRA_HOURS: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// A time at which the practitioner sees no patients, whatever the hours say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absence {
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    /// The location; none means all locations.
    pub location_id: Option<LocationId>,
    /// The kind of absence.
    pub why: AttentionReason,
}

impl Absence {
    /// Whether it overlaps a time.
    pub fn overlaps(&self, time: &TimeRange) -> bool {
        self.location_id.is_none_or(|location| location == time.location_id)
            && time.overlaps(self.starts_at, self.ends_at)
    }
}

/// Everything that decides about a practitioner's time.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The locations where they work. Hours at other locations do not count.
    pub places: Vec<Workplace>,
    pub rules: Vec<WeeklyRule>,
    /// The extra hours, earliest first, none longer than [`MAX_EXTRA_HOURS`].
    pub extra: Vec<TimeRange>,
    /// Time off and closures.
    pub absences: Vec<Absence>,
}

/// The times that a plan contains within a span.
#[derive(Debug, Clone)]
pub struct PlannedTime {
    /// The slots, in order and without overlaps.
    pub slots: Vec<TimeRange>,
    /// The openings before absences are removed, in order.
    openings: Vec<TimeRange>,
    absences: Vec<Absence>,
}

impl Plan {
    /// Computes the slots that start from `from` until before `to`.
    pub fn planned(&self, from: Timestamp, to: Timestamp) -> PlannedTime {
        let weekly = self.weekly(from, to);
        let extra = self.extra(&weekly);
        let mut slots = Vec::new();
        for opening in weekly.iter().chain(&extra) {
            if let Some(place) = self.place(opening.location_id) {
                weekly::cut(opening, place.slot_minutes, &mut slots);
            }
        }
        slots.sort_unstable();
        // Rules are checked against each other when they are stored. They can still overlap if a location's time zone changes later.
        let mut end = Timestamp::from(jiff::Timestamp::MIN);
        slots.retain(|slot| {
            let free = slot.starts_at >= end;
            end = if free { slot.ends_at } else { end };
            free
        });
        let absences = &self.absences;
        slots.retain(|slot| {
            from <= slot.starts_at && slot.starts_at < to && !absences.iter().any(|absence| absence.overlaps(slot))
        });
        let mut openings: Vec<_> = weekly.into_iter().chain(extra).collect();
        openings.sort_unstable();
        PlannedTime { slots, openings, absences: absences.clone() }
    }

    /// Whether the practitioner is at another location during these extra hours.
    pub fn open_elsewhere(&self, extra: &TimeRange) -> bool {
        let weekly = self.weekly(extra.starts_at, extra.ends_at);
        let elsewhere = |other: &TimeRange| {
            other.location_id != extra.location_id && other.overlaps(extra.starts_at, extra.ends_at)
        };
        let works = |other: &&TimeRange| self.place(other.location_id).is_some();
        weekly.iter().chain(self.extra.iter().filter(works)).any(elsewhere)
    }

    fn place(&self, location: LocationId) -> Option<&Workplace> {
        self.places.iter().find(|place| place.location_id == location)
    }

    /// Returns the weekly openings around a span of time, with a margin that is wider than any offset and any extra hours.
    fn weekly(&self, from: Timestamp, to: Timestamp) -> Vec<TimeRange> {
        let mut openings = Vec::new();
        for place in &self.places {
            let day = |at: Timestamp| at.in_zone(&place.zone).date();
            let (first, until) = (day(from).saturating_sub(2.days()), day(to).saturating_add(3.days()));
            openings.append(&mut weekly::openings(&self.rules, place, first, until));
        }
        openings.sort_unstable();
        openings
    }

    /// Returns the time that extra hours open beyond the weekly openings and each other. A practitioner is at one location at a time.
    fn extra(&self, weekly: &[TimeRange]) -> Vec<TimeRange> {
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

/// Returns what `taken`, which is in order, leaves of a range.
fn without(range: &TimeRange, taken: &[TimeRange]) -> Vec<TimeRange> {
    let mut left = Vec::new();
    let mut start = range.starts_at;
    for other in taken.iter().filter(|other| other.overlaps(range.starts_at, range.ends_at)) {
        if start < other.starts_at {
            left.push(TimeRange { starts_at: start, ends_at: other.starts_at, ..*range });
        }
        start = start.max(other.ends_at);
    }
    if start < range.ends_at {
        left.push(TimeRange { starts_at: start, ..*range });
    }
    left
}

impl PlannedTime {
    /// Whether the plan contains exactly this slot.
    pub fn contains(&self, slot: &TimeRange) -> bool {
        self.slots.binary_search(slot).is_ok()
    }

    /// Returns why the practitioner is not there for the whole of a time, however the slots are cut; none if they are.
    pub fn why_not_covered(&self, time: &TimeRange) -> Option<AttentionReason> {
        let is_absent = |why| self.absences.iter().any(|absence| absence.why == why && absence.overlaps(time));
        if is_absent(AttentionReason::TimeOff) {
            return Some(AttentionReason::TimeOff);
        }
        if is_absent(AttentionReason::Closure) {
            return Some(AttentionReason::Closure);
        }
        // No opening is longer than a day, so an opening that starts earlier does not reach into the time.
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
        (end < time.ends_at).then_some(AttentionReason::Hours)
    }
}

#[cfg(test)]
mod tests;
