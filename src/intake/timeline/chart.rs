//! Draws the timeline as a picture (SVG): severity with its bands, ferritin with its threshold, treatments as bars over the same years.

use jiff::civil::Date;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::error::{Error, Result};

/// What the picture shows.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    pub title: String,
    /// The current day, at which the picture ends.
    pub today: Date,
    /// Severity totals, 0 to 40, by day.
    pub severity: Vec<(Date, f64)>,
    /// Ferritin in ng/mL by day, with `<` or `>` if the laboratory only gave a bound.
    pub ferritin: Vec<(Date, f64, Option<&'static str>)>,
    /// The treatments, in the order in which they are drawn.
    pub treatments: Vec<Bar>,
}

/// The time of a treatment.
#[derive(Debug, Clone)]
pub struct Bar {
    /// The name.
    pub label: String,
    /// The start. None if unknown.
    pub from: Option<Date>,
    /// The end. None if it continues or is unknown.
    pub until: Option<Date>,
    /// Whether it continues.
    pub current: bool,
}

const WIDTH: u32 = 960;
const SEVERITY_HEIGHT: u32 = 280;
const FERRITIN_HEIGHT: u32 = 230;
const BAR_HEIGHT: u32 = 26;
const HEADING: u32 = 44;
/// The width left of the panels, for their scales.
const LEFT: u32 = 64;
/// The width right of the panels, for the labels of their lines.
const RIGHT: i32 = 110;
/// The largest number of bars. Further treatments are counted.
const BARS: usize = 20;
/// The ferritin up to which the AASM's guideline of 2025 suggests iron (doi 10.5664/jcsm.11390), in ng/mL.
const FERRITIN_THRESHOLD: f64 = 75.0;

