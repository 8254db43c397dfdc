//! `prunella sim`: runs the core of many nodes on one thread, seed after seed.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::failure::Failure;
use super::interruption::Interruption;
use super::output::Output;
use super::progress::Progress;
use super::sim_attacks::{self, RunAttacks};
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
    /// Simulated seconds in all worlds together, also in one that was broken off.
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
    /// A seed's world has been in a phase for so many simulated seconds; tells whether the run goes on. Asked at least
    /// once a simulated second.
    fn passed(&mut self, seed: u64, phase: &'static str, seconds: u64) -> bool;

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
    /// Members that attack gossip.
    pub attacks: RunAttacks,
}

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// Replay this one seed: the same seed, nodes and seconds are the same run
    #[arg(long, conflicts_with_all = ["seeds", "first_seed"])]
    seed: Option<u64>,
    /// How many seeds to run
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=SEEDS_MAX))]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Nodes in each world, at most: each seed draws its own number
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(3..=1000))]
    nodes: u16,
    /// Simulated seconds of faults in each world
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(..=MINUTES_MAX * 60))]
    seconds: u64,
    /// The same in minutes
    #[arg(long, conflicts_with = "seconds", value_parser = clap::value_parser!(u64).range(1..=MINUTES_MAX))]
    minutes: Option<u64>,
    /// Measure how gossip spreads in a simulated mesh of up to a million nodes instead; "list" lists the presets
    #[arg(long, value_name = "PRESET", conflicts_with_all = ["seeds", "first_seed", "nodes", "seconds", "minutes"])]
    gossip: Option<String>,
    /// Play a script of what goes wrong when, and print its story instead; see tests/scenarios for how one is written
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["seed", "seeds", "first_seed", "nodes", "seconds", "minutes", "gossip"]
    )]
    scenario: Option<PathBuf>,
    /// Let members with good certificates attack gossip in each of the known ways instead, among so many honest nodes, and
    /// print what was delivered
    #[arg(
        long,
        value_name = "HONEST",
        num_args = 0..=1,
        default_missing_value = "40",
        value_parser = clap::value_parser!(u16).range(6..=400),
        conflicts_with_all = ["seeds", "first_seed", "nodes", "seconds", "minutes", "gossip", "scenario"]
    )]
    attacks: Option<u16>,
    /// How many attackers there are [default: as many as honest nodes]
    #[arg(long, requires = "attacks", value_parser = clap::value_parser!(u16).range(1..=400))]
    attackers: Option<u16>,
}

const AFTER_HELP: &str = "\
Everything is simulated: virtual time, no network, one thread. A failed seed prints the command that replays it.
An interrupt (Ctrl-C) ends the run with the summary so far and exit code 130; a second one ends it at once.

Examples:
  prunella sim --seeds 200 --nodes 6 --seconds 3
  prunella sim --seed 7
  prunella sim --gossip 1k
  prunella sim --attacks";

pub(super) fn run(arguments: &Arguments, simulators: Simulators, output: &mut Output) -> Result<(), Failure> {
    if let Some(file) = &arguments.scenario {
        return sim_scenario::run(file, simulators.scenario, output);
    }
    if let Some(honest) = arguments.attacks {
        let attackers = arguments.attackers.unwrap_or(honest);
        return sim_attacks::run([honest, attackers], arguments.seed.unwrap_or(1), simulators.attacks, output);
    }
    let Some(preset) = arguments.gossip.as_deref() else {
        return run_worlds(&arguments.simulation(), simulators.worlds, output);
    };
    let presets = (simulators.presets)();
    match preset {
        "list" => sim_gossip::list(&presets, output),
        _ => sim_gossip::run(preset, &presets, arguments.seed.unwrap_or(1), simulators.gossip, output),
    }
}

impl Arguments {
    fn simulation(&self) -> Simulation {
        Simulation {
            seeds: if self.seed.is_some() { 1 } else { self.seeds },
            first_seed: self.seed.unwrap_or(self.first_seed),
            nodes: usize::from(self.nodes),
            seconds: self.minutes.map_or(self.seconds, |minutes| minutes * 60),
        }
    }
}

