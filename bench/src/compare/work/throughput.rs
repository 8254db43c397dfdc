//! How much TCP carries, and what that costs.

use std::time::Duration;

use prunella_bench::{Host, LabError, Told};
use serde_json::Value;

use super::{Effort, Figures};
use crate::compare::machine::Spent;
use crate::compare::measure::Measure;
use crate::compare::systems::{IPERF_PORT, Reach, Running};

/// One flow, then eight.
pub(super) fn of(source: &Host, running: &Running, effort: Effort) -> Result<Figures, LabError> {
    let one = [Measure::OneFlow, Measure::OneFlowCost, Measure::OneFlowRelay, Measure::OneFlowBusy];
    let eight = [Measure::EightFlows, Measure::EightFlowsCost, Measure::EightFlowsRelay, Measure::EightFlowsBusy];
    let mut figures = transfer(source, running, effort, 1, one)?;
    figures.extend(transfer(source, running, effort, 8, eight)?);
    Ok(figures)
}

fn transfer(
    source: &Host,
    running: &Running,
    effort: Effort,
    flows: u32,
    of: [Measure; 4],
) -> Result<Figures, LabError> {
    let words = words(&running.reach, effort.seconds, flows);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let before = Spent::now(&running.pids);
    let told = source.run(&words, Duration::from_secs(effort.seconds.into()) + PATIENCE)?;
    let (daemons, machine) = Spent::now(&running.pids).since(&before);
    let (bytes, seconds) = received(&told)?;
    let gb = bytes / 1e9;
    let [throughput, cost, relay, busy] = of;
    let mut figures = vec![(throughput, gb * 8.0 / seconds, false), (busy, machine / gb, false)];
    if !daemons.is_empty() {
        figures.push((cost, daemons.iter().sum::<f64>() / gb, false));
    }
    // One daemon for each host of a line: the one in the middle.
    if let [_, between, _] = daemons[..] {
        figures.push((relay, between / gb, false));
    }
    Ok(figures)
}

/// The command that sends so many flows for so many seconds.
pub(super) fn words(reach: &Reach, seconds: u32, flows: u32) -> Vec<String> {
    let to = reach.client[&IPERF_PORT];
    let words = ["iperf3", "-c", &to.ip().to_string(), "-p", &to.port().to_string()].map(str::to_owned);
    let more = ["-t", &seconds.to_string(), "-P", &flows.to_string(), "-J"].map(str::to_owned);
    words.into_iter().chain(more).collect()
}

/// How many bytes arrived, within how many seconds.
fn received(told: &Told) -> Result<(f64, f64), LabError> {
    let unreadable = || LabError::Unreadable(format!("iperf3: {} {}", told.stdout.trim(), told.stderr.trim()));
    let report: Value = serde_json::from_str(&told.stdout).map_err(|_| unreadable())?;
    let number = |at: &str| report.pointer(at).and_then(Value::as_f64);
    match (number("/end/sum_received/bytes"), number("/end/sum_received/seconds")) {
        (Some(bytes), Some(seconds)) if bytes > 0.0 && seconds > 0.0 => Ok((bytes, seconds)),
        _ => Err(unreadable()),
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
