//! `prunella sim`: runs the core of many nodes on one thread, seed after seed.

use std::time::Instant;

use clap::Args;

use super::failure::Failure;
use super::output::Output;

/// What is to be simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Simulation {
    /// How many seeds.
    pub seeds: u64,
    /// The first of them.
    pub first_seed: u64,
    /// Nodes in each world.
    pub nodes: usize,
    /// Simulated seconds of faults in each world.
    pub seconds: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Simulated {
    /// Seeds that failed.
    pub failed: u64,
    /// Simulated seconds in all worlds together.
    pub virtual_seconds: u64,
}

/// Runs a simulation and tells each seed's report as soon as it is there. The simulator is no part of the library, so
/// the program hands it in.
pub type Simulate = fn(&Simulation, &mut dyn FnMut(&str)) -> Simulated;

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
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(3..=1000))]
    nodes: u16,
    /// Simulated seconds of faults in each world
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

pub(super) fn run(arguments: &Arguments, simulate: Simulate, output: &mut Output) -> Result<(), Failure> {
    let simulation = Simulation {
        seeds: if arguments.seed.is_some() { 1 } else { arguments.seeds },
        first_seed: arguments.seed.unwrap_or(arguments.first_seed),
        nodes: usize::from(arguments.nodes),
        seconds: arguments.seconds,
    };
    let mut shown = Ok(());
    let started = Instant::now();
    let simulated = simulate(&simulation, &mut |report| {
        if shown.is_ok() && !output.is_json() {
            shown = output.write(&format!("{report}\n")).and_then(|()| output.flush());
        }
    });
    shown?;
    let node_hours = simulated.virtual_seconds as f64 * simulation.nodes as f64 / 3600.0;
    let speed = simulated.virtual_seconds as f64 / started.elapsed().as_secs_f64().max(1e-9);
    let json = serde_json::json!({
        "seeds": simulation.seeds, "first_seed": simulation.first_seed, "nodes": simulation.nodes,
        "failed": simulated.failed, "node_hours": node_hours, "speed": speed,
    });
    let Simulation { seeds, .. } = simulation;
    let failed = simulated.failed;
    let text =
        format!("{seeds} seeds, {failed} failed; {node_hours:.1} simulated node-hours, {speed:.0} x real time\n");
    output.show_either(&json, &text)?;
    if failed == 0 { Ok(()) } else { Err(Failure::Told) }
}
