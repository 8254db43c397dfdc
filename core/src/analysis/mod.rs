//! Analysis: what several incidents have in common, and which part is to blame.
//!
//! Ten lost links on one host are one incident of that host. Every open incident implicates the parts of the mesh, or of
//! this node, that would explain it; a part of which (nearly) everything that depends on it is in trouble is a likely
//! cause, and of the likely causes the one that explains most is taken first, again and again, until nothing is left that
//! two incidents share. That is the greedy set cover of SCORE (Kompella et al., "IP fault localization via risk modeling",
//! NSDI 2005), whose risk groups are [`Subject`]s here: its hit ratio asks that the part be sick as a whole, its coverage
//! prefers one cause to many. Of two that explain the same, the more particular one is taken.
//!
//! All of it is pure: open incidents and the topology in, causes out.

mod causes;
mod topology;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::incident::{Evidence, Incident, IncidentKind, Subject};
use crate::pathfinder::SwitchCause;
use crate::{Instant, PeerId};

pub use topology::Topology;

/// One open incident, as far as analysis needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Symptom {
    /// The incident's number.
    pub incident: u64,
    /// What is wrong.
    pub kind: IncidentKind,
    /// What was seen.
    pub evidence: Evidence,
    /// Since when.
    pub opened: Instant,
    /// For an incident of a path: the relays of the path that failed.
    pub relays: Vec<PeerId>,
}

impl Symptom {
    /// An incident as a symptom. Where its evidence does not name the path that failed, it is the one known last.
    pub fn of(incident: &Incident, topology: &Topology) -> Self {
        let relays = match (&incident.evidence, &incident.kind) {
            (Evidence::Switched { from, .. }, _) => from.clone(),
            (_, IncidentKind::PathLost { destination } | IncidentKind::PayloadLost { destination }) => {
                topology.relays(destination).to_vec()
            }
            _ => Vec::new(),
        };
        let (kind, evidence) = (incident.kind.clone(), incident.evidence.clone());
        Self { incident: incident.id, kind, evidence, opened: incident.opened, relays }
    }

    /// The destination of the path that failed, if it is a path that failed.
    fn failed_path(&self) -> Option<PeerId> {
        // Who moves to a better path has not lost the other.
        if matches!(self.evidence, Evidence::Switched { why: SwitchCause::Better, .. }) {
            return None;
        }
        match self.kind {
            IncidentKind::PathSwitched { destination }
            | IncidentKind::PathLost { destination }
            | IncidentKind::PayloadLost { destination } => Some(destination),
            _ => None,
        }
    }

    /// The neighbor over whose link that path left.
    fn first_hop(&self) -> Option<PeerId> {
        let destination = self.failed_path()?;
        Some(self.relays.first().copied().unwrap_or(destination))
    }

    /// The neighbor to whom the link is lost, if it is that.
    fn lost_link(&self) -> Option<PeerId> {
        match self.kind {
            IncidentKind::LinkDown { peer } | IncidentKind::LinkOneWay { peer } => Some(peer),
            _ => None,
        }
    }
}

/// What is behind a cause.
#[derive(Clone, Debug, PartialEq)]
pub enum Root {
    /// An incident that is open already.
    Open(u64),
    /// One that only the view of all together shows, and that is to be opened.
    Inferred(IncidentKind),
}

/// One cause, and what it explains.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// The part to blame.
    pub culprit: Subject,
    /// The incident that stands for it.
    pub root: Root,
    /// The incidents that follow from it, the root not among them.
    pub children: BTreeSet<u64>,
    /// Of the things that depend on the culprit, how many are in trouble.
    pub hits: usize,
    /// How many things depend on it.
    pub of: usize,
}

/// The causes of what is open now, the one that explains most first. Every incident is a child of at most one of them.
pub fn explain(symptoms: &[Symptom], topology: &Topology, now: Instant) -> Vec<Cause> {
    let mut candidates = causes::candidates(symptoms, topology, now);
    let mut explained = BTreeSet::new();
    let mut causes = Vec::new();
    loop {
        for candidate in &mut candidates {
            candidate.children.retain(|child| !explained.contains(child));
        }
        candidates.retain(|candidate| candidate.children.len() >= least(&candidate.root));
        let best = (0..candidates.len()).min_by_key(|i| {
            let candidate = &candidates[*i];
            (std::cmp::Reverse(candidate.children.len()), &candidate.culprit)
        });
        let Some(best) = best else { return causes };
        let cause = candidates.swap_remove(best);
        explained.extend(cause.children.iter().copied());
        causes.push(cause);
    }
}

/// What an incident that is only inferred must at least explain: one symptom is its own incident.
const fn least(root: &Root) -> usize {
    match root {
        Root::Open(_) => 1,
        Root::Inferred(_) => 2,
    }
}

/// How long before the incident that stands for its cause a consequence may have been noticed: detectors differ.
pub const SLACK: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
