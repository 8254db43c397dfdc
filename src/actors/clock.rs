//! The node's monotonic time, for the machines.

use std::time::Duration;

use prunella_core::Instant;

/// Tells the time since the node's boot.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    boot: tokio::time::Instant,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { boot: tokio::time::Instant::now() }
    }

    /// The time since boot.
    pub fn now(&self) -> Instant {
        Instant::BOOT + self.boot.elapsed()
    }

    /// How long ago the node booted.
    pub fn uptime(&self) -> Duration {
        self.boot.elapsed()
    }
}
