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

use tokio::signal::unix::{Signal, SignalKind, signal};

pub use self::arguments::{Arguments, Service};
pub use self::faults::FaultKind;
use self::processes::system;
use self::progress::Progress;
use crate::api::Error;

/// Runs the lab; true if the mesh kept its promises: every stream intact, every request answered or failed in time with
/// an error, every gap short.
///
/// # Errors
/// What kept the lab from coming to a report: a node that did not start, a directory that is not empty, and the like.
pub async fn run(arguments: Arguments) -> Result<bool, Error> {
    let progress = Progress::start();
    let mut interruption = Interruption::listen().map_err(|error| system("listen for signals", &error))?;
    tokio::select! {
        done = experiment::run(&arguments, progress) => done,
        // The experiment has been dropped by now, and with it its processes and its directory.
        () = interruption.received() => {
            progress.say("interrupted; nothing is left behind");
            Ok(false)
        }
    }
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
