//! Writes the elements of an SVG picture.

use std::fmt::Write as _;

/// The place of a text relative to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture under construction.
pub(super) struct Svg {
    text: String,
}

impl Svg {
    /// Begins a picture on white ground, with a title for screen readers.
    pub fn new(width: f64, height: f64, title: &str) -> Self {
        let title = escape(title);
        let text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"{title}\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"Arial, Helvetica, sans-serif\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
        );
        Self { text }
    }

    /// Ends the picture.
    pub fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    /// Draws a rectangle. `style` is written as attributes.
    pub fn rectangle(&mut self, x: f64, y: f64, width: f64, height: f64, style: &str) {
        let _ = writeln!(
            self.text,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" {style}/>"
        );
    }

    /// Draws a line. `style` is written as attributes.
    pub fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), style: &str) {
        let _ = writeln!(self.text, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" {style}/>");
    }

    /// Draws a polygon, or with `fill="none"` a path of lines.
    pub fn lines(&mut self, element: &str, points: &[(f64, f64)], style: &str) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(self.text, "<{element} points=\"{}\" {style}/>", points.join(" "));
    }

    /// Draws a triangle around its middle. It points up, or with a negative size down.
    pub fn triangle(&mut self, (x, y): (f64, f64), size: f64, style: &str) {
        let width = size.abs();
        self.lines("polygon", &[(x, y - size), (x + width, y + size * 0.8), (x - width, y + size * 0.8)], style);
    }

    /// Draws a filled circle.
    pub fn circle(&mut self, (x, y): (f64, f64), colour: &str) {
        let _ = writeln!(self.text, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>");
    }

    /// Draws a circle without filling.
    pub fn ring(&mut self, (x, y): (f64, f64), colour: &str) {
        let _ = writeln!(
            self.text,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"#ffffff\" stroke=\"{colour}\" stroke-width=\"1.5\"/>"
        );
    }

    /// Writes a text with its middle line at `y`.
    pub fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, size: u8, colour: &str, words: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        // A third of the size brings the middle of the letters to y in every renderer.
        let base = y + f64::from(size) * 0.35;
        let _ = writeln!(
            self.text,
            "<text x=\"{x:.1}\" y=\"{base:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{}</text>",
            escape(words)
        );
    }
}

/// Returns the width of a text in a common sans-serif font, estimated generously.
pub(super) fn width(words: &str, size: u8) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "texts are short")]
    let letters = words.chars().count() as f64;
    letters * f64::from(size) * 0.56
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
