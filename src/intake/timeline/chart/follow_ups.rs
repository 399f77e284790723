//! The answers of follow-ups over the same years: a row for each question, a mark for each answer.

use rls::answers::{ChangeSinceVisit, YesNo};

use super::axis::Axis;
use super::panel::draw_years;
use super::svg::{Anchor, Svg};
use super::{FollowUp, GREY, INK, LINE, Picture, RIGHT};

const ROW: f64 = 18.0;
const ABOVE: f64 = 22.0;
const BELOW: f64 = 26.0;
const ALERT: &str = "#8a1c1c";

/// A row: its name, and the mark of a follow-up.
struct Row<'a> {
    name: &'a str,
    mark: fn(FollowUp) -> Mark,
}

/// A mark. Each has its own shape, so that it can be told apart without colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Worse,
    Same,
    Better,
    Yes,
    No,
    Unknown,
}

fn change(one: FollowUp) -> Mark {
    match one.change {
        Some(ChangeSinceVisit::MuchWorse | ChangeSinceVisit::Worse) => Mark::Worse,
        Some(ChangeSinceVisit::Same) => Mark::Same,
        Some(ChangeSinceVisit::Better | ChangeSinceVisit::MuchBetter) => Mark::Better,
        _ => Mark::Unknown,
    }
}

fn answer(answer: Option<YesNo>) -> Mark {
    match answer {
        Some(YesNo::Yes) => Mark::Yes,
        Some(YesNo::No) => Mark::No,
        _ => Mark::Unknown,
    }
}

fn rows(picture: &Picture) -> Vec<Row<'_>> {
    if picture.follow_ups.is_empty() {
        return vec![];
    }
    let mut rows = vec![
        Row { name: picture.t(["Change", "Cambio"]), mark: change },
        Row { name: picture.t(["Augmentation", "Aumentación"]), mark: |one| answer(one.augmentation) },
    ];
    if picture.follow_ups.iter().any(|one| one.urges.is_some()) {
        rows.push(Row { name: picture.t(["Urges", "Impulsos"]), mark: |one| answer(one.urges) });
    }
    rows.push(Row { name: picture.t(["Side effects", "Efectos adversos"]), mark: |one| answer(one.side_effects) });
    rows
}

fn inner(rows: &[Row<'_>]) -> f64 {
    ROW * f64::from(u32::try_from(rows.len()).unwrap_or(1))
}

/// Returns the whole height. Without follow-ups there is nothing to draw.
pub(super) fn height(picture: &Picture) -> f64 {
    let rows = rows(picture);
    if rows.is_empty() { 0.0 } else { ABOVE + inner(&rows) + BELOW }
}

/// Draws the rows at a height of the picture.
pub(super) fn draw(svg: &mut Svg, picture: &Picture, axis: &Axis, top: f64) {
    let rows = rows(picture);
    if rows.is_empty() {
        return;
    }
    let caption = [
        "Follow-ups (▲ worse, ▼ better, – the same; ● yes, ○ no, ? not known)",
        "Seguimientos (▲ peor, ▼ mejor, – igual; ● sí, ○ no, ? no se sabe)",
    ];
    svg.text((16.0, top + 10.0), Anchor::Start, 14, INK, picture.t(caption));
    let above = top + ABOVE;
    draw_years(svg, picture, axis, above, above + inner(&rows));
    let mut y = above + ROW / 2.0;
    for row in &rows {
        svg.text((RIGHT + 8.0, y), Anchor::Start, 11, GREY, row.name);
        for one in &picture.follow_ups {
            draw_mark(svg, (axis.x(one.on), y), (row.mark)(*one));
        }
        y += ROW;
    }
}

fn draw_mark(svg: &mut Svg, (x, y): (f64, f64), mark: Mark) {
    match mark {
        Mark::Worse => svg.triangle((x, y), 5.5, &format!("fill=\"{ALERT}\"")),
        Mark::Better => svg.triangle((x, y), -5.5, &format!("fill=\"{LINE}\"")),
        Mark::Same => svg.line((x - 5.0, y), (x + 5.0, y), &format!("stroke=\"{GREY}\" stroke-width=\"2.5\"")),
        Mark::Yes => svg.circle((x, y), ALERT),
        Mark::No => svg.ring((x, y), GREY),
        Mark::Unknown => svg.text((x, y), Anchor::Middle, 12, GREY, "?"),
    }
}
