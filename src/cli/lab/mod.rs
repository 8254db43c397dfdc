//! `prunella lab`: a whole mesh on this machine, real traffic through it, real faults, and a report of what was lost.
//!
//! The nodes are child processes of this very program, the traffic uses services and forwards like any user's, and
//! [`run`] leaves neither a process nor a directory behind, however it ends (unless it is told to keep them).

mod arguments;
mod control;
mod directory;
mod draw;
mod experiment;
mod faults;
mod founding;
mod mesh;
mod processes;
mod progress;
mod report;
mod topology;
mod traffic;

use std::io::Write;
use std::path::Path;

use tokio::signal::unix::{Signal, SignalKind, signal};

pub(super) use self::arguments::Arguments;
use self::experiment::Conclusion;
use self::processes::system;
use self::progress::Progress;
use super::failure::Failure;
use super::output::Output;
use crate::api::Error;

/// Runs the lab and shows its report; fails unless the mesh kept its promises: every stream intact, every request answered
/// or failed in time with an error, every gap short.
pub(super) async fn run(arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    let progress = Progress::start();
    let failed = |error: Error| Failure::new("run the lab", error);
    let mut interruption = Interruption::listen().map_err(|error| failed(system("listen for signals", &error)))?;
    let conclusion = tokio::select! {
        done = experiment::run(&arguments, progress) => done.map_err(failed)?,
        // The experiment has been dropped by now, and with it its processes and its directory.
        () = interruption.received() => {
            progress.say("interrupted; nothing is left behind");
            return Err(Failure::Told);
        }
    };
    show(&conclusion, &arguments, output)?;
    if conclusion.report.is_ok() { Ok(()) } else { Err(Failure::Told) }
}

/// Shows the table, and writes the JSON where it is wanted; only one of them goes to the standard output.
fn show(conclusion: &Conclusion, arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let Conclusion { report, kept } = conclusion;
    let (table, json) = (format!("{report}\n"), report.to_json() + "\n");
    let is_json_shown = output.is_json() || arguments.json.as_deref() == Some(Path::new("-"));
    if is_json_shown {
        tell(&table)?;
        output.write(&json)?;
    } else {
        output.write(&table)?;
    }
    if let Some(file) = arguments.json.as_deref().filter(|file| *file != Path::new("-")) {
        let written = std::fs::write(file, &json);
        written.map_err(|error| Failure::new("run the lab", system(&format!("write {}", file.display()), &error)))?;
    }
    kept.as_ref().map_or(Ok(()), |kept| tell(kept))
}

fn tell(text: &str) -> Result<(), Failure> {
    std::io::stderr().lock().write_all(text.as_bytes()).map_err(Failure::Unwritten)
}

/// The signals that ask the lab to end.
struct Interruption {
    signals: [Signal; 3],
}

impl Interruption {
    fn listen() -> std::io::Result<Self> {
        let [interrupt, terminate, hangup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        Ok(Self { signals: [interrupt?, terminate?, hangup?] })
    }

    async fn received(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
