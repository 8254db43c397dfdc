//! The comparison: every system in turn, round by round, and the report.

mod ground;
mod machine;
mod measure;
pub(crate) mod progress;
mod report;
mod systems;
mod work;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use clap::Args;
use prunella_bench::LabError;

use ground::{Ground, Shape};
use machine::Machine;
use measure::Sample;
use progress::say;
use report::{Failure, Report, Taking};
use systems::System;
use work::Effort;

/// What the user wants.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Only these systems, such as `prunella-session,yggdrasil`
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    only: Vec<String>,
    /// How often each system does all of it
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How long each transfer takes
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// One round of one second each: to see that everything works
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
    quick: bool,
    /// How many seconds a system has to find another way
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    gap_max: u64,
    /// To which system the others are put in relation, where it was measured
    #[arg(long, default_value = "plain-quic", value_name = "NAME")]
    base: String,
    /// Write every figure to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw the medians into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Prunella's program [default: built now, beside this program]
    #[arg(long, value_name = "FILE")]
    prunella: Option<PathBuf>,
}

/// Runs the comparison, and prints its report on standard output.
pub(crate) fn run(arguments: &Arguments) -> Result<(), LabError> {
    end_on_interrupt()?;
    drop(prunella_bench::Lab::new()?);
    let program = arguments.prunella.clone().map_or_else(build, Ok)?;
    let (rounds, seconds) = if arguments.quick { (1, 1) } else { (arguments.rounds, arguments.seconds) };
    let samples = if arguments.quick { 50 } else { 500 };
    let effort = Effort { seconds, samples, gap_max: Duration::from_secs(arguments.gap_max) };
    let machine = Machine::before();
    let (taking, skipped) = choose(systems::all(&program), &arguments.only)?;
    let mut report = Report::new(machine, &taking, skipped, [rounds, seconds], &arguments.base);
    let outcome = measure_all(&taking, rounds, effort, &mut report);
    report.machine = report.machine.clone().after();
    // What was measured before an interrupt is told all the same.
    report::show(&report, arguments.json.as_deref(), arguments.svg.as_deref())?;
    outcome
}

type Systems = Vec<Box<dyn System>>;

/// Whoever takes part, and why the others do not.
fn choose(all: Systems, only: &[String]) -> Result<(Systems, Vec<Taking>), LabError> {
    let names: Vec<&str> = all.iter().map(|system| system.name()).collect();
    if let Some(unknown) = only.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(LabError::Unreadable(format!("no system is called {unknown:?}: {}", names.join(", "))));
    }
    let (mut taking, mut skipped) = (Vec::new(), Vec::new());
    for system in all {
        if !only.is_empty() && !only.iter().any(|name| name == system.name()) {
            continue;
        }
        match system.missing() {
            None => taking.push(system),
            Some(why) => {
                say(format_args!("{:<18} skipped: {why}", system.name()));
                skipped.push(Taking { name: system.name(), what: why });
            }
        }
    }
    Ok((taking, skipped))
}

/// Round by round, so that whatever else the machine does meets all of them.
fn measure_all(taking: &[Box<dyn System>], rounds: u32, effort: Effort, report: &mut Report) -> Result<(), LabError> {
    for round in 1..=rounds {
        for shape in [Shape::Pair, Shape::Line, Shape::Diamond] {
            for system in taking.iter().filter(|system| system.shapes().contains(&shape)) {
                match measure(system.as_ref(), shape, effort) {
                    Ok(figures) => {
                        say(format_args!("{}", told(round, rounds, system.name(), shape, &figures)));
                        report.samples.extend(figures.into_iter().map(|(measure, value, at_least)| {
                            let (system, shape) = (system.name(), shape.name());
                            Sample { round, system, shape, measure, value, at_least }
                        }));
                    }
                    Err(LabError::Interrupted) => return Err(LabError::Interrupted),
                    // One system that fails once says nothing of the others.
                    Err(error) => {
                        // On one line, whatever was said.
                        let why = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
                        let failure = Failure { round, system: system.name(), shape: shape.name(), why };
                        say(format_args!("round {round}/{rounds}  {failure}"));
                        report.failures.push(failure);
                    }
                }
            }
        }
    }
    Ok(())
}

fn measure(system: &dyn System, shape: Shape, effort: Effort) -> Result<work::Figures, LabError> {
    let ground = Ground::lay(shape)?;
    let running = system.start(&ground)?;
    work::do_all(&ground, &running, effort)
}

fn told(round: u32, rounds: u32, system: &str, shape: Shape, figures: &work::Figures) -> String {
    let of = |measure| figures.iter().find(|(found, _, _)| *found == measure).map(|(_, value, _)| *value);
    let begin = format!("round {round}/{rounds}  {:<9} {system:<18}", shape.name());
    match (of(measure::Measure::OneFlow), of(measure::Measure::Gap)) {
        (Some(gbit), _) => format!("{begin} {gbit:6.2} Gbit/s"),
        (_, Some(gap)) => format!("{begin} gap {gap:.0} ms"),
        _ => begin,
    }
}

/// Builds Prunella's program as this one was built, and says where it is.
fn build() -> Result<PathBuf, LabError> {
    let find = |source| LabError::System { doing: "find this program".to_owned(), source };
    let this = std::env::current_exe().map_err(find)?;
    let program = this.with_file_name("prunella");
    // Set by `cargo run`.
    let Some(cargo) = std::env::var_os("CARGO") else { return Ok(program) };
    let mut command = Command::new(cargo);
    command.args(["build", "--package", "prunella", "--bin", "prunella"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let run = |source| LabError::System { doing: "build prunella".to_owned(), source };
    match command.status().map_err(run)? {
        status if status.success() => Ok(program),
        status => Err(LabError::Unreadable(format!("prunella was not built: {status}"))),
    }
}

/// The first interrupt ends the run and removes what was made for it; it may take a moment.
fn end_on_interrupt() -> Result<(), LabError> {
    let refused = |source| LabError::System { doing: "listen to interrupts".to_owned(), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused)?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let end = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
            match end {
                Ok(mut end) => tokio::select! { _ = tokio::signal::ctrl_c() => {}, _ = end.recv() => {} },
                Err(_) => drop(tokio::signal::ctrl_c().await),
            }
        });
        say(format_args!("interrupted: cleaning up"));
        prunella_bench::interrupt();
    });
    Ok(())
}
