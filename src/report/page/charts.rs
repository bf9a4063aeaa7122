//! Charts as SVG: made for a column of a phone, and larger where there is room. What they show is said in their text, and is in a table beside them.

use super::html::escaped;
use std::fmt::Write;

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 170.0;
const LEFT: f64 = 46.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 22.0;
const RIGHT: f64 = 6.0;

/// A dashed line across a chart.
pub struct Limit<'a> {
    /// Where.
    pub value: f64,
    /// Whether it only warns.
    pub is_warning: bool,
    /// What it is.
    pub label: &'a str,
}

/// Everything about a chart but its marks.
pub struct Frame<'a> {
    /// An id that no other chart of the page has.
    pub id: &'a str,
    /// What it shows.
    pub title: &'a str,
    /// The same in a sentence with figures.
    pub summary: String,
    /// How a value is written at the left.
    pub write: &'a dyn Fn(f64) -> String,
    /// Labels below: where (0 to 1) and what.
    pub below: Vec<(f64, String)>,
    /// Lines across.
    pub limits: Vec<Limit<'a>>,
}

/// The least of 1, 2, 2.5, 5 times a power of ten that is no less.
fn round_up(value: f64) -> f64 {
    if value.is_nan() || value <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0];
    steps.iter().map(|step| step * power).find(|step| *step >= value * 0.999_999).unwrap_or(value)
}

/// As [`round_up`], in units of 1,024.
pub fn round_up_bytes(value: f64) -> f64 {
    let mut unit = 1.0;
    while value / unit >= 1_024.0 {
        unit *= 1_024.0;
    }
    let rounded = round_up(value / unit);
    if rounded >= 1_000.0 { unit * 1_024.0 } else { rounded * unit }
}

struct Canvas {
    out: String,
    top_value: f64,
}

impl Canvas {
    fn new(frame: &Frame<'_>, greatest: f64, round: &dyn Fn(f64) -> f64) -> Self {
        let greatest = frame.limits.iter().map(|limit| limit.value).fold(greatest, f64::max);
        let top_value = round(greatest);
        let mut out = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"{0}-t {0}-d\"><title id=\"{0}-t\">{1}</title><desc id=\"{0}-d\">{2}</desc>",
            frame.id,
            escaped(frame.title),
            escaped(&frame.summary)
        );
        for share in [0.0, 0.5, 1.0] {
            let y = y_of(share);
            // Writing to a string does not fail.
            let _ = write!(
                out,
                "<line class=\"g\" x1=\"{LEFT}\" x2=\"{:.0}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 3.5,
                escaped(&(frame.write)(top_value * share))
            );
        }
        for (share, label) in &frame.below {
            let anchor = match *share {
                share if share < 0.1 => "start",
                share if share > 0.9 => "end",
                _ => "middle",
            };
            let _ = write!(
                out,
                "<text x=\"{:.1}\" y=\"{:.0}\" text-anchor=\"{anchor}\">{}</text>",
                x_of(*share),
                HEIGHT - 6.0,
                escaped(label)
            );
        }
        Self { out, top_value }
    }

    fn y(&self, value: f64) -> f64 {
        y_of((value / self.top_value).clamp(0.0, 1.0))
    }

    fn end(mut self, frame: &Frame<'_>) -> String {
        for limit in &frame.limits {
            let (y, class) = (self.y(limit.value), if limit.is_warning { "limit warn" } else { "limit" });
            let _ = write!(
                self.out,
                "<line class=\"{class}\" x1=\"{LEFT}\" x2=\"{0:.0}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{0:.0}\" y=\"{1:.1}\" text-anchor=\"end\">{2}</text>",
                WIDTH - RIGHT,
                y - 4.0,
                escaped(limit.label)
            );
        }
        self.out + "</svg>"
    }
}

fn y_of(share: f64) -> f64 {
    TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - share)
}

fn x_of(share: f64) -> f64 {
    LEFT + (WIDTH - LEFT - RIGHT) * share
}

