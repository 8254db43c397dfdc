//! How far a world has come, for whoever waits for it.

use std::fmt;
use std::time::Duration;

/// What a world is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Its nodes find each other.
    Forming,
    /// Faults happen.
    Storm,
    /// The faults have stopped, and all must be well again.
    Healing,
    /// A node has died, must be removed by all others, and is taken back.
    Mourning,
}

/// How far a world has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it is about.
    pub phase: Phase,
    /// Simulated time since that began.
    pub passed: Duration,
}

impl Phase {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Forming => "forming",
            Phase::Storm => "storm",
            Phase::Healing => "healing",
            Phase::Mourning => "mourning",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
