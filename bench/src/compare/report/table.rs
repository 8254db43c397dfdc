//! The report as text.

use std::fmt::Write;

use super::{Chart, Report};
use crate::compare::measure::Spread;

/// A table for each measure and shape.
pub(super) fn of(report: &Report, charts: &[Chart]) -> String {
    let mut text = String::new();
    let machine = &report.machine;
    let _ = writeln!(
        text,
        "{}, {} cores, Linux {}, load average {:.2} before, {:.2} after; {} rounds of {} s",
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.load_before,
        machine.load_after,
        report.rounds,
        report.seconds
    );
    for taking in &report.taking {
        let _ = writeln!(text, "  {:<18} {}", taking.name, taking.what);
    }
    for skipped in &report.skipped {
        let _ = writeln!(text, "  {:<18} skipped: {}", skipped.name, skipped.what);
    }
    for failure in &report.failures {
        let _ = writeln!(text, "  round {}: {failure}", failure.round);
    }
    for chart in charts {
        let better = if chart.measure.more_is_better() { "more" } else { "less" };
        let head = format!("{}, {}, {} ({better} is better)", chart.measure.title(), chart.shape, chart.measure.unit());
        let of = format!("times {}: min/median/max", chart.base);
        let _ = writeln!(text, "\n{head}\n{:<20} {:>30}  {of:>34}", "", "min/median/max");
        for row in &chart.rows {
            let bound = if row.at_least { " or more" } else { "" };
            let ratio = row.ratio.map(columns).unwrap_or_default();
            let _ = writeln!(text, "  {:<18} {:>30}  {ratio:>34}{bound}", row.system, columns(row.value));
        }
    }
    text
}

fn columns(Spread { min, median, max }: Spread) -> String {
    [min, median, max].map(|value| format!("{:>10}", figure(value))).concat()
}

/// Three digits that mean something.
pub(super) fn figure(value: f64) -> String {
    match value {
        value if value >= 99.95 => format!("{value:.0}"),
        value if value >= 9.995 => format!("{value:.1}"),
        value if value >= 0.0995 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_tells_who_was_skipped_what_failed_and_what_is_a_bound() {
        let report = super::super::tests::report();
        let text = of(&report, &report.charts());
        for line in
            ["fastd              skipped: there is no `fastd`", "round 1: two hops  tinc", " or more", "times bare"]
        {
            assert!(text.contains(line), "no {line:?} in {text}");
        }
        assert_eq!([0.01234, 0.5, 12.34, 1234.5].map(figure), ["0.012", "0.50", "12.3", "1234"]);
    }
}
