//! From weekly hours in civil time to slots in UTC, through every change of the clocks. Pure.
//!
//! # Daylight saving
//! **The location's civil time decides: an opening covers exactly the instants at which the location's clock shows a time within
//! it.** It follows that
//!
//! - *gap* (the clock jumps ahead): civil times that do not exist are not open. An opening that would start inside the gap
//!   starts at the instant after it. An opening that would end inside the gap ends at that instant. An opening that lies inside the
//!   gap does not take place that day. An opening around the gap is shorter by the length of the gap.
//! - *fold* (the clock jumps back): an hour that occurs twice is open twice. An opening around the fold is longer by the length of
//!   the fold and has no pause. An opening that starts or ends inside the fold is open in each of the two passes.
//!
//! Slots have real lengths: they are cut every `slot_minutes` of real time from the start of the opening. After a pause of the fold
//! they are cut from the start of the second pass. A rest at the end that is shorter than a slot is not used.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Span, ToSpan};
use text::Language;

use crate::clock::Timestamp;
use crate::error::{FieldCode, Rule};
use crate::ids::LocationId;

/// A day of the week.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Weekday {
    pub const ALL: [Self; 7] =
        [Self::Monday, Self::Tuesday, Self::Wednesday, Self::Thursday, Self::Friday, Self::Saturday, Self::Sunday];

    /// Returns the number in ISO 8601: 1 is Monday.
    pub fn iso(self) -> i32 {
        self as i32 + 1
    }

    /// Returns the name as a label, with a capital letter.
    pub fn name(self, language: Language) -> &'static str {
        let [english, spanish] = match self {
            Self::Monday => ["Monday", "Lunes"],
            Self::Tuesday => ["Tuesday", "Martes"],
            Self::Wednesday => ["Wednesday", "Miércoles"],
            Self::Thursday => ["Thursday", "Jueves"],
            Self::Friday => ["Friday", "Viernes"],
            Self::Saturday => ["Saturday", "Sábado"],
            Self::Sunday => ["Sunday", "Domingo"],
        };
        match language {
            Language::English => english,
            Language::Spanish => spanish,
        }
    }

    /// Returns the day of an ISO 8601 number.
    pub fn from_iso(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|day| day.iso() == number)
    }
}

/// Parses `HH:MM` as minutes since midnight, 0 to 1440.
///
/// # Errors
/// `invalid_time`.
pub fn parse_minute(text: &str) -> Result<i32, Rule> {
    let read = || {
        let (hours, minutes) = text.split_once(':')?;
        let number =
            |part: &str| (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok());
        let (hours, minutes): (i32, i32) = (number(hours)??, number(minutes)??);
        let minute = hours * 60 + minutes;
        (minutes < 60 && minute <= 1440).then_some(minute)
    };
    read().ok_or_else(|| Rule::new(FieldCode::InvalidTime, "must be HH:MM such as 09:00, at most 24:00"))
}

/// A weekly opening: on the weekday from `start_minute` until `end_minute` after midnight, by the location's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeeklyRule {
    pub location_id: LocationId,
    /// The day of the week.
    pub weekday: Weekday,
    /// 0 to 1439.
    pub start_minute: i32,
    /// 1 to 1440, the midnight that ends the day.
    pub end_minute: i32,
    /// The first day on which it applies; none if it has no first day.
    pub valid_from: Option<Date>,
    /// The last day on which it applies; none if it has no last day.
    pub valid_until: Option<Date>,
}

impl WeeklyRule {
    fn applies_on(&self, day: Date) -> bool {
        i32::from(day.weekday().to_monday_one_offset()) == self.weekday.iso()
            && self.valid_from.is_none_or(|first| first <= day)
            && self.valid_until.is_none_or(|last| day <= last)
    }

    /// Whether both are open at the same civil time of any day.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.weekday == other.weekday
            && self.start_minute < other.end_minute
            && other.start_minute < self.end_minute
            && {
                let first = self.valid_from.max(other.valid_from);
                let last = [self.valid_until, other.valid_until].into_iter().flatten().min();
                match (first, last) {
                    (Some(first), Some(last)) => first <= last && (first..=last).has_weekday(self.weekday),
                    _ => true,
                }
            }
    }
}

trait HasWeekday {
    fn has_weekday(&self, weekday: Weekday) -> bool;
}

