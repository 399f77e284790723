//! The utilisation as a picture (SVG): the totals, and the booked and free hours of each day. It is in English, like all pages for staff.

use jiff::civil::Date;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior, context};
use serde::Serialize;
use text::Language;

use super::figures::{UtilisationDay, UtilisationFigures};
use crate::error::{Error, Result};
use crate::messages::times::Moment;

/// The name of the template. Its ending makes minijinja escape XML.
const NAME: &str = "utilisation.xml";
/// The edges of the bars. The scale is left of them.
const LEFT: f64 = 60.0;
const RIGHT: f64 = 936.0;
const TOP: f64 = 184.0;
const BOTTOM: f64 = 404.0;
/// The width that the name of a day needs.
const LABEL: f64 = 76.0;
/// How many lines the scale has at most.
const MOST_LINES: f64 = 5.0;

/// What the picture shows.
pub(super) struct Picture<'a> {
    /// Whose time it is.
    pub about: String,
    /// The first day.
    pub from: Date,
    /// The last day.
    pub to: Date,
    pub total: &'a UtilisationFigures,
    pub days: &'a [UtilisationDay],
}

/// A number of the whole period.
#[derive(Serialize)]
struct Total {
    x: String,
    label: &'static str,
    value: String,
}

/// A line of the scale.
#[derive(Serialize)]
struct Line {
    y: String,
    /// Where the middle of its text is.
    base: String,
    hours: i64,
}

/// A day: the bar of its booked hours, above it the free ones, and below it the visits that patients missed or cancelled late.
#[derive(Serialize)]
struct Bar {
    x: String,
    width: String,
    middle: String,
    booked_y: String,
    booked_height: String,
    free_y: String,
    free_height: String,
    /// The name of the day; none where it would cover that of another day.
    label: Option<String>,
    missed: Option<u32>,
}

impl Picture<'_> {
    /// Draws the picture.
    ///
    /// # Errors
    /// A fault if the template does not fit the report.
    pub fn svg(&self) -> Result<String> {
        let mut engine = Environment::new();
        engine.set_undefined_behavior(UndefinedBehavior::Strict);
        let fault =
            |error: minijinja::Error| Error::fault(format!("{NAME}: {} at line {:?}", error.kind(), error.line()));
        engine.add_template(NAME, include_str!("utilisation.svg")).map_err(fault)?;
        let date = |day: Date| Moment::of_day(day, Language::English).date();
        let top = scale(self.days);
        let period =
            if self.from == self.to { date(self.from) } else { format!("{} to {}", date(self.from), date(self.to)) };
        let values = context! {
            title => format!("Utilisation of {}", self.about),
            period => period,
            summary => summary(self.total),
            totals => Value::from(Serde(totals(self.total))),
            lines => Value::from(Serde(lines(top))),
            bars => Value::from(Serde(bars(self.days, top))),
            has_missed => self.days.iter().any(|day| missed(&day.figures) > 0),
            left => LEFT, right => RIGHT, bottom => BOTTOM,
        };
        engine.get_template(NAME).and_then(|template| template.render(values)).map_err(fault)
    }
}

/// Hours with their minutes, or rounded if they are many.
fn hours(minutes: i64) -> String {
    if minutes < 100 * 60 {
        return format!("{}:{:02} h", minutes / 60, minutes % 60);
    }
    format!("{} h", (minutes + 30) / 60)
}

fn missed(figures: &UtilisationFigures) -> u32 {
    figures.no_shows + figures.late_cancellations
}

/// What the picture shows, for people who do not see it.
fn summary(total: &UtilisationFigures) -> String {
    let percent =
        total.utilisation_percent.map_or_else(String::new, |percent| format!(", {percent} percent of the time"));
    let lead = total
        .median_lead_days
        .map_or_else(String::new, |days| format!(" Median of the days from booking to visit: {days}."));
    format!(
        "Visits booked: {} ({}{percent}). Free: {}. No-shows: {}. Late cancellations: {}. Overbooked: {}. Filled from the waitlist: {}.{lead}",
        total.booked_visits,
        hours(total.booked_minutes),
        hours(total.free_minutes),
        total.no_shows,
        total.late_cancellations,
        total.overbooked_visits,
        total.waitlist_fills,
    )
}

