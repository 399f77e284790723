//! Dates and times in words, in the reader's language. Two languages need two lists of names and no library.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Zoned};
use text::Language;

use crate::clock::Timestamp;

const DAYS: [&str; 7] = ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"];
const MONTHS: [&str; 12] = [
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
];

/// A time at a location.
pub struct Moment {
    local: Zoned,
    language: Language,
}

impl Moment {
    /// The local time of an instant in `zone`.
    pub fn new(at: Timestamp, zone: &TimeZone, language: Language) -> Self {
        Self { local: at.in_zone(zone), language }
    }

    /// A date and time by the clock of a place, in no zone.
    pub fn of_clock(local: DateTime, language: Language) -> Self {
        Self { local: local.to_zoned(TimeZone::UTC).unwrap_or_default(), language }
    }

    /// A calendar day, in no zone.
    pub fn of_day(day: Date, language: Language) -> Self {
        Self::of_clock(day.into(), language)
    }

    /// Date, time and zone: "Monday, March 9, 2026, 9:30 AM (America/New_York, EDT)".
    pub fn full(&self) -> String {
        format!("{}, {} ({})", self.date(), self.time(), self.zone())
    }

    /// Date, time and short zone, for readers at the location: "Monday, March 9, 2026, 9:30 AM (EDT)".
    pub fn full_here(&self) -> String {
        format!("{}, {}", self.date(), self.time_here())
    }

    /// The day with its year: "Monday, March 9, 2026".
    pub fn date(&self) -> String {
        match self.language {
            Language::English => self.local.strftime("%A, %B %-d, %Y").to_string(),
            Language::Spanish => format!("{} de {}", self.day(), self.local.year()),
        }
    }

    /// The date without its weekday: "March 9, 2026".
    pub fn date_alone(&self) -> String {
        let (day, year) = (self.local.day(), self.local.year());
        match self.language {
            Language::English => self.local.strftime("%B %-d, %Y").to_string(),
            Language::Spanish => format!("{day} de {} de {year}", spanish_month(self.local.date())),
        }
    }

    /// The date in short: "Mar 9, 2026", "9 mar 2026".
    pub fn date_in_short(&self) -> String {
        let (day, year) = (self.local.day(), self.local.year());
        match self.language {
            Language::English => self.local.strftime("%b %-d, %Y").to_string(),
            Language::Spanish => format!("{day} {:.3} {year}", spanish_month(self.local.date())),
        }
    }

    /// The day without its year: "Monday, March 9".
    pub fn day(&self) -> String {
        match self.language {
            Language::English => self.local.strftime("%A, %B %-d").to_string(),
            Language::Spanish => {
                let weekday = usize::from(self.local.weekday().since(Weekday::Monday).unsigned_abs());
                format!("{}, {} de {}", DAYS[weekday], self.local.day(), spanish_month(self.local.date()))
            }
        }
    }

    /// The time of day: "9:30 AM", "9:30 a. m.".
    pub fn time(&self) -> String {
        match self.language {
            Language::English => self.local.strftime("%-I:%M %p").to_string(),
            Language::Spanish => {
                let half = if self.local.hour() < 12 { "a" } else { "p" };
                // No line break within the abbreviation.
                format!("{} {half}.\u{a0}m.", self.local.strftime("%-I:%M"))
            }
        }
    }

    /// The time of day with the short zone: "9:30 AM (EDT)".
    pub fn time_here(&self) -> String {
        format!("{} ({})", self.time(), self.short_zone())
    }

    /// The time of day as the end of a sentence: "at 9:30 AM", "a las 9:30 a. m.".
    pub fn at_time(&self) -> String {
        let at = match self.language {
            Language::English => "at",
            Language::Spanish if self.local.hour() % 12 == 1 => "a la",
            Language::Spanish => "a las",
        };
        format!("{at} {}", self.time())
    }

    /// The zone: "America/New_York, EDT".
    fn zone(&self) -> String {
        let name = self.local.time_zone().iana_name().unwrap_or("UTC");
        let short = self.short_zone();
        if name == short { short } else { format!("{name}, {short}") }
    }

    /// The zone's abbreviation: "EDT".
    fn short_zone(&self) -> String {
        // If a zone has no abbreviation, the tz database has the offset, such as -03.
        let short = self.local.strftime("%Z").to_string();
        if short.starts_with(['+', '-']) { format!("UTC{short}") } else { short }
    }
}

/// Returns the Spanish name of a day's month.
pub fn spanish_month(day: Date) -> &'static str {
    MONTHS[usize::from(day.month().unsigned_abs()) - 1]
}

