//! The quiet hours: the local times in which no mail goes to patients that can wait.

use jiff::ToSpan;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use crate::clock::Timestamp;

/// A daily span of local time; none if there are no quiet hours. It may include midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours(Option<(Time, Time)>);

impl QuietHours {
    /// The default.
    pub const DEFAULT: &str = "21:00-08:00";
    /// The greatest length in minutes. The rest of the day must be long enough for the mails, also when the clocks change.
    const MOST: i32 = 16 * 60;

    /// Returns whether a local time is in the quiet hours. Their start is, their end is not.
    fn include(self, time: Time) -> bool {
        match self.0 {
            None => false,
            Some((from, until)) if from < until => from <= time && time < until,
            Some((from, until)) => from <= time || time < until,
        }
    }

    /// Returns the first instant from `at` on that is not in the quiet hours of the zone. If the clocks skip the end, it is the end after
    /// the change; if the clocks show the end twice, the first one counts that has not passed.
    #[must_use]
    pub fn end_after(self, at: Timestamp, zone: &TimeZone) -> Timestamp {
        let local = at.in_zone(zone).datetime();
        let Some((_, until)) = self.0.filter(|_| self.include(local.time())) else { return at };
        let days = i8::from(local.time() >= until);
        let end = zone.to_ambiguous_timestamp(local.date().saturating_add(days.days()).to_datetime(until));
        let mut ends = [end.compatible(), end.later()].into_iter().flatten().map(Timestamp::from);
        ends.find(|end| *end > at).unwrap_or(at)
    }

    /// Returns the start of the quiet hours that an instant is in; none if it is in no quiet hours.
    pub fn start_before(self, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let local = at.in_zone(zone).datetime();
        let (from, _) = self.0.filter(|_| self.include(local.time()))?;
        let days = i8::from(local.time() < from);
        let start = zone.to_ambiguous_timestamp(local.date().saturating_sub(days.days()).to_datetime(from));
        start.earlier().ok().map(Timestamp::from)
    }
}

impl std::str::FromStr for QuietHours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim() == "off" {
            return Ok(Self(None));
        }
        let time = |text: &str| Time::strptime("%H:%M", text.trim()).ok();
        let span = text.split_once('-').and_then(|(from, until)| time(from).zip(time(until)));
        let minute = |time: Time| i32::from(time.hour()) * 60 + i32::from(time.minute());
        let length = |from, until| (minute(until) - minute(from)).rem_euclid(24 * 60);
        span.filter(|(from, until)| (1..=Self::MOST).contains(&length(*from, *until)))
            .map(|span| Self(Some(span)))
            .ok_or_else(|| "must be `off` or two times at most 16 hours apart, such as 21:00-08:00".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    fn zone(name: &str) -> TimeZone {
        crate::zones::Zones::bundled().get(name).expect("a zone")
    }

    /// When a mail due at this instant goes out.
    fn goes(hours: &str, at: &str, name: &str) -> String {
        let hours: QuietHours = hours.parse().expect("quiet hours");
        hours.end_after(at.parse().expect("an instant"), &zone(name)).to_string()
    }

    #[test]
    fn quiet_hours_are_two_times_or_off() {
        for right in [QuietHours::DEFAULT, "off", "12:00-13:30", " 22:00 - 07:00 "] {
            assert!(right.parse::<QuietHours>().is_ok(), "{right}");
        }
        for wrong in ["", "21", "21:00", "21:00-21:00", "08:00-00:01", "24:00-08:00", "21:00-08:60", "9pm-8am"] {
            assert!(wrong.parse::<QuietHours>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_due_in_quiet_hours_waits_for_their_end() {
        let new_york = |at| goes("21:00-08:00", at, "America/New_York");
        // 20:59, 21:00, 07:59 and 08:00 in winter.
        assert_eq!(new_york("2026-03-03T01:59:00Z"), "2026-03-03T01:59:00Z");
        assert_eq!(new_york("2026-03-03T02:00:00Z"), "2026-03-03T13:00:00Z");
        assert_eq!(new_york("2026-03-03T12:59:00Z"), "2026-03-03T13:00:00Z");
        assert_eq!(new_york("2026-03-03T13:00:00Z"), "2026-03-03T13:00:00Z");
        // The night in which the clocks go forward.
        assert_eq!(new_york("2026-03-08T03:00:00Z"), "2026-03-08T12:00:00Z");
        assert_eq!(goes("off", "2026-03-03T02:00:00Z", "America/New_York"), "2026-03-03T02:00:00Z");
        assert_eq!(goes("12:00-13:00", "2026-03-03T17:30:00Z", "America/New_York"), "2026-03-03T18:00:00Z");
    }

    #[test]
    fn an_end_that_the_clocks_skip_or_repeat_is_one_that_has_not_passed() {
        // 02:30 does not exist on 8 March: 03:30.
        assert_eq!(goes("21:00-02:30", "2026-03-08T06:50:00Z", "America/New_York"), "2026-03-08T07:30:00Z");
        // 01:10 for the first and the second time on 1 November, until 01:30.
        assert_eq!(goes("21:00-01:30", "2026-11-01T05:10:00Z", "America/New_York"), "2026-11-01T05:30:00Z");
        assert_eq!(goes("21:00-01:30", "2026-11-01T06:10:00Z", "America/New_York"), "2026-11-01T06:30:00Z");
    }

    proptest! {
        #[test]
        fn the_end_is_never_earlier_never_quiet_and_at_most_a_day_away(
            minutes in 0_i64..2 * 366 * 24 * 60, from in 0_i8..24, length in 1_i8..=16,
            name in prop::sample::select(vec!["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata"]),
        ) {
            let until = (from + length) % 24;
            let hours: QuietHours = format!("{from:02}:00-{until:02}:00").parse().expect("quiet hours");
            let zone = zone(name);
            let start: Timestamp = "2026-01-01T00:00:00Z".parse().expect("an instant");
            let at = start.plus(SignedDuration::from_mins(minutes));
            let end = hours.end_after(at, &zone);
            prop_assert!(at <= end && end.since(at) <= SignedDuration::from_hours(25));
            prop_assert!(!hours.include(end.in_zone(&zone).time()), "{end}");
            prop_assert_eq!(end == at, !hours.include(at.in_zone(&zone).time()));
            let start = hours.start_before(at, &zone);
            prop_assert_eq!(start.is_some(), end > at);
            prop_assert!(start.is_none_or(|start| start <= at && at.since(start) <= SignedDuration::from_hours(17)), "{start:?}");
        }
    }
}
