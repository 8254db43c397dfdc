//! The program: everything but the simulator is in the library.

use std::process::ExitCode;

use prunella::cli::{self, FailedSeed, Simulated, Simulation, Watch};
use prunella_sim::Options;

fn main() -> ExitCode {
    cli::main(simulate)
}

fn simulate(simulation: &Simulation, watch: &mut dyn Watch) -> Simulated {
    let Simulation { seeds, first_seed, nodes, seconds } = *simulation;
    let options = Options { seeds, first_seed, nodes, seconds, ..Options::default() };
    let mut simulated = Simulated::default();
    for seed in (0..seeds).map(|i| first_seed.wrapping_add(i)) {
        let mut second = 0;
        let report = options.run(seed, &mut || {
            second += 1;
            watch.second(seed, second)
        });
        // What was broken off proves nothing, unless it has failed.
        if report.passed() && !watch.goes_on() {
            break;
        }
        watch.report(&report.to_string());
        simulated.seeds += 1;
        simulated.virtual_seconds += report.virtual_time.as_secs_f64();
        simulated.node_hours += report.node_hours();
        if !report.passed() {
            let replay = report.replay.clone().unwrap_or_default();
            let failures = report.failures.iter().map(|failure| format!("{}: {}", failure.at, failure.what)).collect();
            simulated.failed.push(FailedSeed { seed, replay, failures });
        }
        if !watch.goes_on() {
            break;
        }
    }
    simulated
}
