//! `prunella lab`: a whole mesh on this machine, real traffic through it, real faults, and a report of what was lost.
//!
//! The nodes are child processes of this very program, the traffic uses services and forwards like any user's, and
//! `run` leaves neither a process nor a directory behind, however it ends (unless it is told to keep them).

mod arguments;
mod census;
mod control;
mod directory;
mod draw;
mod experiment;
mod faults;
mod founding;
mod healing;
mod injection;
mod interruption;
mod machine;
mod mesh;
mod processes;
mod progress;
mod report;
mod soak;
mod soak_report;
mod topology;
mod traffic;

use std::io::Write;

pub(super) use self::arguments::Arguments;
use self::experiment::Conclusion;
use self::interruption::Interruption;
use self::processes::system;
use self::progress::Progress;
pub(super) use self::soak::SoakArguments;
use self::soak_report::SoakReport;
use crate::api::Error;

/// How the lab ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The mesh kept its promises.
    Kept,
    /// It did not.
    Broken,
    /// Somebody wanted no more; what was found out so far has been shown.
    Interrupted,
}

/// Runs the lab and shows its report. The mesh kept its promises if every stream is intact, every request answered or
/// failed in time with an error, every gap short.
///
/// # Errors
/// What kept the lab from coming to a report: a node that did not start, a directory that is not empty, and the like.
pub(super) async fn run(arguments: Arguments) -> Result<Ending, Error> {
    let progress = Progress::start();
    let mut interruption = Interruption::listen().map_err(|error| system("listen for signals", &error))?;
    let conclusion = tokio::select! {
        done = experiment::run(&arguments, progress) => done?,
        // The experiment has been dropped by now, and with it its processes and its directory.
        () = interruption.received() => {
            progress.say("interrupted; nothing is left behind");
            return Ok(Ending::Interrupted);
        }
    };
    show(&conclusion, &arguments).map_err(|error| system("write the report", &error))?;
    Ok(if conclusion.report.is_ok() { Ending::Kept } else { Ending::Broken })
}

/// Soaks a mesh and shows the report.
///
/// # Errors
/// As [`run`].
pub(super) async fn soak(arguments: SoakArguments) -> Result<Ending, Error> {
    let progress = Progress::start();
    let mut interruption = Interruption::listen().map_err(|error| system("listen for signals", &error))?;
    let Some(report) = soak::run(&arguments, progress, &mut interruption).await? else {
        progress.say("interrupted; nothing is left behind");
        return Ok(Ending::Interrupted);
    };
    show_soak(&report, &arguments).map_err(|error| system("write the report", &error))?;
    Ok(match (report.interrupted, report.is_ok()) {
        (true, _) => Ending::Interrupted,
        (false, true) => Ending::Kept,
        (false, false) => Ending::Broken,
    })
}

fn show_soak(report: &SoakReport, arguments: &SoakArguments) -> std::io::Result<()> {
    if let Some(file) = arguments.json_file() {
        std::fs::write(file, report.to_json() + "\n")?;
    }
    if arguments.is_json_shown() {
        writeln!(std::io::stderr().lock(), "{report}")?;
        return writeln!(std::io::stdout().lock(), "{}", report.to_json());
    }
    writeln!(std::io::stdout().lock(), "{report}")
}

/// Shows the table, and writes the JSON where it is wanted; only one of them goes to the standard output.
fn show(conclusion: &Conclusion, arguments: &Arguments) -> std::io::Result<()> {
    let Conclusion { report, kept } = conclusion;
    if let Some(file) = arguments.json_file() {
        std::fs::write(file, report.to_json() + "\n")?;
    }
    if arguments.is_json_shown() {
        writeln!(std::io::stderr().lock(), "{report}")?;
        writeln!(std::io::stdout().lock(), "{}", report.to_json())?;
    } else {
        writeln!(std::io::stdout().lock(), "{report}")?;
    }
    kept.as_ref().map_or(Ok(()), |kept| std::io::stderr().lock().write_all(kept.as_bytes()))
}
