//! Tells on the standard error what the lab is doing while it does it.

use std::fmt::Display;
use std::io::Write;
use std::time::{Duration, Instant};

/// One line per event, each with the time since the start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    started: Instant,
}

impl Progress {
    /// Starts the clock.
    pub(super) fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Tells what happened. That nobody can read it any more is no reason to stop.
    pub(super) fn say(self, event: impl Display) {
        let _ = writeln!(std::io::stderr().lock(), "{}", line(self.started.elapsed(), &event));
    }
}

fn line(since_start: Duration, event: &dyn Display) -> String {
    format!("[{:>6.1} s] {event}", since_start.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_with_the_time_since_the_start() {
        assert_eq!(line(Duration::from_millis(3240), &"5 nodes are up"), "[   3.2 s] 5 nodes are up");
    }
}
