//! Draws the timeline as a picture (SVG): severity, what follow-ups say, iron values and hemoglobin with the thresholds that apply, and
//! below them over the same years the infusions, the treatments and the medicines that can aggravate.

mod axis;
mod bars;
mod follow_ups;
mod labels;
mod panel;
mod svg;

use jiff::civil::Date;
use rls::answers::{ChangeSinceVisit, YesNo};
use rls::form_dsl::PartialDate;
use text::Language;

use self::axis::Axis;
use self::panel::{Panel, Series};
use self::svg::{Anchor, Svg};

/// What the picture shows.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The language of the labels.
    pub language: Language,
    /// The title.
    pub title: String,
    /// The current day, at which the picture ends.
    pub today: Date,
    /// Totals of the rating scale, 0 to 40, by day.
    pub severity: Vec<Point>,
    /// Answers to the question how bothersome it is, 0 to 10, by day.
    pub bothersome: Vec<Point>,
    /// The answers of follow-ups, by day.
    pub follow_ups: Vec<FollowUp>,
    /// Whether the bands of the rating scale apply, which are for adults.
    pub bands: bool,
    /// Ferritin in ng/mL, TSAT in percent and hemoglobin in g/dL.
    pub labs: [LabSeries; 3],
    /// Infusions of iron.
    pub infusions: Vec<Bar>,
    /// The treatments, in the order in which they are drawn.
    pub treatments: Vec<Bar>,
    /// The medicines that can cause or worsen restless legs.
    pub aggravating: Vec<Bar>,
}

/// A value on a day.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The day.
    pub on: Date,
    /// The value.
    pub value: f64,
    /// `<` or `>` if only a bound is known.
    pub bound: Option<&'static str>,
    /// Whether a follow-up asked for it.
    pub is_follow_up: bool,
}

/// What a follow-up says beside the severity.
#[derive(Debug, Clone, Copy)]
pub struct FollowUp {
    /// The day.
    pub on: Date,
    /// How the symptoms changed since the last visit.
    pub change: Option<ChangeSinceVisit>,
    /// Whether signs of augmentation are reported.
    pub augmentation: Option<YesNo>,
    /// Whether new urges are reported. None for readers who do not see this.
    pub urges: Option<YesNo>,
    /// Whether side effects are reported.
    pub side_effects: Option<YesNo>,
}

/// The values of a laboratory test.
#[derive(Debug, Clone, Default)]
pub struct LabSeries {
    /// The values by day.
    pub points: Vec<Point>,
    /// The thresholds that apply to the patient.
    pub thresholds: Vec<f64>,
}

/// The time of a medicine.
#[derive(Debug, Clone)]
pub struct Bar {
    /// The name.
    pub label: String,
    /// The start, as far as known.
    pub from: Option<PartialDate>,
    /// The end. None if it continues or is unknown.
    pub until: Option<Date>,
    /// Whether it continues.
    pub current: bool,
}

impl Bar {
    /// Returns the first day of the start, as far as known.
    fn first(&self) -> Option<Date> {
        self.from.map(PartialDate::first)
    }
}

pub(super) const WIDTH: f64 = 960.0;
/// The left and right edge of the panels. Scales are left of them, names of lines right.
pub(super) const LEFT: f64 = 64.0;
pub(super) const RIGHT: f64 = 850.0;
const HEADING: f64 = 40.0;

pub(super) const INK: &str = "#212529";
pub(super) const GREY: &str = "#5c636a";
pub(super) const LINE: &str = "#1a528a";
const IRON: &str = "#8c3e0c";

/// The severity scale's bands: from, to, names, colour.
const BANDS: [(f64, f64, [&str; 2], &str); 4] = [
    (0.0, 10.5, ["mild", "leve"], "#e8f4ea"),
    (10.5, 20.5, ["moderate", "moderada"], "#fff6d9"),
    (20.5, 30.5, ["severe", "grave"], "#ffe4cc"),
    (30.5, 40.0, ["very severe", "muy grave"], "#fad3d3"),
];

impl Picture {
    /// Returns the text in the language of the picture.
    pub(super) fn t<'a>(&self, [en, es]: [&'a str; 2]) -> &'a str {
        match self.language {
            Language::English => en,
            Language::Spanish => es,
        }
    }

    /// Returns the days that decide which years the picture shows. A treatment that began before them is cut at the edge.
    fn days(&self) -> Vec<Date> {
        let points = self.severity.iter().chain(&self.bothersome).chain(self.labs.iter().flat_map(|one| &one.points));
        let ends = self.treatments.iter().chain(&self.aggravating).filter_map(|bar| bar.until);
        let infusions = self.infusions.iter().filter_map(Bar::first);
        let follow_ups = self.follow_ups.iter().map(|one| one.on);
        let days: Vec<Date> = points.map(|point| point.on).chain(follow_ups).chain(ends).chain(infusions).collect();
        if !days.is_empty() {
            return days;
        }
        self.treatments.iter().chain(&self.aggravating).filter_map(Bar::first).collect()
    }
}

