//! A picture of how cost grows: for each request a line with one dot for each size, on a logarithmic axis.

use std::fmt::Write;

const WIDTH: f64 = 860.0;
/// Where the axis begins, right of the names.
const LEFT: f64 = 270.0;
const RIGHT: f64 = 830.0;
const TOP: f64 = 58.0;
const LINE: f64 = 21.0;
/// The colours of the sizes, from the smallest to the largest.
const COLOURS: [&str; 5] = ["#9ecae1", "#6baed6", "#3182bd", "#08519c", "#08306b"];

/// Draws the rows, each a name and a value for each size, as SVG.
pub fn dots(title: &str, sizes: &[String], rows: &[(&str, &[f64])]) -> String {
    let values = || rows.iter().flat_map(|(_, values)| values.iter().copied()).filter(|value| *value > 0.0);
    let decade = |value: f64, up: bool| if up { value.log10().ceil() } else { value.log10().floor() };
    let first = values().map(|value| decade(value, false)).fold(f64::INFINITY, f64::min);
    let last = values().map(|value| decade(value, true)).fold(first + 1.0, f64::max);
    let x = |value: f64| LEFT + (value.log10() - first) / (last - first) * (RIGHT - LEFT);
    let bottom = TOP + LINE * rows.len() as f64;
    let colour = |size: usize| {
        // The largest size has the darkest colour.
        COLOURS.get(COLOURS.len().saturating_sub(sizes.len()) + size).copied().unwrap_or("#08306b")
    };

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>{title}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"12\" y=\"20\" font-size=\"14\" font-weight=\"bold\">{title}</text>\n",
        bottom + 30.0
    );
    let mut out = |text: std::fmt::Arguments| {
        let _ = svg.write_fmt(text);
    };
    for (index, size) in sizes.iter().enumerate() {
        let at = LEFT + 190.0 * index as f64;
        out(format_args!("<circle cx=\"{at:.0}\" cy=\"38\" r=\"4\" fill=\"{}\"/>", colour(index)));
        out(format_args!("<text x=\"{:.0}\" y=\"42\">{size}</text>\n", at + 9.0));
    }
    let mut power = first;
    while power <= last {
        let (at, value) = (x(10_f64.powf(power)), 10_f64.powf(power));
        out(format_args!("<path d=\"M{at:.1} {TOP:.0}V{bottom:.0}\" stroke=\"#ccc\"/>"));
        out(format_args!("<text x=\"{at:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{value} ms</text>\n", bottom + 18.0));
        power += 1.0;
    }
    for (index, (name, values)) in rows.iter().enumerate() {
        let y = TOP + LINE * (index as f64 + 0.5);
        out(format_args!("<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>", LEFT - 12.0, y + 4.0));
        let ends = values.iter().copied().filter(|value| *value > 0.0).map(x);
        let (low, high) = ends.fold((RIGHT, LEFT), |(low, high), at| (low.min(at), high.max(at)));
        out(format_args!("<path d=\"M{low:.1} {y:.1}H{high:.1}\" stroke=\"#888\"/>"));
        for (size, value) in values.iter().enumerate().filter(|(_, value)| **value > 0.0) {
            let (at, fill) = (x(*value), colour(size));
            out(format_args!("<circle cx=\"{at:.1}\" cy=\"{y:.1}\" r=\"4.5\" fill=\"{fill}\"/>"));
        }
        out(format_args!("\n"));
    }
    svg.push_str("</svg>\n");
    svg
}
