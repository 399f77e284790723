//! The axis of days: its span and its ticks at the start of years, quarters or months.

use jiff::ToSpan;
use jiff::civil::Date;
use text::Language;

/// The days that a picture shows, and where they are drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    first: Date,
    last: Date,
    left: f64,
    right: f64,
}

/// The least number of days on the axis.
const LEAST: i32 = 365;

impl Axis {
    /// Spans the days and today, with a margin on both sides so that no point is at the edge.
    pub fn new(days: &[Date], today: Date, (left, right): (f64, f64)) -> Self {
        let first = days.iter().copied().min().unwrap_or(today).min(today);
        let last = days.iter().copied().max().unwrap_or(today).max(today);
        let missing = (LEAST - between(first, last)).max(0);
        let margin = (between(first, last).max(LEAST) / 20).max(14);
        Self {
            first: first.saturating_sub((missing + margin).days()),
            last: last.saturating_add(margin.days()),
            left,
            right,
        }
    }

    /// Returns the first day on the axis.
    pub fn first(&self) -> Date {
        self.first
    }

    /// Returns where a day is drawn. Days outside are at the edge.
    pub fn x(&self, day: Date) -> f64 {
        let share = f64::from(between(self.first, day)) / f64::from(between(self.first, self.last).max(1));
        self.left + share.clamp(0.0, 1.0) * (self.right - self.left)
    }

    /// Returns the ticks with their labels: at most nine starts of months, quarters, half-years or years.
    pub fn ticks(&self, language: Language) -> Vec<(f64, String)> {
        let days = between(self.first, self.last);
        let steps = [1, 3, 6, 12, 24, 60, 120, 240];
        let months = steps.into_iter().find(|months| days * 12 / 365 / months <= 8).unwrap_or(480);
        let mut at = start(self.first, months);
        let mut ticks = Vec::new();
        while at <= self.last {
            if at >= self.first {
                ticks.push((self.x(at), label(at, months, language)));
            }
            let Ok(next) = at.checked_add(months.months()) else { break };
            at = next;
        }
        ticks
    }
}

/// Returns the days from one day to another.
fn between(from: Date, to: Date) -> i32 {
    from.until(to).map_or(0, |span| span.get_days())
}

/// Returns the start of the period of so many months that contains a day.
fn start(day: Date, months: i32) -> Date {
    let count = (i32::from(day.year()) * 12 + i32::from(day.month()) - 1) / months * months;
    let year = i16::try_from(count / 12).unwrap_or(day.year());
    let month = i8::try_from(count % 12 + 1).unwrap_or(1);
    Date::new(year, month, 1).unwrap_or(day)
}

const MONTHS_EN: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const MONTHS_ES: [&str; 12] = ["ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"];

/// Writes a month with its year.
pub(super) fn month(day: Date, language: Language) -> String {
    let names = match language {
        Language::English => MONTHS_EN,
        Language::Spanish => MONTHS_ES,
    };
    let month = usize::try_from(day.month() - 1).unwrap_or_default();
    format!("{} {}", names.get(month).copied().unwrap_or_default(), day.year())
}

fn label(day: Date, months: i32, language: Language) -> String {
    if months >= 12 { day.year().to_string() } else { month(day, language) }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn labels(first: Date, last: Date) -> Vec<String> {
        let axis = Axis::new(&[first], last, (0.0, 100.0));
        axis.ticks(Language::English).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_starts_of_quarters_half_years_and_years() {
        assert_eq!(labels(date(2026, 1, 10), date(2026, 11, 28)), ["Jan 2026", "Apr 2026", "Jul 2026", "Oct 2026"]);
        assert_eq!(labels(date(2024, 2, 1), date(2026, 11, 28))[..3], ["Jan 2024", "Jul 2024", "Jan 2025"]);
        assert_eq!(
            labels(date(2021, 2, 1), date(2026, 11, 28)),
            ["2021", "2022", "2023", "2024", "2025", "2026", "2027"]
        );
        assert_eq!(labels(date(1999, 2, 1), date(2026, 11, 28)), ["2000", "2005", "2010", "2015", "2020", "2025"]);
    }

    #[test]
    fn a_day_alone_gets_a_year_around_it() {
        let axis = Axis::new(&[], date(2026, 11, 28), (0.0, 100.0));
        assert!(axis.first() < date(2025, 11, 28) && axis.last > date(2026, 11, 28));
        assert!((axis.x(date(1900, 1, 1)) - 0.0).abs() < 1e-9 && (axis.x(date(2100, 1, 1)) - 100.0).abs() < 1e-9);
    }
}
