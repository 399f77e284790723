//! Local times of a calendar entry, with the definition of their time zone (RFC 5545, 3.6.5).
//!
//! The definition lists the changes of the clock around the entry one by one. A rule such as "the second Sunday in March" would promise
//! that the zone's law stays as it is.

use jiff::civil::DateTime;
use jiff::tz::{Dst, Offset, TimeZone};
use jiff::{SignedDuration, Timestamp as Instant};

use super::Writer;
use crate::clock::Timestamp;

/// The changes after the start of the first entry that the definition has at least: both halves of the year.
const LATER_CHANGES: usize = 2;

/// The time zone of an entry.
pub(super) struct LocalTimes {
    zone: TimeZone,
    name: String,
}

/// A change of the clock.
struct Onset {
    at: Instant,
    /// Before the change.
    from: Offset,
    /// After the change.
    to: Offset,
    name: String,
    is_daylight: bool,
}

impl LocalTimes {
    /// Local times in a zone; none in UTC, which needs no definition.
    pub fn of(zone: Option<TimeZone>) -> Option<Self> {
        let zone = zone?;
        let name = zone.iana_name().filter(|name| *name != "UTC")?.to_owned();
        Some(Self { zone, name })
    }

    /// Writes a property with an instant: as local time, or in UTC where the local time would mean another instant. Of a time that
    /// occurs twice, calendars take the first (RFC 5545, 3.3.5).
    pub fn write(&self, out: &mut Writer, property: &str, at: Timestamp) {
        let local = self.zone.to_datetime(at.jiff());
        match self.zone.to_ambiguous_timestamp(local).earlier() {
            Ok(first) if first == at.jiff() => {
                out.line(&format!("{property};TZID={}", self.name), &civil(local));
            }
            _ => out.line(property, &super::utc(at)),
        }
    }

    /// Writes the definition for entries between two instants.
    pub fn define(&self, out: &mut Writer, start: Timestamp, end: Timestamp) {
        out.line("BEGIN", "VTIMEZONE");
        out.line("TZID", &self.name);
        for onset in self.onsets(start.jiff(), end.jiff()) {
            let kind = if onset.is_daylight { "DAYLIGHT" } else { "STANDARD" };
            out.line("BEGIN", kind);
            // By the clock before the change.
            out.line("DTSTART", &civil(onset.from.to_datetime(onset.at)));
            out.line("TZOFFSETFROM", &offset(onset.from));
            out.line("TZOFFSETTO", &offset(onset.to));
            out.text("TZNAME", &onset.name);
            out.line("END", kind);
        }
        out.line("END", "VTIMEZONE");
    }

    /// The change in force at the start, those until the end, and at least the next ones after the start.
    fn onsets(&self, start: Instant, end: Instant) -> Vec<Onset> {
        let just_after = start.saturating_add(SignedDuration::from_nanos(1)).unwrap_or(start);
        let in_force = self.zone.preceding(just_after).take(1);
        let later = self.zone.following(start).enumerate();
        let later = later.take_while(|(index, change)| *index < LATER_CHANGES || change.timestamp() <= end);
        let changes: Vec<Onset> = in_force
            .chain(later.map(|(_, change)| change))
            .map(|change| {
                let before = change.timestamp().saturating_sub(SignedDuration::from_nanos(1));
                Onset {
                    at: change.timestamp(),
                    from: self.zone.to_offset(before.unwrap_or(Instant::MIN)),
                    to: change.offset(),
                    name: change.abbreviation().to_owned(),
                    is_daylight: change.dst() == Dst::Yes,
                }
            })
            .collect();
        if changes.first().is_some_and(|first| first.at <= start) {
            return changes;
        }
        // The zone has not changed before. Its first definition begins long before the entry.
        let info = self.zone.to_offset_info(start);
        let first = Onset {
            at: Instant::UNIX_EPOCH.min(start),
            from: info.offset(),
            to: info.offset(),
            name: info.abbreviation().to_owned(),
            is_daylight: info.dst() == Dst::Yes,
        };
        std::iter::once(first).chain(changes).collect()
    }
}

fn civil(local: DateTime) -> String {
    local.strftime("%Y%m%dT%H%M%S").to_string()
}