/// Draws the picture.
pub fn svg(picture: &Picture) -> String {
    let axis = Axis::new(&picture.days(), picture.today, (LEFT, RIGHT));
    let severity = severity(picture);
    let panels = panels(picture);
    let bars = bars::groups(picture);
    let height = HEADING
        + severity.height()
        + follow_ups::height(picture)
        + panels.iter().map(Panel::height).sum::<f64>()
        + bars.iter().map(bars::Group::height).sum::<f64>()
        + 12.0;
    let mut svg = Svg::new(WIDTH, height, &picture.title);
    svg.text((16.0, 20.0), Anchor::Start, 18, INK, &picture.title);
    severity.draw(&mut svg, picture, &axis, HEADING);
    let mut top = HEADING + severity.height();
    follow_ups::draw(&mut svg, picture, &axis, top);
    top += follow_ups::height(picture);
    for panel in &panels {
        panel.draw(&mut svg, picture, &axis, top);
        top += panel.height();
    }
    for group in &bars {
        group.draw(&mut svg, picture, &axis, top);
        top += group.height();
    }
    svg.finish()
}

fn panels(picture: &Picture) -> Vec<Panel<'_>> {
    let mut panels = Vec::new();
    let names = [
        ["Ferritin (ng/mL)", "Ferritina (ng/mL)"],
        ["Transferrin saturation (%)", "Saturación de transferrina (%)"],
        ["Hemoglobin (g/dL)", "Hemoglobina (g/dL)"],
    ];
    for (at, (series, name)) in picture.labs.iter().zip(names).enumerate() {
        // Ferritin is shown even if there is none, because its absence matters.
        if at > 0 && series.points.is_empty() {
            continue;
        }
        let most =
            series.points.iter().map(|point| point.value).chain(series.thresholds.iter().copied()).fold(0.0, f64::max);
        panels.push(Panel {
            caption: picture.t(name),
            height: if at == 0 { 150.0 } else { 110.0 },
            top: round_up(most * 1.25),
            bands: vec![],
            thresholds: &series.thresholds,
            series: vec![Series { points: &series.points, colour: IRON, scale: 1.0, suffix: "", hollow: false }],
            empty: picture.t(["no result yet", "todavía sin resultado"]),
        });
    }
    panels
}

fn severity(picture: &Picture) -> Panel<'_> {
    let rated = !picture.severity.is_empty() || picture.bothersome.is_empty();
    let caption = if rated && !picture.bothersome.is_empty() {
        [
            "Severity (rating scale, 0 to 40; squares: how bothersome, 0 to 10; triangles: the same in follow-ups)",
            "Gravedad (escala, 0 a 40; cuadrados: cuánto molesta, 0 a 10; triángulos: lo mismo en seguimientos)",
        ]
    } else if rated {
        ["Severity (rating scale, 0 to 40)", "Gravedad (escala, 0 a 40)"]
    } else {
        ["How bothersome (0 to 10; triangles: follow-ups)", "Cuánto molesta (0 a 10; triángulos: seguimientos)"]
    };
    let bands = if rated && picture.bands {
        BANDS.iter().map(|(from, to, name, colour)| (*from, *to, picture.t(*name), *colour)).collect()
    } else {
        vec![]
    };
    Panel {
        caption: picture.t(caption),
        height: 180.0,
        top: if rated { 40.0 } else { 10.0 },
        bands,
        thresholds: &[],
        series: vec![
            Series { points: &picture.severity, colour: LINE, scale: 1.0, suffix: "", hollow: false },
            // Beside the scale the 0 to 10 answers are drawn four times as high, with their own label. They are larger and not filled, so
            // that a total at the same place stays visible.
            Series {
                points: &picture.bothersome,
                colour: LINE,
                scale: if rated { 4.0 } else { 1.0 },
                suffix: if rated { "/10" } else { "" },
                hollow: rated,
            },
        ],
        empty: picture.t(["no complete rating yet", "todavía sin evaluación completa"]),
    }
}

/// Rounds the top of a scale up to a number that divides well.
fn round_up(value: f64) -> f64 {
    let steps = [10.0, 20.0, 40.0, 60.0, 100.0, 150.0, 200.0, 300.0, 400.0, 600.0, 1000.0, 2000.0, 3000.0];
    steps.into_iter().find(|step| *step >= value).unwrap_or(6000.0)
}

#[cfg(test)]
mod tests;
