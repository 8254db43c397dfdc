//! The paths to one destination under watch.

use std::time::Duration;

use crate::Instant;
use crate::PeerId;
use crate::incident::{Evidence, IncidentKind};
use crate::monitor::detectors::{Doubt, Edge, PayloadGap};
use crate::monitor::ring::Ring;
use crate::monitor::sample::PathSample;

use super::Finding;

/// Whether payload arrives, and how often it changes its path.
#[derive(Debug)]
pub(in crate::monitor) struct PathWatch {
    destination: PeerId,
    gap: PayloadGap,
    switches: Ring<Instant>,
    churns: bool,
    /// Whether no path works: then nobody wonders about the payload.
    lost: bool,
}

impl PathWatch {
    pub(in crate::monitor) fn new(destination: PeerId) -> Self {
        Self { destination, gap: PayloadGap::new(), switches: Ring::new(CHURN_SWITCHES), churns: false, lost: false }
    }

    /// No path works, or one does again.
    pub(in crate::monitor) fn set_lost(&mut self, lost: bool) {
        self.lost = lost;
        self.gap.restart();
    }

    /// Traffic moved, for no good reason or for one.
    pub(in crate::monitor) fn on_switched(&mut self, now: Instant, found: &mut Vec<Finding>) {
        self.gap.restart();
        self.switches.push(now);
        let Some(first) = self.switches.oldest() else { return };
        let within = now.since(*first);
        if self.switches.is_full() && within <= CHURN_WITHIN && !self.churns {
            self.churns = true;
            let evidence = Evidence::Churn { switches: self.switches.len(), within };
            found.push((IncidentKind::PathChurn { destination: self.destination }, Edge::Wrong(evidence)));
        }
    }

    pub(in crate::monitor) fn observe(
        &mut self,
        sample: &PathSample,
        doubt: &Doubt,
        now: Instant,
        found: &mut Vec<Finding>,
    ) {
        if self.lost {
            return;
        }
        let edge = self.gap.observe(sample.sent, sample.lost, sample.acknowledged, doubt, now);
        found.extend(edge.map(|v| (IncidentKind::PayloadLost { destination: self.destination }, v)));
    }

    pub(in crate::monitor) fn wake(&mut self, now: Instant, found: &mut Vec<Finding>) {
        if self.deadline().is_some_and(|at| at <= now) {
            self.churns = false;
            self.switches.clear();
            found.push((IncidentKind::PathChurn { destination: self.destination }, Edge::Well));
        }
    }

    pub(in crate::monitor) fn deadline(&self) -> Option<Instant> {
        let last = self.switches.newest().filter(|_| self.churns)?;
        Some(*last + CHURN_OVER)
    }
}

/// So many switches within so long are churn.
const CHURN_SWITCHES: usize = 6;
const CHURN_WITHIN: Duration = Duration::from_secs(10);
/// How long after the last switch it is over.
const CHURN_OVER: Duration = Duration::from_secs(5);