/// Returns a duration in whole hours, days or weeks: "an hour", "24 hours", "a week".
pub fn span(length: SignedDuration, language: Language) -> String {
    let hours = length.as_hours();
    let (count, [one, many]) = match (hours, language) {
        (hours, Language::English) if hours % 168 == 0 => (hours / 168, ["a week", "weeks"]),
        (hours, Language::Spanish) if hours % 168 == 0 => (hours / 168, ["una semana", "semanas"]),
        (hours, Language::English) if hours > 24 && hours % 24 == 0 => (hours / 24, ["a day", "days"]),
        (hours, Language::Spanish) if hours > 24 && hours % 24 == 0 => (hours / 24, ["un día", "días"]),
        (hours, Language::English) => (hours, ["an hour", "hours"]),
        (hours, Language::Spanish) => (hours, ["una hora", "horas"]),
    };
    if count == 1 { one.to_owned() } else { format!("{count} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zones::Zones;

    fn moment(at: &str, zone: &str, language: Language) -> Moment {
        let zone = Zones::bundled().get(zone).unwrap_or(TimeZone::UTC);
        Moment::new(at.parse().expect("an instant"), &zone, language)
    }

    #[test]
    fn a_time_is_written_in_the_zone_of_its_location() {
        for (at, zone, expected) in [
            ("2026-03-08T06:30:00Z", "America/New_York", "Sunday, March 8, 2026, 1:30 AM (America/New_York, EST)"),
            ("2026-03-08T07:30:00Z", "America/New_York", "Sunday, March 8, 2026, 3:30 AM (America/New_York, EDT)"),
            ("2026-07-01T12:00:00Z", "Europe/Berlin", "Wednesday, July 1, 2026, 2:00 PM (Europe/Berlin, CEST)"),
            (
                "2026-07-01T12:00:00Z",
                "America/Sao_Paulo",
                "Wednesday, July 1, 2026, 9:00 AM (America/Sao_Paulo, UTC-03)",
            ),
            ("2026-07-01T12:00:00Z", "UTC", "Wednesday, July 1, 2026, 12:00 PM (UTC)"),
        ] {
            assert_eq!(moment(at, zone, Language::English).full(), expected);
        }
    }

    #[test]
    fn readers_at_the_location_get_the_short_name_of_its_zone() {
        let text = |zone| moment("2026-07-01T12:00:00Z", zone, Language::English).full_here();
        assert_eq!(text("America/New_York"), "Wednesday, July 1, 2026, 8:00 AM (EDT)");
        assert_eq!(text("America/Sao_Paulo"), "Wednesday, July 1, 2026, 9:00 AM (UTC-03)");
    }

    #[test]
    fn a_duration_is_in_its_largest_whole_unit_and_a_day_in_hours() {
        for (hours, english, spanish) in [
            (1, "an hour", "una hora"),
            (24, "24 hours", "24 horas"),
            (48, "2 days", "2 días"),
            (168, "a week", "una semana"),
            (336, "2 weeks", "2 semanas"),
        ] {
            let length = SignedDuration::from_hours(hours);
            assert_eq!(
                (span(length, Language::English), span(length, Language::Spanish)),
                (english.into(), spanish.into())
            );
        }
    }

    #[test]
    fn a_time_within_a_sentence_agrees_with_its_hour() {
        let text = |at, language| moment(at, "UTC", language).at_time();
        assert_eq!(text("2026-03-09T13:30:00Z", Language::English), "at 1:30 PM");
        assert_eq!(text("2026-03-09T13:30:00Z", Language::Spanish), "a la 1:30 p.\u{a0}m.");
        assert_eq!(text("2026-03-09T14:30:00Z", Language::Spanish), "a las 2:30 p.\u{a0}m.");
    }

    #[test]
    fn a_date_in_short_has_the_first_letters_of_its_month() {
        let text = |month, language| Moment::of_day(Date::constant(2026, month, 9), language).date_in_short();
        assert_eq!(
            (text(3, Language::English).as_str(), text(9, Language::English).as_str()),
            ("Mar 9, 2026", "Sep 9, 2026")
        );
        assert_eq!(
            (text(3, Language::Spanish).as_str(), text(9, Language::Spanish).as_str()),
            ("9 mar 2026", "9 sep 2026")
        );
    }

    #[test]
    fn spanish_days_and_months_are_lower_case_with_a_m_and_p_m_by_the_academys_rules() {
        for (at, zone, expected) in [
            (
                "2026-03-09T13:30:00Z",
                "America/New_York",
                "lunes, 9 de marzo de 2026, 9:30 a.\u{a0}m. (America/New_York, EDT)",
            ),
            ("2026-12-27T12:05:00Z", "UTC", "domingo, 27 de diciembre de 2026, 12:05 p.\u{a0}m. (UTC)"),
            ("2026-01-03T00:00:00Z", "UTC", "sábado, 3 de enero de 2026, 12:00 a.\u{a0}m. (UTC)"),
        ] {
            assert_eq!(moment(at, zone, Language::Spanish).full(), expected);
        }
    }
}