fn totals(total: &UtilisationFigures) -> Vec<Total> {
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
    let values = [
        ("Utilisation", or_dash(total.utilisation_percent.map(|percent| format!("{percent} %")))),
        ("Visits booked", total.booked_visits.to_string()),
        ("Booked", hours(total.booked_minutes)),
        ("Free", hours(total.free_minutes)),
        ("No-shows", total.no_shows.to_string()),
        ("Cancelled late", total.late_cancellations.to_string()),
        ("Overbooked", total.overbooked_visits.to_string()),
        ("From waitlist", total.waitlist_fills.to_string()),
        ("Days before", or_dash(total.median_lead_days.map(|days| days.to_string()))),
    ];
    let mut x = 24.0;
    let mut placed = Vec::new();
    for (label, value) in values {
        placed.push(Total { x: number(x), label, value });
        x += 103.0;
    }
    placed
}

#[allow(clippy::cast_precision_loss, reason = "hours of a day are few")]
fn as_hours(minutes: i64) -> f64 {
    minutes as f64 / 60.0
}

/// The hours between two lines of the scale.
fn step(top: f64) -> f64 {
    let steps = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];
    steps.into_iter().find(|step| top / step <= MOST_LINES).unwrap_or(2000.0)
}

/// The hours at the top of the scale.
fn scale(days: &[UtilisationDay]) -> f64 {
    let all = days.iter().map(|day| as_hours(day.figures.booked_minutes + day.figures.free_minutes));
    let most = all.fold(1.0, f64::max);
    (most / step(most)).ceil() * step(most)
}

fn height(hours: f64, top: f64) -> f64 {
    (BOTTOM - TOP) * hours / top
}

#[allow(clippy::cast_possible_truncation, reason = "the lines of the scale are whole hours")]
fn lines(top: f64) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut hours = 0.0;
    while hours <= top {
        let y = BOTTOM - height(hours, top);
        lines.push(Line { y: number(y), base: number(y + 4.0), hours: hours as i64 });
        hours += step(top);
    }
    lines
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most 92 days"
)]
fn bars(days: &[UtilisationDay], top: f64) -> Vec<Bar> {
    let each = (RIGHT - LEFT) / days.len().max(1) as f64;
    let width = (each * 0.72).min(64.0);
    let every = (LABEL / each).ceil().max(1.0) as usize;
    let bar = |(index, day): (usize, &UtilisationDay)| {
        let middle = LEFT + each * (index as f64 + 0.5);
        let (booked, free) =
            (height(as_hours(day.figures.booked_minutes), top), height(as_hours(day.figures.free_minutes), top));
        Bar {
            x: number(middle - width / 2.0),
            width: number(width),
            middle: number(middle),
            booked_y: number(BOTTOM - booked),
            booked_height: number(booked),
            free_y: number(BOTTOM - booked - free),
            free_height: number(free),
            label: (index % every == 0).then(|| day.date.0.strftime("%a %b %-d").to_string()),
            missed: Some(missed(&day.figures)).filter(|missed| *missed > 0),
        }
    };
    days.iter().enumerate().map(bar).collect()
}

fn number(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;
    use jiff::civil::date;

    use super::*;
    use crate::db::types;

    fn report(days: i64, booked: i64) -> (UtilisationFigures, Vec<UtilisationDay>) {
        let figures = |index: i64| UtilisationFigures {
            booked_visits: 3,
            booked_minutes: booked * (index % 3),
            free_minutes: booked / 2,
            no_shows: u32::from(index == 1),
            ..UtilisationFigures::default()
        };
        let day = |index: i64| date(2026, 3, 2).saturating_add(index.days());
        let days = (0..days).map(|index| UtilisationDay { date: types::Date(day(index)), figures: figures(index) });
        (figures(1), days.collect())
    }

    #[test]
    fn every_length_of_a_period_gives_a_picture_within_its_edges() {
        for days in [1, 2, 7, 31, 92] {
            for booked in [0, 30, 480, 20_000] {
                let (total, days) = report(days, booked);
                let (from, to) = (days[0].date.0, days[days.len() - 1].date.0);
                let about = "<Main> & \"Street\"".to_owned();
                let picture = Picture { about, from, to, total: &total, days: &days };
                let svg = picture.svg().expect("a picture");
                assert!(svg.contains("<title") && svg.contains("<desc") && svg.contains("&lt;Main&gt; &amp;"), "{svg}");
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
                let top = scale(&days);
                assert!(lines(top).len() <= 7, "{top}");
                for bar in bars(&days, top) {
                    let value = |text: &str| text.parse::<f64>().expect("a number");
                    assert!(value(&bar.x) >= LEFT && value(&bar.x) + value(&bar.width) <= RIGHT);
                    assert!(value(&bar.free_y) >= TOP - 0.1, "{}", bar.free_y);
                }
            }
        }
    }
}
