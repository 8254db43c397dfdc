//! The store under watch.

use std::time::Duration;

use crate::Instant;
use crate::incident::IncidentKind;
use crate::monitor::detectors::{Doubt, Edge, LatencyShift, Tolerance};

use super::Finding;

/// How long writes take.
#[derive(Debug)]
pub(in crate::monitor) struct StoreWatch {
    latency: LatencyShift,
    slow_at: Instant,
}

impl StoreWatch {
    pub(in crate::monitor) const fn new() -> Self {
        Self { latency: LatencyShift::new(BORNE), slow_at: Instant::BOOT }
    }

    pub(in crate::monitor) fn on_wrote(
        &mut self,
        took: Duration,
        doubt: &Doubt,
        now: Instant,
        found: &mut Vec<Finding>,
    ) {
        // A writer that did not run was not waiting for the disk.
        if !doubt.is_trusted(now) {
            return;
        }
        if took >= BORNE.shift {
            self.slow_at = now;
        }
        found.extend(self.latency.observe(took).map(|edge| (IncidentKind::StoreSlow, edge)));
    }

    /// A store that nobody writes to is not slow for ever.
    pub(in crate::monitor) fn wake(&mut self, now: Instant, found: &mut Vec<Finding>) {
        if self.deadline().is_some_and(|at| at <= now) {
            self.latency = LatencyShift::new(BORNE);
            found.push((IncidentKind::StoreSlow, Edge::Well));
        }
    }

    pub(in crate::monitor) fn deadline(&self) -> Option<Instant> {
        self.latency.is_raised().then(|| self.slow_at + FORGIVEN_AFTER)
    }
}

/// Disks have bad moments: a write below a fifth of a second is never slow.
const BORNE: Tolerance = Tolerance { shift: Duration::from_millis(200), factor: 4 };
/// How long after the last slow write the store is no longer called slow.
const FORGIVEN_AFTER: Duration = Duration::from_secs(30);
