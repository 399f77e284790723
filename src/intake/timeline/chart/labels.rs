//! Places the labels of points so that they cover neither a threshold, nor a point, nor each other.

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

/// What labels must not cover.
pub(super) struct Labels {
    inside: Area,
    taken: Vec<Area>,
}

impl Labels {
    /// Starts in a panel whose thresholds are at these heights.
    pub fn new(inside: Area, thresholds: &[f64], points: &[(f64, f64)]) -> Self {
        let lines = thresholds.iter().map(|y| Area(inside.0, y - 1.5, inside.2, y + 1.5));
        let dots = points.iter().map(|(x, y)| Area(x - 4.0, y - 4.0, x + 4.0, y + 4.0));
        Self { inside, taken: lines.chain(dots).collect() }
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
        let mut labels = Labels::new(panel, &[36.0, 60.0], &points);
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
}
