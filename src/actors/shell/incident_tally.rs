//! What is counted of incidents since the node started: how many of which kind, and how long each phase took. The journal
//! forgets old incidents; these counts only grow.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::actors::tally::{Durations, Spread};

/// What is counted of incidents.
#[derive(Debug, Default)]
pub struct IncidentTally {
    opened: Mutex<BTreeMap<&'static str, u64>>,
    phases: [Durations; PHASES.len()],
    lasted: Durations,
    escalated: AtomicU64,
}

/// The phases of an incident that take time, in their order: `detect` is counted when it is noticed, `analyze` when it is
/// known what it follows from, `plan` with each plan, `execute` and `verify` with each outcome.
pub const PHASES: [&str; 5] = ["detect", "analyze", "plan", "execute", "verify"];

impl IncidentTally {
    /// How many of each kind there were, by the kind's name.
    pub fn opened(&self) -> BTreeMap<&'static str, u64> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long each phase took, in the order of [`PHASES`].
    pub fn phases(&self) -> [Spread; PHASES.len()] {
        std::array::from_fn(|phase| self.phases[phase].spread())
    }

    /// How long incidents that are over lasted.
    pub fn lasted(&self) -> Spread {
        self.lasted.spread()
    }

    /// How often a person was called.
    pub fn escalated(&self) -> u64 {
        self.escalated.load(Ordering::Relaxed)
    }

    pub(super) fn opens(&self, kind: &'static str, detected_after: Option<Duration>) {
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default() += 1;
        if let Some(took) = detected_after {
            self.phases[0].note(took);
        }
    }

    /// A phase took so long, in microseconds; `None`: that is not known.
    pub(super) fn took(&self, phase: &str, us: Option<u64>) {
        let known = PHASES.iter().position(|name| *name == phase).zip(us);
        if let Some((phase, us)) = known {
            self.phases[phase].note(Duration::from_micros(us));
        }
    }

    pub(super) fn closes(&self, lasted: Duration) {
        self.lasted.note(lasted);
    }

    pub(super) fn escalates(&self) {
        self.escalated.fetch_add(1, Ordering::Relaxed);
    }
}