const INK: RGBColor = RGBColor(33, 37, 41);
const GREY: RGBColor = RGBColor(108, 117, 125);
const LINE: RGBColor = RGBColor(26, 82, 138);
const IRON: RGBColor = RGBColor(140, 62, 12);
/// The severity scale's bands: from, to, name, colour.
const BANDS: [(f64, f64, &str, RGBColor); 4] = [
    (0.0, 10.5, "mild", RGBColor(232, 244, 234)),
    (10.5, 20.5, "moderate", RGBColor(255, 246, 217)),
    (20.5, 30.5, "severe", RGBColor(255, 228, 204)),
    (30.5, 40.0, "very severe", RGBColor(250, 211, 211)),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn<T> = std::result::Result<T, DrawingAreaErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>>;
type Panel<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Draws the picture.
pub fn svg(picture: &Picture) -> Result<String> {
    let mut text = String::new();
    draw(picture, &mut text).map_err(|error| Error::internal("draw the timeline", error))?;
    // The label for screen readers.
    let label = format!(" role=\"img\" aria-label=\"{}\" ", escape(&picture.title));
    Ok(text.replacen("<svg ", &format!("<svg{label}"), 1))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn draw(picture: &Picture, text: &mut String) -> Drawn<()> {
    let shown = picture.treatments.len().min(BARS);
    let rows = u32::try_from(shown.max(1)).unwrap_or(1) + u32::from(picture.treatments.len() > BARS);
    let bars_height = 62 + rows * BAR_HEIGHT;
    let root = SVGBackend::with_string(text, (WIDTH, HEADING + SEVERITY_HEIGHT + FERRITIN_HEIGHT + bars_height))
        .into_drawing_area();
    root.fill(&WHITE)?;
    root.draw_text(&picture.title, &("sans-serif", 20).into_font().color(&INK), (16, 12))?;
    let (_, rest) = root.split_vertically(HEADING);
    let (severity, rest) = rest.split_vertically(SEVERITY_HEIGHT);
    let (ferritin, treatments) = rest.split_vertically(FERRITIN_HEIGHT);
    let span = span(picture);
    draw_severity(&severity, picture, span)?;
    draw_ferritin(&ferritin, picture, span)?;
    draw_treatments(&treatments, picture, span, shown)?;
    root.present()
}

/// Returns the position of a day on the axis.
fn day(date: Date) -> f64 {
    f64::from(Date::constant(2000, 1, 1).until(date).map_or(0, |span| span.get_days()))
}

/// Returns the first and the last position that are drawn.
fn span(picture: &Picture) -> (f64, f64) {
    let today = day(picture.today);
    let days = (picture.severity.iter().map(|(on, _)| *on))
        .chain(picture.ferritin.iter().map(|(on, ..)| *on))
        .chain(picture.treatments.iter().flat_map(|bar| [bar.from, bar.until]).flatten())
        .map(day);
    let first = days.clone().fold(today, f64::min);
    let last = days.fold(today, f64::max);
    // At least half a year, with a margin on both sides, so that no point is at the edge.
    let width = (last - first).max(182.0);
    (last - width - width * 0.03, last + width * 0.03)
}

/// Writes a day on the axis: the year, with the month if the picture covers few years.
fn axis_label(value: f64, (from, to): (f64, f64)) -> String {
    #[allow(clippy::cast_possible_truncation, reason = "days of a human life")]
    let days = value.round() as i64;
    let date = Date::constant(2000, 1, 1).checked_add(jiff::SignedDuration::from_hours(24 * days));
    date.map_or_else(
        |_| String::new(),
        |date| match to - from {
            years if years > 3600.0 => date.strftime("%Y").to_string(),
            months if months > 240.0 => date.strftime("%b %Y").to_string(),
            _ => date.strftime("%b %-d, %Y").to_string(),
        },
    )
}

/// Draws a panel with its axes and its title.
fn panel<'a, 'b>(
    area: &'a Area<'b>,
    caption: &str,
    span: (f64, f64),
    height: (f64, f64),
    lines: usize,
) -> Drawn<Panel<'a, 'b>> {
    area.draw_text(caption, &("sans-serif", 15).into_font().color(&INK), (16, 6))?;
    let mut chart = ChartBuilder::on(area)
        .margin_top(28)
        .margin_right(RIGHT)
        .margin_bottom(6)
        .x_label_area_size(28)
        .y_label_area_size(LEFT)
        .build_cartesian_2d(span.0..span.1, height.0..height.1)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .axis_style(GREY)
        .x_labels(7)
        .y_labels(lines)
        .x_label_formatter(&|value| axis_label(*value, span))
        .y_label_formatter(&|value| if lines == 0 { String::new() } else { format!("{value:.0}") })
        .label_style(("sans-serif", 12).into_font().color(&GREY))
        .draw()?;
    Ok(chart)
}

/// Writes a label right of a panel, at the height of a value.
fn beside(area: &Area<'_>, chart: &Panel<'_, '_>, words: &str, value: f64, colour: RGBColor) -> Drawn<()> {
    let style = ("sans-serif", 12).into_font().color(&colour).pos(Pos::new(HPos::Left, VPos::Center));
    let (_, y) = chart.as_coord_spec().translate(&(0.0, value));
    let (_, top) = area.get_base_pixel();
    area.draw_text(words, &style, (i32::try_from(WIDTH).unwrap_or(960) - RIGHT + 8, y - top))
}

/// Writes that a panel has no data.
fn write_no_data(area: &Area<'_>, words: &str, height: i32) -> Drawn<()> {
    let style = ("sans-serif", 13).into_font().color(&GREY).pos(Pos::new(HPos::Center, VPos::Center));
    area.draw_text(words, &style, (i32::try_from(WIDTH).unwrap_or(960) / 2, height))
}

fn draw_severity(area: &Area<'_>, picture: &Picture, span: (f64, f64)) -> Drawn<()> {
    let mut chart = panel(area, "Severity (rating scale, 0 to 40)", span, (0.0, 40.0), 5)?;
    for (from, to, _, colour) in BANDS {
        chart.draw_series([Rectangle::new([(span.0, from), (span.1, to)], colour.filled())])?;
    }
    for (from, to, name, _) in BANDS {
        beside(area, &chart, name, f64::midpoint(from, to), GREY)?;
    }
    let points: Vec<_> = picture.severity.iter().map(|(on, total)| (day(*on), *total)).collect();
    if points.is_empty() {
        return write_no_data(area, "no complete rating yet", 140);
    }
    marks(&mut chart, &points, LINE, |total| format!("{total:.0}"))
}

fn draw_ferritin(area: &Area<'_>, picture: &Picture, span: (f64, f64)) -> Drawn<()> {
    let most = picture.ferritin.iter().map(|(_, value, _)| *value).fold(0.0, f64::max);
    let top = (most * 1.2).max(150.0);
    let mut chart = panel(area, "Ferritin (ng/mL)", span, (0.0, top), 5)?;
    let dashes =
        DashedLineSeries::new([(span.0, FERRITIN_THRESHOLD), (span.1, FERRITIN_THRESHOLD)], 6, 4, IRON.stroke_width(1));
    chart.draw_series(dashes)?;
    beside(area, &chart, "75", FERRITIN_THRESHOLD, IRON)?;
    if picture.ferritin.is_empty() {
        return write_no_data(area, "no result yet", 115);
    }
    let bounds = picture.ferritin.clone();
    let points: Vec<_> = picture.ferritin.iter().map(|(on, value, _)| (day(*on), *value)).collect();
    marks(&mut chart, &points, IRON, move |value| {
        let is_this = |other: &f64| (other - value).abs() < f64::EPSILON;
        let bound = bounds.iter().find(|(_, other, _)| is_this(other)).and_then(|(.., bound)| *bound);
        format!("{}{value:.0}", bound.unwrap_or_default())
    })
}

/// Draws points with their values, joined by a line.
fn marks(
    chart: &mut Panel<'_, '_>,
    points: &[(f64, f64)],
    colour: RGBColor,
    words: impl Fn(f64) -> String,
) -> Drawn<()> {
    chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
    chart.draw_series(points.iter().map(|point| Circle::new(*point, 4, colour.filled())))?;
    let style = ("sans-serif", 13).into_font().color(&colour).pos(Pos::new(HPos::Center, VPos::Bottom));
    chart.draw_series(
        points.iter().map(|(x, y)| EmptyElement::at((*x, *y)) + Text::new(words(*y), (0, -7), style.clone())),
    )?;
    Ok(())
}

fn draw_treatments(area: &Area<'_>, picture: &Picture, span: (f64, f64), shown: usize) -> Drawn<()> {
    let more = picture.treatments.len() - shown;
    let rows = f64::from(u32::try_from(shown.max(1) + usize::from(more > 0)).unwrap_or(1));
    let mut chart = panel(area, "Treatments (from when to when; faint: not known)", span, (0.0, rows), 0)?;
    if picture.treatments.is_empty() {
        return write_no_data(area, "none recorded", 44);
    }
    let mut y = rows;
    for bar in &picture.treatments[..shown] {
        let (from, until) = (bar.from.map_or(span.0, day), bar.until.map_or(span.1, day));
        let known = bar.from.is_some() && (bar.until.is_some() || bar.current);
        let colour = if bar.current { LINE } else { GREY };
        let fill = colour.mix(if known { 0.35 } else { 0.12 }).filled();
        chart.draw_series([Rectangle::new([(from, y - 0.15), (until.max(from), y - 0.85)], fill)])?;
        let style = ("sans-serif", 13).into_font().color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
        // A label that begins near the right edge would leave the picture.
        let at = from.min(span.0 + (span.1 - span.0) * 0.7).max(span.0);
        let words = EmptyElement::at((at, y - 0.5)) + Text::new(bar.label.clone(), (6, 0), style);
        chart.draw_series([words])?;
        y -= 1.0;
    }
    if more > 0 {
        let style = ("sans-serif", 13).into_font().color(&GREY).pos(Pos::new(HPos::Left, VPos::Center));
        let words = EmptyElement::at((span.0, y - 0.5)) + Text::new(format!("and {more} more"), (6, 0), style);
        chart.draw_series([words])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn picture() -> Picture {
        Picture {
            title: "Ann Example, LW-001001".into(),
            today: date(2026, 6, 3),
            severity: vec![(date(2025, 6, 1), 31.0), (date(2025, 12, 1), 26.0), (date(2026, 6, 3), 14.0)],
            ferritin: vec![(date(2025, 5, 12), 15.0, Some("<")), (date(2026, 5, 12), 92.0, None)],
            treatments: vec![
                Bar {
                    label: "pramipexole 0.5 mg".into(),
                    from: Some(date(2021, 2, 1)),
                    until: Some(date(2025, 8, 1)),
                    current: false,
                },
                Bar { label: "iron <b>iv</b> & more".into(), from: Some(date(2025, 7, 1)), until: None, current: true },
                Bar { label: "gabapentin".into(), from: None, until: None, current: true },
            ],
        }
    }

    #[test]
    fn the_picture_shows_bands_values_the_threshold_and_the_treatments() {
        let text = svg(&picture()).expect("a picture");
        if let Ok(path) = std::env::var("LEGWORK_SHOW_CHART") {
            std::fs::write(path, &text).expect("written");
        }
        assert!(text.starts_with("<svg ") && text.trim_end().ends_with("</svg>"));
        for part in ["very severe", "moderate", "&lt;15", "92", "75", "pramipexole", "gabapentin", "role=\"img\""] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn entered_text_cannot_become_markup() {
        let mut picture = picture();
        picture.title = "\"><script>alert(1)</script>".into();
        let text = svg(&picture).expect("a picture");
        assert!(!text.contains("<script>") && !text.contains("<b>"), "{text}");
    }

    #[test]
    fn a_patient_without_data_gets_an_empty_picture_that_says_so() {
        let text = svg(&Picture { today: date(2026, 6, 3), ..Picture::default() }).expect("a picture");
        for words in ["no complete rating yet", "no result yet", "none recorded"] {
            assert!(text.contains(words), "{words}");
        }
    }

    #[test]
    fn treatments_that_do_not_fit_are_counted() {
        let mut picture = picture();
        picture.treatments = vec![picture.treatments[0].clone(); 30];
        assert!(svg(&picture).expect("a picture").contains("and 10 more"));
    }
}
