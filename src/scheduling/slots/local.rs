//! What a search asks of a start by the location's calendar and clock. Pure.

use std::ops::{Range, RangeInclusive};

use jiff::civil::{Date, DateTime};

use crate::scheduling::hours::weekly::Weekday;

/// The minutes of a day.
const DAY: Range<i32> = 0..1440;

/// The local dates, weekdays and times of day at which a visit may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalFilter {
    /// The first and the last date; none for any date.
    pub dates: Option<RangeInclusive<Date>>,
    /// The weekdays; empty for any weekday.
    pub weekdays: Vec<Weekday>,
    /// The minutes after midnight by the clock.
    pub minutes: Range<i32>,
}

impl Default for LocalFilter {
    fn default() -> Self {
        Self { dates: None, weekdays: Vec::new(), minutes: DAY }
    }
}

impl LocalFilter {
    /// Whether it accepts every start.
    pub fn is_any(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a visit may start at this local time.
    pub fn accepts(&self, local: DateTime) -> bool {
        let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
        let weekday = i32::from(local.weekday().to_monday_one_offset());
        self.dates.as_ref().is_none_or(|dates| dates.contains(&local.date()))
            && (self.weekdays.is_empty() || self.weekdays.iter().any(|day| day.iso() == weekday))
            && self.minutes.contains(&minute)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, datetime};

    use super::*;

    #[test]
    fn a_start_must_match_the_date_the_weekday_and_the_time_of_day() {
        let monday = datetime(2026, 3, 2, 9, 0, 0, 0);
        let any = LocalFilter::default();
        assert!(any.is_any() && any.accepts(monday));
        let dates = |first, last| LocalFilter { dates: Some(first..=last), ..LocalFilter::default() };
        assert!(dates(date(2026, 3, 2), date(2026, 3, 2)).accepts(monday));
        assert!(!dates(date(2026, 3, 3), date(2026, 3, 9)).accepts(monday));
        let weekdays = |weekdays: &[Weekday]| LocalFilter { weekdays: weekdays.to_vec(), ..LocalFilter::default() };
        assert!(weekdays(&[Weekday::Friday, Weekday::Monday]).accepts(monday));
        assert!(!weekdays(&[Weekday::Tuesday]).accepts(monday));
        let minutes = |minutes| LocalFilter { minutes, ..LocalFilter::default() };
        assert!(minutes(540..541).accepts(monday));
        assert!(!minutes(541..720).accepts(monday));
        assert!(!minutes(0..540).accepts(monday));
    }
}
