//! Places the labels of points so that they cover neither a threshold, nor a point, nor a line between points, nor each other.

use super::svg::width;

/// The size of the letters of labels.
pub(super) const SIZE: u8 = 12;

/// A rectangle: left, top, right, bottom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area(pub f64, pub f64, pub f64, pub f64);

impl Area {
    fn overlaps(&self, other: &Self) -> bool {
        self.0 < other.2 && other.0 < self.2 && self.1 < other.3 && other.1 < self.3
    }

    fn is_inside(&self, other: &Self) -> bool {
        self.0 >= other.0 && self.1 >= other.1 && self.2 <= other.2 && self.3 <= other.3
    }
}

fn around((x, y): (f64, f64), half: f64) -> Area {
    Area(x - half, y - half, x + half, y + half)
}

/// Returns small areas along a line, closer to each other than a label is high.
fn segment((x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> Vec<Area> {
    const STEPS: u8 = 60;
    let at = |step: u8| f64::from(step) / f64::from(STEPS);
    (1..STEPS).map(|step| around((x1 + (x2 - x1) * at(step), y1 + (y2 - y1) * at(step)), 1.0)).collect()
}

/// What labels must not cover.
pub(super) struct Labels {
    inside: Area,
    taken: Vec<Area>,
}

impl Labels {
    /// Starts in a panel whose thresholds are at these heights, and whose series have these points.
    pub fn new(inside: Area, thresholds: &[f64], series: &[Vec<(f64, f64)>]) -> Self {
        let lines = thresholds.iter().map(|y| Area(inside.0, y - 1.5, inside.2, y + 1.5));
        let dots = series.iter().flatten().map(|point| around(*point, 7.0));
        let between = series.iter().flat_map(|points| points.windows(2)).flat_map(|ends| segment(ends[0], ends[1]));
        Self { inside, taken: lines.chain(dots).chain(between).collect() }
    }

    /// Returns the middle of the label of a point: the first free place above, below, right or left of it, or further away.
    pub fn place(&mut self, (x, y): (f64, f64), words: &str) -> (f64, f64) {
        let (half, high) = (width(words, SIZE) / 2.0, f64::from(SIZE) / 2.0);
        let near = [8.0, 16.0, 26.0, 38.0];
        let candidates = near.into_iter().flat_map(|away| {
            let (up, side) = (away + high, away + half);
            [(x, y - up), (x, y + up), (x + side, y), (x - side, y), (x + side, y - up), (x - side, y - up)]
        });
        let area = |(x, y): (f64, f64)| Area(x - half, y - high, x + half, y + high);
        let is_free = |place: &(f64, f64)| {
            let area = area(*place);
            area.is_inside(&self.inside) && !self.taken.iter().any(|other| other.overlaps(&area))
        };
        let chosen = candidates.clone().find(is_free).unwrap_or((x, y - 8.0 - high));
        self.taken.push(area(chosen));
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_never_on_a_threshold_on_a_point_or_on_another_label() {
        let panel = Area(0.0, 0.0, 400.0, 100.0);
        let points: Vec<(f64, f64)> =
            (0..20).map(|at| (20.0 + f64::from(at) * 17.0, 40.0 + f64::from(at % 5) * 6.0)).collect();
        let mut labels =
            Labels::new(panel, &[36.0, 60.0], &points.iter().map(|point| vec![*point]).collect::<Vec<_>>());
        let before = labels.taken.len();
        for point in &points {
            labels.place(*point, "58");
        }
        let (fixed, placed) = labels.taken.split_at(before);
        let lines = &fixed[..2];
        for (at, area) in placed.iter().enumerate() {
            assert!(!lines.iter().any(|line| line.overlaps(area)), "{area:?} is on a threshold");
            assert!(!placed[..at].iter().any(|other| other.overlaps(area)), "{area:?} is on another label");
        }
    }

    #[test]
    fn a_label_is_not_on_the_line_to_the_next_point() {
        let steep = [(100.0, 90.0), (104.0, 20.0)];
        let mut labels = Labels::new(Area(0.0, 0.0, 400.0, 120.0), &[], &[steep.to_vec()]);
        assert!(labels.place(steep[0], "8").1 > 90.0, "below the point, because the line goes up");
        assert!(labels.place(steep[1], "9").1 < 20.0, "above the point, because the line goes down");
    }
}
