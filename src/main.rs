//! The program: everything but the simulator is in the library.

use std::process::ExitCode;

use prunella::cli::{self, Simulated, Simulation};
use prunella_sim::{Options, run_each};

fn main() -> ExitCode {
    cli::main(simulate)
}

fn simulate(simulation: &Simulation, told: &mut dyn FnMut(&str)) -> Simulated {
    let Simulation { seeds, first_seed, nodes, seconds } = *simulation;
    let summary = run_each(&Options { seeds, first_seed, nodes, seconds }, |report| told(&report.to_string()));
    Simulated {
        failed: summary.reports.iter().filter(|report| !report.passed()).count() as u64,
        virtual_seconds: summary.reports.iter().map(|report| report.virtual_seconds).sum(),
    }
}
