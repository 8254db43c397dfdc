//! The report as a drawing: for each measure and shape a bar for each system, with a line from the least to the most.

use std::fmt::Write;

use super::table::figure;
use super::{Chart, Report};

/// One picture of all charts below each other, in colors of the page that it stands on, light or dark.
pub(super) fn of(report: &Report, charts: &[Chart]) -> String {
    let (mut body, mut y) = (String::new(), 44);
    for chart in charts {
        y = draw(&mut body, chart, y);
    }
    let machine = &report.machine;
    let head = format!("{}, {} cores, Linux {}", machine.processor, machine.cores, machine.kernel);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" width=\"{WIDTH}\" height=\"{y}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\" role=\"img\" aria-label=\"Comparison\">\n{STYLE}\
         <text class=\"word\" x=\"12\" y=\"22\">{}</text>\n{body}</svg>\n",
        escaped(&head)
    )
}

/// Draws a chart from `y` on; where the next one begins.
fn draw(body: &mut String, chart: &Chart, mut y: usize) -> usize {
    let better = if chart.measure.more_is_better() { "more is better" } else { "less is better" };
    let title = format!("{}, {} ({}, {better})", chart.measure.title(), chart.shape, chart.measure.unit());
    let _ = writeln!(body, "<text class=\"title\" x=\"12\" y=\"{}\">{}</text>", y + 14, escaped(&title));
    y += 24;
    let most = chart.rows.iter().map(|row| row.value.max).fold(f64::MIN_POSITIVE, f64::max);
    let place = |value: f64| BAR_LEFT + (value / most * BAR_WIDTH).max(0.0);
    for row in &chart.rows {
        let (middle, kind) = (y + ROW / 2, if row.system.starts_with("prunella") { "ours" } else { "other" });
        let _ = writeln!(
            body,
            "<text class=\"word\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            BAR_LEFT - 8.0,
            middle + 4,
            escaped(row.system)
        );
        let _ = writeln!(
            body,
            "<rect class=\"{kind}\" x=\"{BAR_LEFT}\" y=\"{}\" width=\"{:.1}\" height=\"{}\"/>",
            y + 3,
            place(row.value.median) - BAR_LEFT,
            ROW - 6
        );
        let _ = writeln!(
            body,
            "<line class=\"spread\" x1=\"{:.1}\" y1=\"{middle}\" x2=\"{:.1}\" y2=\"{middle}\"/>",
            place(row.value.min),
            place(row.value.max)
        );
        let bound = if row.at_least { " or more" } else { "" };
        let _ = writeln!(
            body,
            "<text class=\"word\" x=\"{:.1}\" y=\"{}\">{}{bound}</text>",
            place(row.value.max) + 6.0,
            middle + 4,
            figure(row.value.median)
        );
        y += ROW;
    }
    y + 14
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const WIDTH: usize = 760;
const ROW: usize = 20;
const BAR_LEFT: f64 = 150.0;
const BAR_WIDTH: f64 = 500.0;
/// Gray words are read on white and on black.
const STYLE: &str = "<style>\
    .word{fill:#57606a}.title{fill:#57606a;font-weight:600}.ours{fill:#8250df}.other{fill:#9aa4af}\
    .spread{stroke:#24292f;stroke-width:1.5}\
    @media (prefers-color-scheme:dark){.word,.title{fill:#adbac7}.ours{fill:#a371f7}.other{fill:#545d68}.spread{stroke:#f0f6fc}}\
    </style>\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drawing_has_a_bar_for_each_row_and_every_word_escaped() {
        let report = super::super::tests::report();
        let drawing = of(&report, &report.charts());
        assert_eq!(drawing.matches("<rect").count(), 3);
        assert!(drawing.starts_with("<svg ") && drawing.ends_with("</svg>\n"));
        // The longest bar takes all the room, and none more.
        assert!(drawing.contains("width=\"500.0\"") || drawing.contains("x2=\"650.0\""), "{drawing}");
        assert_eq!(escaped("<a & \"b\">"), "&lt;a &amp; &quot;b&quot;&gt;");
    }
}
