//! `prunella sim`: runs the core of many nodes on one thread, seed after seed.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use tokio::runtime::Builder;

use super::failure::{Failure, complain};
use super::output::Output;
use super::sim_gossip::{self, GossipPreset, SimulateGossip};
use super::sim_scenario::{self, PlayScenario};

/// What is to be simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Simulation {
    /// How many seeds.
    pub seeds: u64,
    /// The first of them.
    pub first_seed: u64,
    /// Nodes in each world, at most.
    pub nodes: usize,
    /// Simulated seconds of faults in each world.
    pub seconds: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Simulated {
    /// Seeds that ran to their end.
    pub seeds: u64,
    /// Seeds that failed.
    pub failed: Vec<FailedSeed>,
    /// Simulated seconds in all worlds together.
    pub virtual_seconds: f64,
    /// Simulated hours, added up over all nodes of all worlds.
    pub node_hours: f64,
}

/// A seed that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedSeed {
    /// Which.
    pub seed: u64,
    /// The command that repeats it.
    pub replay: String,
    /// What did not hold, each with its simulated time.
    pub failures: Vec<String>,
}

/// Who looks on while a simulation runs.
pub trait Watch {
    /// Another simulated second of a seed has passed; tells whether the run goes on.
    fn second(&mut self, seed: u64, second: u64) -> bool;

    /// A seed's report is there.
    fn report(&mut self, report: &str);

    /// Whether the run goes on.
    fn goes_on(&self) -> bool;
}

/// Runs a simulation under somebody's eyes.
pub type Simulate = fn(&Simulation, &mut dyn Watch) -> Simulated;

/// The simulators: no part of the library, so the program hands them in.
#[derive(Clone, Copy, Debug)]
pub struct Simulators {
    /// Worlds with faults, seed after seed.
    pub worlds: Simulate,
    /// How gossip spreads in a mesh that has a name.
    pub gossip: SimulateGossip,
    /// These meshes.
    pub presets: fn() -> Vec<GossipPreset>,
    /// A script of what goes wrong when.
    pub scenario: PlayScenario,
}

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
    /// Nodes in each world, at most: each seed draws its own number
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(3..=1000))]
    nodes: u16,
    /// Simulated seconds of faults in each world
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// The same in minutes
    #[arg(long, conflicts_with = "seconds")]
    minutes: Option<u64>,
    /// Measure how gossip spreads in a mesh of up to a million nodes instead; "list" lists the presets
    #[arg(long, value_name = "PRESET", conflicts_with_all = ["seeds", "first_seed", "nodes", "seconds", "minutes"])]
    gossip: Option<String>,
    /// Play a script of what goes wrong when, and print its story instead; see tests/scenarios for how one is written
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["seed", "seeds", "first_seed", "nodes", "seconds", "minutes", "gossip"]
    )]
    scenario: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, simulators: Simulators, output: &mut Output) -> Result<(), Failure> {
    if let Some(file) = &arguments.scenario {
        return sim_scenario::run(file, simulators.scenario, output);
    }
    match arguments.gossip.as_deref() {
        Some("list") => sim_gossip::list(&(simulators.presets)(), output),
        Some(preset) => sim_gossip::run(preset, arguments.seed.unwrap_or(1), simulators.gossip, output),
        None => run_worlds(arguments, simulators.worlds, output),
    }
}

fn run_worlds(arguments: &Arguments, simulate: Simulate, output: &mut Output) -> Result<(), Failure> {
    let simulation = Simulation {
        seeds: if arguments.seed.is_some() { 1 } else { arguments.seeds },
        first_seed: arguments.seed.unwrap_or(arguments.first_seed),
        nodes: usize::from(arguments.nodes),
        seconds: arguments.minutes.map_or(arguments.seconds, |minutes| minutes.saturating_mul(60)),
    };
    let started = Instant::now();
    let mut watcher = Watcher {
        output,
        shown: Ok(()),
        interrupted: interruption(),
        progress: io::stderr().is_terminal().then(Instant::now),
        simulation,
    };
    let simulated = simulate(&simulation, &mut watcher);
    let interrupted = watcher.interrupted.load(Ordering::Relaxed);
    watcher.clear_progress();
    watcher.shown?;
    show(&simulation, &simulated, interrupted, started.elapsed(), output)?;
    if simulated.failed.is_empty() && !interrupted { Ok(()) } else { Err(Failure::Told) }
}

fn show(
    simulation: &Simulation,
    simulated: &Simulated,
    interrupted: bool,
    took: Duration,
    output: &mut Output,
) -> Result<(), Failure> {
    let Simulated { seeds, failed, virtual_seconds, node_hours } = simulated;
    let seconds = took.as_secs_f64().max(1e-9);
    let (speed, rate) = (virtual_seconds / seconds, node_hours / seconds);
    let json = serde_json::json!({
        "seeds": seeds, "first_seed": simulation.first_seed, "nodes": simulation.nodes,
        "seconds": simulation.seconds, "failed": failed.len(), "failures": failed, "interrupted": interrupted,
        "node_hours": node_hours, "node_hours_per_second": rate, "speed": speed,
    });
    let begun = if interrupted { format!(" of {}, interrupted", simulation.seeds) } else { String::new() };
    let mut text = format!(
        "{seeds} seeds{begun}, {} failed; {node_hours:.1} simulated node-hours in {seconds:.1} s ({rate:.3} a second), \
         {speed:.0} x real time\n",
        failed.len()
    );
    for seed in failed {
        text.push_str(&format!("replay: {}\n", seed.replay));
    }
    output.show_either(&json, &text)
}

/// Shows reports as they come, and how far a long seed is, and notices that somebody wants it to end.
struct Watcher<'a> {
    output: &'a mut Output,
    shown: Result<(), Failure>,
    interrupted: Arc<AtomicBool>,
    /// When progress was last shown; `None` if nobody reads it.
    progress: Option<Instant>,
    simulation: Simulation,
}

impl Watch for Watcher<'_> {
    fn second(&mut self, seed: u64, second: u64) -> bool {
        if let Some(last) = self.progress.filter(|last| last.elapsed() >= PROGRESS_EVERY) {
            self.progress = Some(last + last.elapsed());
            let Simulation { seconds, seeds, first_seed, .. } = self.simulation;
            let nth = seed.wrapping_sub(first_seed) + 1;
            // Progress is for the eye; whether it arrives makes no difference.
            let _ = write!(io::stderr().lock(), "\r\x1b[Kseed {seed} ({nth} of {seeds}): {second} of {seconds} s");
        }
        self.goes_on()
    }

    fn report(&mut self, report: &str) {
        self.clear_progress();
        if self.shown.is_ok() && !self.output.is_json() {
            self.shown = self.output.write(&format!("{report}\n")).and_then(|()| self.output.flush());
        }
    }

    fn goes_on(&self) -> bool {
        self.shown.is_ok() && !self.interrupted.load(Ordering::Relaxed)
    }
}

impl Watcher<'_> {
    fn clear_progress(&self) {
        if self.progress.is_some() {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

/// Becomes true when the process is asked to end. A second time ends it at once.
fn interruption() -> Arc<AtomicBool> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&interrupted);
    let runtime = Builder::new_current_thread().enable_io().build();
    match runtime {
        Ok(runtime) => {
            thread::spawn(move || {
                while runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
                    if told.swap(true, Ordering::Relaxed) {
                        std::process::exit(130);
                    }
                }
            });
        }
        Err(error) => complain(&format!("prunella: an interrupt will end this without a summary: {error}")),
    }
    interrupted
}

/// How often progress is shown.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);