fn run_worlds(simulation: &Simulation, simulate: Simulate, output: &mut Output) -> Result<(), Failure> {
    let started = Instant::now();
    let mut watcher = Watcher {
        output,
        shown: Ok(()),
        interruption: Interruption::listen(),
        progress: Progress::begin(),
        simulation: *simulation,
    };
    let simulated = simulate(simulation, &mut watcher);
    let interrupted = watcher.interruption.happened();
    watcher.progress.clear();
    watcher.shown?;
    show(simulation, &simulated, interrupted, started.elapsed(), output)?;
    match (interrupted, simulated.failed.is_empty()) {
        (true, _) => Err(Failure::Interrupted),
        (false, true) => Ok(()),
        (false, false) => Err(Failure::Told),
    }
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
        "simulated": true, "seeds": seeds, "first_seed": simulation.first_seed, "nodes": simulation.nodes,
        "seconds": simulation.seconds, "failed": failed.len(), "failures": failed, "interrupted": interrupted,
        "virtual_seconds": virtual_seconds, "wall_seconds": seconds,
        "node_hours": node_hours, "node_hours_per_second": rate, "speed": speed,
    });
    let begun = if interrupted { format!(" of {}, interrupted", simulation.seeds) } else { String::new() };
    let mut text = format!(
        "{seeds} seeds{begun}, {} failed; {node_hours:.3} simulated node-hours in {seconds:.1} s ({rate:.3} a second), \
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
    interruption: Interruption,
    progress: Progress,
    simulation: Simulation,
}

impl Watch for Watcher<'_> {
    fn passed(&mut self, seed: u64, phase: &'static str, seconds: u64) -> bool {
        let Simulation { seconds: of, seeds, first_seed, .. } = self.simulation;
        self.progress.tell(|| {
            let nth = seed.wrapping_sub(first_seed) + 1;
            let of = if phase == STORM { format!(" of {of}") } else { String::new() };
            format!("seed {seed} ({nth} of {seeds}): {phase}, {seconds}{of} simulated seconds")
        });
        self.goes_on()
    }

    fn report(&mut self, report: &str) {
        self.progress.clear();
        if self.shown.is_ok() && !self.output.is_json() {
            self.shown = self.output.write(&format!("{report}\n")).and_then(|()| self.output.flush());
            self.progress.rest();
        }
    }

    fn goes_on(&self) -> bool {
        self.shown.is_ok() && !self.interruption.happened()
    }
}

/// The phase whose length was asked for.
const STORM: &str = "storm";
/// Most seeds in one run.
const SEEDS_MAX: u64 = 1_000_000;
/// Most simulated minutes of faults in one world: a week.
const MINUTES_MAX: u64 = 7 * 24 * 60;

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io::{self, Write};
    use std::rc::Rc;

    use super::*;

    /// What was written so far.
    #[derive(Clone, Default)]
    struct Page(Rc<RefCell<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// How a run ends whose second seed fails.
    fn end(json: bool) -> (Failure, String) {
        let simulate: Simulate = |simulation, watch| {
            assert!(watch.passed(simulation.first_seed, "storm", 1));
            watch.report("seed 4  FAILED");
            let failures = vec!["1.5 s: nodes 1 and 2 were silent".to_owned()];
            let replay = "prunella sim --seed 5 --nodes 8 --seconds 30".to_owned();
            let failed = vec![FailedSeed { seed: 5, replay, failures }];
            Simulated { seeds: 2, failed, virtual_seconds: 72.0, node_hours: 0.16 }
        };
        let page = Page::default();
        let mut output = Output::to(Box::new(page.clone()), json);
        let simulation = Simulation { seeds: 2, first_seed: 4, nodes: 8, seconds: 30 };
        let failure = run_worlds(&simulation, simulate, &mut output).expect_err("a seed failed");
        output.flush().unwrap();
        let text = String::from_utf8(page.0.borrow().clone()).unwrap();
        (failure, text)
    }

    #[test]
    fn a_failed_seed_fails_the_run_and_names_the_command_that_replays_it() {
        let (failure, text) = end(false);
        assert!(matches!(failure, Failure::Told));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "seed 4  FAILED");
        assert!(lines[1].starts_with("2 seeds, 1 failed; 0.160 simulated node-hours in "), "{text}");
        assert!(lines[1].ends_with(" x real time"), "{text}");
        assert_eq!(lines[2..], ["replay: prunella sim --seed 5 --nodes 8 --seconds 30"]);
    }

    #[test]
    fn a_failed_seed_is_told_in_json_with_its_command_and_reasons() {
        let (failure, text) = end(true);
        assert!(matches!(failure, Failure::Told));
        let told: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&told["seeds"], &told["failed"]), (&2.into(), &1.into()));
        assert_eq!(told["failures"][0]["replay"], "prunella sim --seed 5 --nodes 8 --seconds 30");
        assert_eq!(told["failures"][0]["failures"][0], "1.5 s: nodes 1 and 2 were silent");
    }
}
