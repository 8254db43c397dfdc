//! `prunella sim`: runs the core of many nodes on one thread, seed after seed.

use clap::Args;

use super::failure::Failure;
use super::output::Output;
use crate::api::simulator::{Options, run_each};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Replay this one seed
    #[arg(long, conflicts_with_all = ["seeds", "first_seed"])]
    seed: Option<u64>,
    /// How many seeds to run
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Nodes in each world
    #[arg(long, default_value_t = Options::default().nodes as u16, value_parser = clap::value_parser!(u16).range(3..=1000))]
    nodes: u16,
    /// Simulated seconds of faults in each world
    #[arg(long, default_value_t = Options::default().seconds)]
    seconds: u64,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let options = Options {
        seeds: if arguments.seed.is_some() { 1 } else { arguments.seeds },
        first_seed: arguments.seed.unwrap_or(arguments.first_seed),
        nodes: usize::from(arguments.nodes),
        seconds: arguments.seconds,
    };
    let mut shown = Ok(());
    let started = std::time::Instant::now();
    let summary = run_each(&options, |report| {
        if shown.is_ok() && !output.is_json() {
            shown = output.write(&format!("{report}\n"));
        }
    });
    shown?;
    let simulated = summary.reports.iter().map(|report| report.virtual_seconds).sum::<u64>() as f64;
    let node_hours = simulated * f64::from(arguments.nodes) / 3600.0;
    let speed = simulated / started.elapsed().as_secs_f64().max(1e-9);
    let failed = summary.reports.iter().filter(|report| !report.passed()).count();
    let json = serde_json::json!({
        "seeds": options.seeds, "first_seed": options.first_seed, "nodes": options.nodes, "failed": failed,
        "node_hours": node_hours, "speed": speed,
    });
    let text = format!(
        "{} seeds, {failed} failed; {node_hours:.1} simulated node-hours, {speed:.0} x real time\n",
        options.seeds
    );
    output.show_either(&json, &text)?;
    if failed == 0 { Ok(()) } else { Err(Failure::Told) }
}