/// A number with one decimal at most.
fn brief(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// Bars next to each other; `past` says which are of a lighter colour.
pub fn bars(frame: &Frame<'_>, values: &[f64], past: &dyn Fn(usize) -> bool, round: &dyn Fn(f64) -> f64) -> String {
    let mut canvas = Canvas::new(frame, values.iter().copied().fold(0.0, f64::max), round);
    let each = 1.0 / values.len().max(1) as f64;
    let gap = if values.len() > 40 { 0.12 } else { 0.25 };
    let width = ((x_of(each) - x_of(0.0)) * (1.0 - gap)).max(0.8);
    // One path of strokes for each sort: elements by themselves would be most of the page.
    let (mut dark, mut light) = (String::new(), String::new());
    for (at, value) in values.iter().enumerate().filter(|(_, value)| **value > 0.0) {
        // What is there is seen, however little it is.
        let (floor, top) = (y_of(0.0), canvas.y(*value).min(y_of(0.0) - 1.0));
        let path = if past(at) { &mut light } else { &mut dark };
        let _ = write!(path, "M{} {}V{}", brief(x_of((at as f64 + 0.5) * each)), brief(floor), brief(top));
    }
    for (class, path) in [("bar", dark), ("bar past", light)] {
        if !path.is_empty() {
            let _ = write!(canvas.out, "<path class=\"{class}\" stroke-width=\"{}\" d=\"{path}\"/>", brief(width));
        }
    }
    canvas.end(frame)
}

/// So many points of a line are drawn at the most: it is some three hundred pixels wide.
const POINTS: usize = 130;

/// A filled line; points are (0 to 1, value), ascending.
pub fn area(frame: &Frame<'_>, points: &[(f64, f64)], round: &dyn Fn(f64) -> f64) -> String {
    let mut canvas = Canvas::new(frame, points.iter().map(|point| point.1).fold(0.0, f64::max), round);
    if let Some(first) = points.first() {
        let step = points.len().div_ceil(POINTS);
        // Counted from the end, so that the newest one is there.
        let shown =
            points.iter().enumerate().filter(|(at, _)| *at == 0 || (points.len() - 1 - at).is_multiple_of(step));
        let mut path = String::new();
        for (at, (x, value)) in shown {
            let before = if at == 0 { "M" } else { "L" };
            let _ = write!(path, "{before}{} {}", brief(x_of(*x)), brief(canvas.y(*value)));
        }
        let floor = y_of(0.0);
        let _ = write!(
            canvas.out,
            "<path class=\"area\" d=\"{path}V{floor}H{}Z\"/><path class=\"stroke\" d=\"{path}\"/>",
            brief(x_of(first.0))
        );
    }
    canvas.end(frame)
}

/// Dots; points are (0 to 1, value).
pub fn dots(frame: &Frame<'_>, points: &[(f64, f64)], round: &dyn Fn(f64) -> f64) -> String {
    let mut canvas = Canvas::new(frame, points.iter().map(|point| point.1).fold(0.0, f64::max), round);
    let mut path = String::new();
    for (x, value) in points {
        // A stroke of no length with round ends.
        let _ = write!(path, "M{} {}h0", brief(x_of(*x)), brief(canvas.y(*value)));
    }
    if !path.is_empty() {
        let _ = write!(canvas.out, "<path class=\"dot\" d=\"{path}\"/>");
    }
    canvas.end(frame)
}

/// Rounds as money and times are.
pub fn plain(value: f64) -> f64 {
    round_up(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales() {
        for (value, want) in [(0.0, 1.0), (0.9, 1.0), (1.01, 2.0), (2.3, 2.5), (26.0, 50.0), (700.0, 1_000.0)] {
            assert!((round_up(value) - want).abs() < 1e-9, "{value}");
        }
        assert!((round_up_bytes(1_500.0 * 1_024.0) - 2.0 * 1_048_576.0).abs() < 1.0);
        assert!((round_up_bytes(900.0 * 1_024.0) - 1_048_576.0).abs() < 1.0);
    }

    #[test]
    fn what_is_drawn_is_inside() {
        let frame = Frame {
            id: "a",
            title: "A & B",
            summary: "some".into(),
            write: &|value| format!("{value}"),
            below: vec![(0.0, "left".into()), (1.0, "right".into())],
            limits: vec![Limit { value: 30.0, is_warning: true, label: "warn" }],
        };
        let text = bars(&frame, &[1.0, 0.0, 20.0], &|at| at == 0, &plain);
        // 4 and 148: the floor, and where 20 of 50 is.
        assert!(text.contains("class=\"bar past\"") && text.matches(" 148V").count() == 2, "{text}");
        assert!(text.contains("A &amp; B") && text.contains("limit warn") && text.contains(">50</text>"), "{text}");
        assert!(area(&frame, &[], &plain).ends_with("</svg>"));
        assert_eq!(dots(&frame, &[(0.5, 1.0)], &plain).matches("h0").count(), 1);
        // Of many points some are drawn, the first and the last among them.
        let many: Vec<(f64, f64)> = (0..366).map(|at| (f64::from(at) / 365.0, f64::from(at))).collect();
        let text = area(&frame, &many, &plain);
        assert!(
            text.contains("M46 148L") && text.contains("L354 ") && text.matches('L').count() < 2 * POINTS,
            "{text}"
        );
    }
}
