//! Medicines over the years: infusions as markers, treatments and aggravating medicines as bars, each with its label inside the panel.

use rls::form_dsl::PartialDate;
use text::Language;

use super::axis::{Axis, month};
use super::panel::draw_years;
use super::svg::{Anchor, Svg, width};
use super::{Bar, GREY, INK, LEFT, LINE, Picture, RIGHT};

const ROW: f64 = 22.0;
const ABOVE: f64 = 22.0;
const BELOW: f64 = 26.0;
const SIZE: u8 = 12;
/// The largest number of rows of a group. Further medicines are counted.
const ROWS: usize = 20;

/// A row.
enum Row<'a> {
    /// Infusions are markers at their day.
    Infusion(&'a Bar),
    Bar(&'a Bar),
}

/// A group of rows under one caption.
pub(super) struct Group<'a> {
    caption: String,
    rows: Vec<Row<'a>>,
    more: usize,
    colour: &'static str,
    empty: Option<&'a str>,
}

/// Returns the groups that the picture shows.
pub(super) fn groups(picture: &Picture) -> Vec<Group<'_>> {
    let infusions = picture.infusions.iter().map(Row::Infusion);
    let treatments: Vec<Row<'_>> = infusions.chain(picture.treatments.iter().map(Row::Bar)).collect();
    let caption = ["Treatments (pale: time not fully known)", "Tratamientos (claro: tiempo no del todo conocido)"];
    let none = picture.t(["none recorded", "ninguno registrado"]);
    let mut groups = vec![group(picture.t(caption), treatments, LINE, Some(none))];
    if !picture.aggravating.is_empty() {
        let caption =
            ["Medicines that can aggravate restless legs", "Medicinas que pueden agravar las piernas inquietas"];
        groups.push(group(picture.t(caption), picture.aggravating.iter().map(Row::Bar).collect(), "#8a1c1c", None));
    }
    groups
}

fn group<'a>(caption: &str, mut rows: Vec<Row<'a>>, colour: &'static str, empty: Option<&'a str>) -> Group<'a> {
    let more = rows.len().saturating_sub(ROWS);
    rows.truncate(ROWS);
    Group { caption: caption.to_owned(), rows, more, colour, empty }
}

impl Group<'_> {
    fn inner(&self) -> f64 {
        let rows = u32::try_from(self.rows.len().max(1) + usize::from(self.more > 0)).unwrap_or(1);
        ROW * f64::from(rows)
    }

    /// Returns the whole height.
    pub fn height(&self) -> f64 {
        ABOVE + self.inner() + BELOW
    }

    /// Draws it at a height of the picture.
    pub fn draw(&self, svg: &mut Svg, picture: &Picture, axis: &Axis, top: f64) {
        let (above, below) = (top + ABOVE, top + ABOVE + self.inner());
        svg.text((16.0, top + 10.0), Anchor::Start, 14, INK, &self.caption);
        draw_years(svg, picture, axis, above, below);
        if let Some(empty) = self.empty.filter(|_| self.rows.is_empty()) {
            svg.text((f64::midpoint(LEFT, RIGHT), above + ROW / 2.0), Anchor::Middle, 13, GREY, empty);
        }
        let mut y = above + ROW / 2.0;
        for row in &self.rows {
            match row {
                Row::Infusion(infusion) => draw_infusion(svg, picture.language, axis, infusion, y),
                Row::Bar(bar) => self.draw_bar(svg, picture.language, axis, bar, y),
            }
            y += ROW;
        }
        if self.more > 0 {
            let words = picture.t(["and {} more", "y {} más"]).replace("{}", &self.more.to_string());
            svg.text((LEFT + 6.0, y), Anchor::Start, SIZE, GREY, &words);
        }
    }

    fn draw_bar(&self, svg: &mut Svg, language: Language, axis: &Axis, bar: &Bar, y: f64) {
        let left = bar.first().map_or(LEFT, |from| axis.x(from));
        let right = bar.until.map_or(RIGHT, |until| axis.x(until)).max(left + 2.0);
        let is_known = bar.from.is_some() && (bar.until.is_some() || bar.current);
        let colour = if bar.current { self.colour } else { GREY };
        let opacity = if is_known { "0.35" } else { "0.14" };
        let style = format!("fill=\"{colour}\" fill-opacity=\"{opacity}\" stroke=\"{colour}\" stroke-opacity=\"0.6\"");
        svg.rectangle(left, y - 8.0, right - left, 16.0, &style);
        // A bar that is cut at the edge says when it began.
        let since = bar.from.filter(|from| from.first() < axis.first()).map(|from| match language {
            Language::English => format!(", since {}", start(from, language)),
            Language::Spanish => format!(", desde {}", start(from, language)),
        });
        draw_label(svg, (left, right), y, &format!("{}{}", bar.label, since.unwrap_or_default()));
    }
}

/// Writes a start with its month, or with its year if the month is not known.
fn start(from: PartialDate, language: Language) -> String {
    match from {
        PartialDate::Year(year) => year.to_string(),
        PartialDate::Month(..) | PartialDate::Day(_) => month(from.first(), language),
    }
}

fn draw_infusion(svg: &mut Svg, language: Language, axis: &Axis, infusion: &Bar, y: f64) {
    let day = infusion.from.map(|from| format!(", {}", start(from, language)));
    let words = format!("{}{}", infusion.label, day.unwrap_or_default());
    let Some(from) = infusion.first() else {
        let unknown = match language {
            Language::English => "day not known",
            Language::Spanish => "día desconocido",
        };
        return draw_label(svg, (LEFT, LEFT), y, &format!("◇ {words}, {unknown}"));
    };
    let x = axis.x(from);
    let diamond = [(x, y - 7.0), (x + 7.0, y), (x, y + 7.0), (x - 7.0, y)];
    svg.lines("polygon", &diamond, "fill=\"#8c3e0c\"");
    draw_label(svg, (x - 7.0, x + 7.0), y, &words);
}

/// Writes a label in its bar if it fits, else right of it, else left of it, and shortened where most room is if it fits nowhere.
fn draw_label(svg: &mut Svg, (left, right): (f64, f64), y: f64, words: &str) {
    let needed = width(words, SIZE) + 12.0;
    let places = [
        (right - left, left + 6.0, Anchor::Start),
        (RIGHT - right, right + 6.0, Anchor::Start),
        (left - LEFT, left - 6.0, Anchor::End),
    ];
    let widest = places.into_iter().max_by(|a, b| a.0.total_cmp(&b.0));
    let Some((room, x, anchor)) = places.into_iter().find(|(room, ..)| *room >= needed).or(widest) else { return };
    let mut short = words.to_owned();
    if room < needed {
        while width(&short, SIZE) + f64::from(SIZE) > room - 12.0 && short.pop().is_some() {}
        short.push('…');
    }
    svg.text((x, y), anchor, SIZE, INK, &short);
}