/// An offset as `+0130`, with seconds if it has any.
fn offset(offset: Offset) -> String {
    let (sign, seconds) = (if offset.is_negative() { '-' } else { '+' }, offset.seconds().abs());
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let rest = if rest == 0 { String::new() } else { format!("{rest:02}") };
    format!("{sign}{hours:02}{minutes:02}{rest}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::zones::Zones;

    fn times(zone: &str) -> LocalTimes {
        LocalTimes::of(Zones::bundled().get(zone)).expect("a zone with a name")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn written(zone: &str, start: &str) -> String {
        let mut out = Writer(String::new());
        times(zone).write(&mut out, "DTSTART", at(start));
        out.0.trim_end().to_owned()
    }

    fn defined(zone: &str, start: &str) -> Vec<String> {
        let mut out = Writer(String::new());
        times(zone).define(&mut out, at(start), at(start));
        out.0.lines().map(str::to_owned).collect()
    }

    #[test]
    fn times_around_a_change_of_the_clock_are_local() {
        for (start, expected) in [
            ("2026-03-08T06:59:00Z", "DTSTART;TZID=America/New_York:20260308T015900"),
            ("2026-03-08T07:00:00Z", "DTSTART;TZID=America/New_York:20260308T030000"),
            ("2026-11-01T05:30:00Z", "DTSTART;TZID=America/New_York:20261101T013000"),
        ] {
            assert_eq!(written("America/New_York", start), expected);
        }
    }

    #[test]
    fn the_second_of_two_equal_local_times_is_in_utc() {
        assert_eq!(written("America/New_York", "2026-11-01T06:30:00Z"), "DTSTART:20261101T063000Z");
        assert_eq!(
            written("America/New_York", "2026-11-01T07:00:00Z"),
            "DTSTART;TZID=America/New_York:20261101T020000"
        );
    }

    #[test]
    fn the_definition_has_the_change_in_force_and_the_next_two() {
        let lines = defined("America/New_York", "2026-03-08T07:00:00Z");
        let expected = "BEGIN:VTIMEZONE TZID:America/New_York \
            BEGIN:DAYLIGHT DTSTART:20260308T020000 TZOFFSETFROM:-0500 TZOFFSETTO:-0400 TZNAME:EDT END:DAYLIGHT \
            BEGIN:STANDARD DTSTART:20261101T020000 TZOFFSETFROM:-0400 TZOFFSETTO:-0500 TZNAME:EST END:STANDARD \
            BEGIN:DAYLIGHT DTSTART:20270314T020000 TZOFFSETFROM:-0500 TZOFFSETTO:-0400 TZNAME:EDT END:DAYLIGHT \
            END:VTIMEZONE";
        assert_eq!(lines.join(" "), expected);
    }

    #[test]
    fn a_zone_without_changes_has_its_standard_time_alone() {
        let lines = defined("Etc/GMT+5", "2026-03-08T07:00:00Z");
        let expected = "BEGIN:VTIMEZONE TZID:Etc/GMT+5 \
            BEGIN:STANDARD DTSTART:19691231T190000 TZOFFSETFROM:-0500 TZOFFSETTO:-0500 TZNAME:-05 END:STANDARD END:VTIMEZONE";
        assert_eq!(lines.join(" "), expected);
        assert!(LocalTimes::of(Zones::bundled().get("UTC")).is_none() && LocalTimes::of(None).is_none());
    }

    proptest! {
        /// What a calendar computes from the definition.
        #[test]
        fn the_definition_gives_the_instant_of_each_local_time(
            zone in select(vec!["America/New_York", "Europe/Dublin", "Australia/Lord_Howe", "Africa/Casablanca",
                "America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Apia", "America/St_Johns"]),
            minutes in 0_i64..60 * 24 * 365 * 12, earlier in 0_i64..900,
        ) {
            let start = at("2020-01-01T00:00:00Z").plus(SignedDuration::from_mins(minutes));
            let times = times(zone);
            let local = times.zone.to_datetime(start.jiff());
            let first = start.minus(SignedDuration::from_hours(24 * earlier));
            let in_force = times.onsets(first.jiff(), start.jiff()).into_iter().rfind(|onset| onset.at <= start.jiff()).expect("one");
            prop_assert_eq!(in_force.to.to_datetime(start.jiff()), local);
        }
    }
}
