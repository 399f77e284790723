//! The day of a location as one page to print, readable in black and white. It is in English, like all pages for staff.

use jiff::civil::{Date, DateTime};
use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior, context};
use text::Language;

use super::DaySheet;
use crate::error::{Error, Result};
use crate::messages::times::Moment;

/// The name of the template. Its ending makes minijinja escape HTML.
const NAME: &str = "page.html";

/// Renders the page. `now` is in the location's time zone.
///
/// # Errors
/// A fault if the template does not fit the sheet.
pub fn html(sheet: &DaySheet, clinic: &str, now: &jiff::Zoned) -> Result<String> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    let day = sheet.date.0;
    engine.add_filter("clock", move |text: &str| clock(text, day));
    engine.add_filter("date", |text: &str| {
        text.parse::<Date>().map_or_else(|_| text.to_owned(), |date| date.strftime("%b %-d, %Y").to_string())
    });
    engine.add_filter("language", |tag: &str| match tag.split('-').next() {
        Some("en") => "English".to_owned(),
        Some("es") => "Spanish".to_owned(),
        _ => tag.to_owned(),
    });
    engine.add_filter("status", |status: &str| match status {
        "checked-in" => "Checked in".to_owned(),
        "noshow" => "Did not come".to_owned(),
        "fulfilled" => "Completed".to_owned(),
        _ => "Booked".to_owned(),
    });
    engine.add_filter("words", |text: &str| text.replace(['_', '-'], " "));
    // The template's name and the line, but not the cause, which may contain values.
    let fault = |error: minijinja::Error| Error::fault(format!("{NAME}: {} at line {:?}", error.kind(), error.line()));
    engine.add_template(NAME, include_str!("page.html")).map_err(fault)?;
    let values = context! {
        s => Value::from(Serde(sheet)),
        date => Moment::of_day(day, Language::English).date(),
        clinic,
        printed => now.strftime("%b %-d, %Y, %-I:%M %p").to_string(),
    };
    engine.get_template(NAME).and_then(|template| template.render(values)).map_err(fault)
}

/// Writes a local time, with its day if that is another one.
fn clock(text: &str, day: Date) -> String {
    let Ok(local) = text.parse::<DateTime>() else { return text.to_owned() };
    let form = if local.date() == day { "%-I:%M %p" } else { "%b %-d, %-I:%M %p" };
    local.strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_another_day_names_the_day() {
        let day = jiff::civil::date(2026, 3, 9);
        assert_eq!(clock("2026-03-09T09:30:00", day), "9:30 AM");
        assert_eq!(clock("2026-03-08T21:00:00", day), "Mar 8, 9:00 PM");
    }
}
