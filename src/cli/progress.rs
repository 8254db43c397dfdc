//! Progress of long runs, on standard error: a line that changes on a terminal, a line now and then anywhere else.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Shows how far a run has come.
#[derive(Debug)]
pub(super) struct Progress {
    terminal: bool,
    /// When something was last shown.
    last: Instant,
    /// Whether a line stands on the terminal.
    standing: bool,
}

impl Progress {
    /// Of a run that begins now.
    pub(super) fn begin() -> Self {
        Self { terminal: io::stderr().is_terminal(), last: Instant::now(), standing: false }
    }

    /// Shows this line, unless another one was shown only just now.
    pub(super) fn tell(&mut self, line: impl FnOnce() -> String) {
        let every = if self.terminal { EVERY_ON_TERMINAL } else { EVERY };
        if self.last.elapsed() < every {
            return;
        }
        let line = line();
        // Progress is for the eye; whether it arrives makes no difference.
        let _ = if self.terminal {
            write!(io::stderr().lock(), "\r\x1b[K{line}")
        } else {
            writeln!(io::stderr().lock(), "{line}")
        };
        self.standing = self.terminal;
        self.last = Instant::now();
    }

    /// Makes room for results.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.standing) {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }

    /// A result was shown: whoever reads along needs no progress for a while.
    pub(super) fn rest(&mut self) {
        self.last = Instant::now();
    }
}

/// How often the line on a terminal changes.
const EVERY_ON_TERMINAL: Duration = Duration::from_millis(250);
/// How often there is a line elsewhere, and how long a run may take without any.
const EVERY: Duration = Duration::from_secs(5);
