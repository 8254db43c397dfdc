//! One actor under watch.

use crate::Instant;
use crate::incident::IncidentKind;
use crate::monitor::detectors::{Backlog, Doubt, Standstill};
use crate::monitor::sample::ActorSample;

use super::Finding;

/// Whether an actor moves, and fast enough.
#[derive(Debug)]
pub(in crate::monitor) struct ActorWatch {
    standstill: Standstill,
    backlog: Backlog,
    /// When it was last heard of.
    pub(in crate::monitor) heard: Instant,
}

impl ActorWatch {
    pub(in crate::monitor) fn new(now: Instant) -> Self {
        Self { standstill: Standstill::new(now), backlog: Backlog::new(), heard: now }
    }

    pub(in crate::monitor) fn observe(
        &mut self,
        sample: &ActorSample,
        doubt: &Doubt,
        now: Instant,
        found: &mut Vec<Finding>,
    ) {
        self.heard = now;
        if let Some(edge) = self.standstill.observe(sample.handled, sample.waiting, doubt, now) {
            found.push((IncidentKind::ActorStuck { actor: sample.actor.clone() }, edge));
        }
        if let Some(edge) = self.backlog.observe(sample.handled, sample.waiting, doubt, now) {
            found.push((IncidentKind::ActorSlow { actor: sample.actor.clone() }, edge));
        }
    }
}
