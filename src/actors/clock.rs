//! The node's time: monotonic since boot for the machines, wall-clock for what leaves the node.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

/// Milliseconds since the Unix epoch, as the system's clock has it; it may jump.
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}
