//! The days on which follow-ups are due. Pure.

use jiff::ToSpan;
use jiff::civil::Date;

/// Returns the first day of the series after `after`: some weeks after `counts_from`, then again and again after `repeat` weeks. None if
/// the series has ended, and if `repeat` is 0 and there are no weeks.
pub fn next_due(counts_from: Date, after: Date, weeks: &[u16], repeat: u16) -> Option<Date> {
    let day = |weeks: i64| counts_from.checked_add(weeks.weeks()).ok();
    let listed = weeks.iter().filter_map(|weeks| day((*weeks).into())).find(|due| *due > after);
    if listed.is_some() || repeat == 0 {
        return listed;
    }
    let last = weeks.last().copied().map_or(0, i64::from);
    let passed = day(last).and_then(|from| from.until(after).ok()).map_or(0, |span| i64::from(span.get_days()) / 7);
    let repeats = passed.max(0) / i64::from(repeat) + 1;
    day(last + repeats * i64::from(repeat))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_series_has_its_weeks_and_then_repeats() {
        let visit = date(2026, 3, 2);
        let mut due = vec![visit];
        while due.len() < 7 {
            due.push(next_due(visit, due[due.len() - 1], &[4, 8, 12], 26).expect("a day"));
        }
        let weeks: Vec<_> = due.iter().map(|due| visit.until(*due).expect("a span").get_days() / 7).collect();
        assert_eq!(weeks, [0, 4, 8, 12, 38, 64, 90]);
    }

    #[test]
    fn days_that_have_passed_are_left_out() {
        let visit = date(2026, 3, 2);
        assert_eq!(next_due(visit, date(2026, 5, 30), &[4, 8, 12], 26), Some(visit + 38.weeks()));
        assert_eq!(next_due(visit, visit + 39.weeks(), &[4, 8, 12], 26), Some(visit + 64.weeks()));
        assert_eq!(next_due(visit, visit + 30.days(), &[4, 8], 0), Some(visit + 8.weeks()));
    }

    #[test]
    fn a_series_ends_without_a_repetition_and_can_be_switched_off() {
        let visit = date(2026, 3, 2);
        assert_eq!(next_due(visit, visit + 12.weeks(), &[4, 8, 12], 0), None);
        assert_eq!(next_due(visit, visit, &[], 0), None);
        assert_eq!(next_due(visit, visit, &[], 26), Some(visit + 26.weeks()));
    }
}
