//! What the comparison comes to: a table, a JSON document, a drawing.

mod json;
mod svg;
mod table;

use std::fmt;
use std::io::Write;
use std::path::Path;

use prunella_bench::LabError;
use serde::Serialize;

use super::machine::Machine;
use super::measure::{Measure, Sample, Spread};
use super::systems::System;

/// All that was measured, and on what.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) taking: Vec<Taking>,
    pub(crate) skipped: Vec<Taking>,
    pub(crate) rounds: u32,
    pub(crate) seconds: u32,
    pub(crate) base: String,
    pub(crate) samples: Vec<Sample>,
    pub(crate) failures: Vec<Failure>,
}

/// A system: what it is, or why it took no part.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Taking {
    pub(crate) name: &'static str,
    pub(crate) what: String,
}

/// What did not work.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failure {
    pub(crate) round: u32,
    pub(crate) system: &'static str,
    pub(crate) shape: &'static str,
    pub(crate) why: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { system, shape, why, .. } = self;
        write!(f, "{shape:<9} {system:<18} failed: {why}")
    }
}

impl Report {
    /// Nothing measured yet.
    pub(crate) fn new(
        machine: Machine,
        taking: &[Box<dyn System>],
        skipped: Vec<Taking>,
        [rounds, seconds]: [u32; 2],
        base: &str,
    ) -> Self {
        let taking = taking.iter().map(|system| Taking { name: system.name(), what: system.describe() }).collect();
        let (samples, failures) = (Vec::new(), Vec::new());
        Self { machine, taking, skipped, rounds, seconds, base: base.to_owned(), samples, failures }
    }

    /// What was measured on a shape, in the order of the systems. None if nothing was.
    fn chart(&self, shape: &'static str, measure: Measure) -> Option<Chart> {
        let of = |name: &'static str| {
            let samples = self.samples.iter();
            samples.filter(move |s| s.system == name && s.shape == shape && s.measure == measure)
        };
        let names: Vec<_> = self.taking.iter().map(|taking| taking.name).collect();
        let has = |name: &&&'static str| of(name).next().is_some();
        let base = names.iter().find(|name| **name == self.base).filter(has).or_else(|| names.iter().find(has))?;
        let ratio = |sample: &Sample| {
            let other = of(base).find(|other| other.round == sample.round)?;
            (other.value > 0.0).then(|| sample.value / other.value)
        };
        let row = |name: &'static str| {
            let value = Spread::of(of(name).map(|sample| sample.value))?;
            let at_least = of(name).any(|sample| sample.at_least);
            Some(Row { system: name, value, at_least, ratio: Spread::of(of(name).filter_map(ratio)) })
        };
        let rows = names.iter().filter_map(|name| row(name)).collect();
        Some(Chart { shape, measure, base, rows })
    }

    /// Every chart that has something in it.
    fn charts(&self) -> Vec<Chart> {
        let shapes = ["one hop", "two hops", "diamond"];
        Measure::ALL.iter().flat_map(|measure| shapes.iter().filter_map(|shape| self.chart(shape, *measure))).collect()
    }
}

/// One measure on one shape.
#[derive(Clone, Debug)]
struct Chart {
    shape: &'static str,
    measure: Measure,
    base: &'static str,
    rows: Vec<Row>,
}

/// One system's figures there.
#[derive(Clone, Debug)]
struct Row {
    system: &'static str,
    value: Spread,
    /// Whether one of them is a bound.
    at_least: bool,
    /// To the base, of the same round.
    ratio: Option<Spread>,
}

/// Prints the table, and writes the files that are wanted.
pub(crate) fn show(report: &Report, json: Option<&Path>, svg: Option<&Path>) -> Result<(), LabError> {
    let charts = report.charts();
    let refused = |path: &Path, source| LabError::System { doing: format!("write {}", path.display()), source };
    if let Some(path) = json {
        std::fs::write(path, json::of(report, &charts)).map_err(|error| refused(path, error))?;
    }
    if let Some(path) = svg {
        std::fs::write(path, svg::of(report, &charts)).map_err(|error| refused(path, error))?;
    }
    let printed = std::io::stdout().lock().write_all(table::of(report, &charts).as_bytes());
    printed.map_err(|error| refused(Path::new("standard output"), error))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Two rounds of two systems, of which one was faster each time.
    pub(crate) fn report() -> Report {
        let machine = Machine::before();
        let taking = ["bare", "tinc"].map(|name| Taking { name, what: format!("{name} <itself>") }).to_vec();
        let skipped = vec![Taking { name: "fastd", what: "there is no `fastd`".to_owned() }];
        let sample = |round, system, measure, value| Sample {
            round,
            system,
            shape: "one hop",
            measure,
            value,
            at_least: measure == Measure::Gap,
        };
        let samples = vec![
            sample(1, "bare", Measure::OneFlow, 10.0),
            sample(1, "tinc", Measure::OneFlow, 1.0),
            sample(2, "bare", Measure::OneFlow, 20.0),
            sample(2, "tinc", Measure::OneFlow, 4.0),
            sample(1, "tinc", Measure::Gap, 60_000.0),
        ];
        let failures = vec![Failure { round: 1, system: "tinc", shape: "two hops", why: "late".to_owned() }];
        Report { machine, taking, skipped, rounds: 2, seconds: 1, base: "bare".to_owned(), samples, failures }
    }

    #[test]
    fn figures_are_put_in_relation_within_their_round() {
        let charts = report().charts();
        assert_eq!(charts.len(), 2);
        let tinc = &charts[0].rows[1];
        assert_eq!(tinc.ratio, Some(Spread { min: 0.1, median: 0.2, max: 0.2 }));
        // The base was not measured there: whoever was, is.
        assert_eq!((charts[1].base, charts[1].rows[0].at_least), ("tinc", true));
    }
}
