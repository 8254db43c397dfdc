//! The report for programs.

use serde_json::{Value, json};

use super::{Chart, Report};

/// Every figure, and what the table shows of them.
pub(super) fn of(report: &Report, charts: &[Chart]) -> String {
    let charts: Vec<Value> = charts.iter().map(chart).collect();
    let document = json!({
        "machine": report.machine,
        "rounds": report.rounds,
        "seconds": report.seconds,
        "systems": report.taking,
        "skipped": report.skipped,
        "failures": report.failures,
        "summary": charts,
        "samples": report.samples,
    });
    format!("{document:#}\n")
}

fn chart(chart: &Chart) -> Value {
    let rows = chart
        .rows
        .iter()
        .map(|row| json!({ "system": row.system, "value": row.value, "at_least": row.at_least, "ratio": row.ratio }));
    json!({
        "measure": chart.measure.key(),
        "title": chart.measure.title(),
        "unit": chart.measure.unit(),
        "more_is_better": chart.measure.more_is_better(),
        "shape": chart.shape,
        "base": chart.base,
        "rows": rows.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_every_figure() {
        let report = super::super::tests::report();
        let document: Value = serde_json::from_str(&of(&report, &report.charts())).unwrap();
        assert_eq!(document["samples"].as_array().unwrap().len(), 5);
        assert_eq!(document["summary"][0]["rows"][1]["ratio"]["max"], 0.2);
        assert_eq!(document["samples"][4]["at_least"], true);
    }
}
