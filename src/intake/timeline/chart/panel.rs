//! A panel of the picture: values over the years, with bands and thresholds.

use super::axis::Axis;
use super::labels::{Area, Labels, SIZE};
use super::svg::{Anchor, Svg};
use super::{Bar, GREY, INK, LEFT, Picture, Point, RIGHT};

/// The room above and below the values, for caption and years.
const ABOVE: f64 = 24.0;
const BELOW: f64 = 28.0;

/// Values with the way in which they are drawn.
pub(super) struct Series<'a> {
    pub points: &'a [Point],
    pub colour: &'a str,
    /// The factor from a value to the panel's scale.
    pub scale: f64,
    /// What follows the value in its label.
    pub suffix: &'a str,
    /// Whether the points are hollow squares.
    pub hollow: bool,
}

/// A panel.
pub(super) struct Panel<'a> {
    pub caption: &'a str,
    /// The height of the values alone.
    pub height: f64,
    /// The greatest value of the scale.
    pub top: f64,
    /// Bands: from, to, name, colour.
    pub bands: Vec<(f64, f64, &'a str, &'a str)>,
    pub thresholds: &'a [f64],
    pub series: Vec<Series<'a>>,
    /// What is written if there are no values.
    pub empty: &'a str,
}

impl Panel<'_> {
    /// Returns the whole height.
    pub fn height(&self) -> f64 {
        ABOVE + self.height + BELOW
    }

    /// Draws it at a height of the picture.
    pub fn draw(&self, svg: &mut Svg, picture: &Picture, axis: &Axis, top: f64) {
        let (above, below) = (top + ABOVE, top + ABOVE + self.height);
        let y = |value: f64| below - (value / self.top).clamp(0.0, 1.0) * self.height;
        svg.text((16.0, top + 10.0), Anchor::Start, 14, INK, self.caption);
        for (from, to, name, colour) in &self.bands {
            svg.rectangle(LEFT, y(*to), RIGHT - LEFT, y(*from) - y(*to), &format!("fill=\"{colour}\""));
            svg.text((RIGHT + 8.0, y(f64::midpoint(*from, *to))), Anchor::Start, 11, GREY, name);
        }
        draw_years(svg, picture, axis, above, below);
        let steps = steps(self.top);
        for step in 0..=steps {
            let value = self.top / f64::from(steps) * f64::from(step);
            svg.line((LEFT - 4.0, y(value)), (LEFT, y(value)), &format!("stroke=\"{GREY}\""));
            svg.text((LEFT - 8.0, y(value)), Anchor::End, 11, GREY, &format!("{value}"));
        }
        let lines: Vec<f64> = self.thresholds.iter().map(|value| y(*value)).collect();
        for (value, height) in self.thresholds.iter().zip(&lines) {
            svg.line((LEFT, *height), (RIGHT, *height), "stroke=\"#8a1c1c\" stroke-dasharray=\"6 4\"");
            svg.text((RIGHT + 8.0, *height), Anchor::Start, 11, "#8a1c1c", &format!("{value}"));
        }
        for infusion in picture.infusions.iter().filter_map(Bar::first) {
            let x = axis.x(infusion);
            svg.line((x, above), (x, below), &format!("stroke=\"{GREY}\" stroke-dasharray=\"1 3\""));
        }
        let place = |series: &Series<'_>| -> Vec<(f64, f64)> {
            series.points.iter().map(|point| (axis.x(point.on), y(point.value * series.scale))).collect()
        };
        let places: Vec<_> = self.series.iter().map(place).collect();
        if places.iter().all(Vec::is_empty) {
            svg.text((f64::midpoint(LEFT, RIGHT), f64::midpoint(above, below)), Anchor::Middle, 13, GREY, self.empty);
            return;
        }
        let mut labels = Labels::new(Area(LEFT, above - 6.0, RIGHT, below), &lines, &places);
        for (series, places) in self.series.iter().zip(&places) {
            series.draw(svg, places, &mut labels);
        }
    }
}

impl Series<'_> {
    fn draw(&self, svg: &mut Svg, places: &[(f64, f64)], labels: &mut Labels) {
        let colour = self.colour;
        let dashes = if self.hollow { " stroke-dasharray=\"4 3\"" } else { "" };
        svg.lines("polyline", places, &format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}"));
        for (place, point) in places.iter().zip(self.points) {
            let hollow = format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"");
            if point.is_follow_up {
                svg.triangle(*place, 7.0, &hollow);
            } else if self.hollow {
                svg.rectangle(place.0 - 5.5, place.1 - 5.5, 11.0, 11.0, &hollow);
            } else {
                svg.circle(*place, colour);
            }
            let words = format!("{}{}{}", point.bound.unwrap_or_default(), point.value, self.suffix);
            svg.text(labels.place(*place, &words), Anchor::Middle, SIZE, colour, &words);
        }
    }
}

/// Returns into how many steps a scale is divided so that each is a round number.
fn steps(top: f64) -> u8 {
    let round = [1.0, 2.0, 5.0, 10.0, 20.0, 25.0, 50.0, 100.0, 200.0, 250.0, 500.0, 1000.0, 2000.0];
    let is_round = |steps: &u8| round.iter().any(|round| (top / f64::from(*steps) - round).abs() < 1e-9);
    [4, 5, 3, 2].into_iter().find(is_round).unwrap_or(1)
}

/// Draws the axis of the years with its ticks, and faint lines through the panel.
pub(super) fn draw_years(svg: &mut Svg, picture: &Picture, axis: &Axis, above: f64, below: f64) {
    for (x, label) in axis.ticks(picture.language) {
        svg.line((x, above), (x, below), "stroke=\"#dee2e6\"");
        svg.line((x, below), (x, below + 4.0), &format!("stroke=\"{GREY}\""));
        let (near_left, near_right) = (x < LEFT + 24.0, x > RIGHT - 24.0);
        let anchor = if near_left {
            Anchor::Start
        } else if near_right {
            Anchor::End
        } else {
            Anchor::Middle
        };
        svg.text((x, below + 13.0), anchor, 11, GREY, &label);
    }
    svg.lines("polyline", &[(LEFT, above), (LEFT, below), (RIGHT, below)], &format!("fill=\"none\" stroke=\"{GREY}\""));
}
