//! Dates in words, for practitioners.

use jiff::civil::Date;
use rls::form_dsl::PartialDate;

/// Writes a day, such as "Mar 11, 2026".
pub(super) fn day_in_words(day: Date) -> String {
    day.strftime("%b %-d, %Y").to_string()
}

/// Writes a date as far as it is known, such as "Feb 2021".
pub(super) fn partial_date_in_words(date: PartialDate) -> String {
    match date {
        PartialDate::Year(year) => year.to_string(),
        PartialDate::Month(..) => date.first().strftime("%b %Y").to_string(),
        PartialDate::Day(day) => day_in_words(day),
    }
}