impl HasWeekday for std::ops::RangeInclusive<Date> {
    fn has_weekday(&self, weekday: Weekday) -> bool {
        self.start()
            .series(1.day())
            .take_while(|day| day <= self.end())
            .take(7)
            .any(|day| i32::from(day.weekday().to_monday_one_offset()) == weekday.iso())
    }
}

/// A location where a practitioner works, with what its slots depend on.
#[derive(Debug, Clone)]
pub struct Workplace {
    pub location_id: LocationId,
    pub zone: TimeZone,
    /// The length of the slots.
    pub slot_minutes: i32,
}

/// A range of real time at a location: an opening without a pause, or a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeRange {
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    pub location_id: LocationId,
}

impl TimeRange {
    /// Whether it shares time with another range, at any location.
    pub fn overlaps(&self, starts_at: Timestamp, ends_at: Timestamp) -> bool {
        self.starts_at < ends_at && starts_at < self.ends_at
    }
}

/// Adds the slots of an opening, cut from its start.
pub fn cut(opening: &TimeRange, slot_minutes: i32, into: &mut Vec<TimeRange>) {
    let step = SignedDuration::from_mins(slot_minutes.max(1).into());
    let mut starts_at = opening.starts_at;
    loop {
        let ends_at = starts_at.plus(step);
        if ends_at > opening.ends_at {
            break;
        }
        into.push(TimeRange { starts_at, ends_at, ..*opening });
        starts_at = ends_at;
    }
}

/// Returns the first instant of a day in a time zone.
pub fn midnight(day: Date, zone: &TimeZone) -> Timestamp {
    day.to_zoned(zone.clone()).map_or(Timestamp::from(jiff::Timestamp::MAX), |first| first.timestamp().into())
}

/// Returns the ranges of real time in which `rules` open `place` on the days from `from` until before `until`, in order. Two
/// adjacent rules give two openings.
pub fn openings(rules: &[WeeklyRule], place: &Workplace, from: Date, until: Date) -> Vec<TimeRange> {
    let passes = passes(&place.zone, from, until);
    let mut openings = Vec::new();
    for day in from.series(1.day()).take_while(|day| *day < until) {
        for rule in rules.iter().filter(|rule| rule.location_id == place.location_id && rule.applies_on(day)) {
            let (Some(start), Some(end)) = (civil(day, rule.start_minute), civil(day, rule.end_minute)) else {
                continue;
            };
            open(&passes, start, end, place.location_id, &mut openings);
        }
    }
    openings.sort_unstable();
    openings
}

fn civil(day: Date, minute: i32) -> Option<DateTime> {
    day.to_datetime(Time::midnight()).checked_add(Span::new().minutes(minute)).ok()
}

/// A time in which a location's clock does not jump.
struct Pass {
    from: jiff::Timestamp,
    until: jiff::Timestamp,
    offset: Offset,
}

/// Returns the times without a jump around these days, with a margin for the widest offsets.
fn passes(zone: &TimeZone, from: Date, until: Date) -> Vec<Pass> {
    let edge = |day: Date, margin: Span| {
        let day = day.checked_add(margin).unwrap_or(day);
        Offset::UTC.to_timestamp(day.to_datetime(Time::midnight())).unwrap_or(jiff::Timestamp::MAX)
    };
    let (start, end) = (edge(from, -2.days()), edge(until, 2.days()));
    let mut passes = vec![Pass { from: start, until: end, offset: zone.to_offset(start) }];
    for jump in zone.following(start).take_while(|jump| jump.timestamp() < end) {
        if let Some(last) = passes.last_mut() {
            last.until = jump.timestamp();
        }
        passes.push(Pass { from: jump.timestamp(), until: end, offset: jump.offset() });
    }
    passes
}

/// Adds the ranges in which the clock shows a time from `start` until before `end`.
fn open(passes: &[Pass], start: DateTime, end: DateTime, location_id: LocationId, into: &mut Vec<TimeRange>) {
    let first = into.len();
    for pass in passes {
        let (Ok(start), Ok(end)) = (pass.offset.to_timestamp(start), pass.offset.to_timestamp(end)) else { continue };
        let (start, end) = (start.max(pass.from), end.min(pass.until));
        if start >= end {
            continue;
        }
        let (starts_at, ends_at) = (Timestamp::from(start), Timestamp::from(end));
        match into[first..].last_mut() {
            Some(before) if before.ends_at == starts_at => before.ends_at = ends_at,
            _ => into.push(TimeRange { starts_at, ends_at, location_id }),
        }
    }
}

#[cfg(test)]
mod tests;
