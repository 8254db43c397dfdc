//! How a command ends when it does not succeed.

use std::io::{self, Write};
use std::process::ExitCode;

use super::output::Output;
use super::render;
use crate::api::{Error, ErrorKind, Response, harmless};

/// Why a command did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// It failed.
    Failed {
        /// What was tried: fits "failed to ...".
        doing: String,
        /// Why it failed.
        error: Error,
    },
    /// Its output could not be written.
    Unwritten(io::Error),
    /// It did what it should, and its report says what did not hold.
    Told,
    /// It was interrupted, and has shown what it had so far.
    Interrupted,
}

impl Failure {
    /// A failure to do something that fits "failed to ...".
    pub(super) fn new(doing: impl Into<String>, error: Error) -> Self {
        Failure::Failed { doing: doing.into(), error }
    }

    /// A node's answer is none to what was asked.
    pub(super) fn unexpected(doing: &str, answer: &Response) -> Self {
        Failure::new(doing, Error::new(ErrorKind::Internal, format!("the node answered something else: {answer:?}")))
    }

    /// Tells it on standard error, on one line, and gives the exit code. A reader who has gone away is no failure.
    pub(super) fn tell(&self, output: &mut Output) -> ExitCode {
        match self {
            Failure::Told => ExitCode::FAILURE,
            Failure::Interrupted => ExitCode::from(EXIT_INTERRUPTED),
            Failure::Unwritten(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Failure::Unwritten(error) => {
                complain(&format!("prunella: failed to write the output: {error}"));
                ExitCode::FAILURE
            }
            Failure::Failed { doing, error } => {
                // Whoever asked for JSON can read the kind of the error there; nothing more can be done if that fails.
                if output.is_json() {
                    let _ = output.write(&render::json(&Response::Error { error: error.clone() }));
                }
                let _ = output.flush();
                complain(&format!("prunella: failed to {doing}: {error}"));
                ExitCode::from(error.kind().exit_code())
            }
        }
    }
}

/// Writes a line to standard error, where there is nowhere left to complain if that fails.
pub(super) fn complain(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", harmless(line));
}

/// As shells have it: 128, and the number of the signal.
pub(super) const EXIT_INTERRUPTED: u8 = 128 + 2;
