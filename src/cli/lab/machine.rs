//! How busy the machine was: what every figure of a report depends on.

use std::fmt::{self, Display, Formatter};
use std::fs;

use serde::Serialize;

/// The machine, and how busy it was at the start and at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Machine {
    /// Processors that this process may use.
    pub(super) cores: usize,
    /// The load average over a minute before the first node was started.
    pub(super) load_start: f64,
    /// The same at the end.
    pub(super) load_end: f64,
}

impl Machine {
    /// Looks at it, at the start.
    pub(super) fn at_start() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { cores, load_start: load(), load_end: 0.0 }
    }

    /// Looks again, at the end.
    pub(super) fn at_end(self) -> Self {
        Self { load_end: load(), ..self }
    }
}

impl Display for Machine {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Machine { cores, load_start, load_end } = self;
        write!(f, "{cores} cores, load average {load_start:.2} at the start, {load_end:.2} at the end")
    }
}

/// The load average over the last minute; zero where the system does not tell.
fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_cores_and_tells_its_load_at_both_ends() {
        let start = Machine::at_start();
        assert!(start.cores >= 1);
        let machine = Machine { cores: 2, load_start: 0.5, ..start.at_end() };
        let told = Machine { load_end: 8.25, ..machine }.to_string();
        assert_eq!(told, "2 cores, load average 0.50 at the start, 8.25 at the end");
    }
}
