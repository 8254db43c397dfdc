//! The review: when the open incidents are analyzed, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::Instant;
use crate::analysis::{Cause, Root, Symptom, Topology, explain};
use crate::incident::{Evidence, IncidentKind};

use super::Effect;
use super::desk::Desk;

/// What was found out about the open incidents.
#[derive(Debug)]
pub(super) struct Review {
    at: Option<Instant>,
    /// The desk's changes that the last review saw.
    seen: u64,
    /// The root that each explained incident was last said to follow from.
    roots: BTreeMap<u64, u64>,
    /// Incidents that only this review opened, each with what it stands for.
    inferred: BTreeMap<IncidentKind, BTreeSet<u64>>,
}

impl Review {
    /// Nothing is explained yet. What an earlier self inferred is inferred again, or ends by itself.
    pub(super) fn new(desk: &Desk, now: Instant) -> Self {
        let at = desk.all().nth(1).map(|_| now + SETTLE);
        Self { at, seen: desk.changes, roots: BTreeMap::new(), inferred: BTreeMap::new() }
    }

    /// Something that analysis looks at has changed. What is alone has nothing in common with anything.
    pub(super) fn want(&mut self, desk: &Desk, now: Instant) {
        if desk.all().nth(1).is_some() {
            self.at.get_or_insert(now + SETTLE);
        }
    }

    /// The same, even if nothing is open but what was inferred: it may not hold any more.
    pub(super) fn doubt(&mut self, now: Instant) {
        if !self.inferred.is_empty() {
            self.at.get_or_insert(now + SETTLE);
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.at
    }

    /// Closes what was inferred from incidents that are over, and analyzes the others if it is time.
    pub(super) fn run(&mut self, desk: &mut Desk, topology: &Topology, now: Instant, effects: &mut Vec<Effect>) {
        if desk.changes != self.seen {
            self.close_finished(desk, topology, effects);
            self.seen = desk.changes;
            self.want(desk, now);
        }
        if self.at.is_none_or(|at| at > now) {
            return;
        }
        self.at = None;
        // What was inferred is a conclusion, not a symptom; and where another neighbor would be better, nothing is broken.
        let is_choice = |kind: &IncidentKind| matches!(kind, IncidentKind::FarNeighbor { .. });
        let open =
            desk.all().filter(|incident| !self.inferred.contains_key(&incident.kind) && !is_choice(&incident.kind));
        let symptoms: Vec<Symptom> = open.map(|incident| Symptom::of(incident, topology)).collect();
        let causes = if symptoms.len() < 2 { Vec::new() } else { explain(&symptoms, topology, now) };
        self.close_refuted(&causes, topology, desk, effects);
        for cause in causes {
            self.tell(cause, desk, now, effects);
        }
        self.seen = desk.changes;
    }

    /// What nothing speaks for any more is over, whatever became of its consequences: a host with links is not cut off,
    /// although one of its paths may stay lost.
    fn close_refuted(&mut self, causes: &[Cause], topology: &Topology, desk: &mut Desk, effects: &mut Vec<Effect>) {
        let is_refuted = |kind: &&IncidentKind| {
            !holds_anyway(kind, topology)
                && !causes.iter().any(|cause| matches!(&cause.root, Root::Inferred(inferred) if inferred == *kind))
        };
        let refuted: Vec<IncidentKind> = self.inferred.keys().filter(is_refuted).cloned().collect();
        for kind in refuted {
            self.inferred.remove(&kind);
            desk.clear(&kind, effects);
        }
    }

    fn tell(&mut self, cause: Cause, desk: &mut Desk, now: Instant, effects: &mut Vec<Effect>) {
        let root = match cause.root {
            Root::Open(id) => id,
            Root::Inferred(kind) => {
                let evidence = Evidence::Explains { hits: cause.hits, of: cause.of };
                let Some(id) = desk.raise(kind.clone(), evidence, now, effects) else { return };
                self.inferred.entry(kind).or_default().extend(&cause.children);
                id
            }
        };
        for incident in cause.children {
            if self.roots.insert(incident, root) != Some(root) {
                effects.push(Effect::Explain { incident, root, culprit: cause.culprit.clone() });
            }
        }
    }

    /// An inferred incident lasts no longer than what it stands for.
    fn close_finished(&mut self, desk: &mut Desk, topology: &Topology, effects: &mut Vec<Effect>) {
        let open: BTreeSet<u64> = desk.all().map(|incident| incident.id).collect();
        self.roots.retain(|incident, _| open.contains(incident));
        for children in self.inferred.values_mut() {
            children.retain(|child| open.contains(child));
        }
        let over: Vec<IncidentKind> = self
            .inferred
            .iter()
            .filter(|(kind, children)| children.is_empty() && !holds_anyway(kind, topology))
            .map(|(kind, _)| kind.clone())
            .collect();
        for kind in over {
            self.inferred.remove(&kind);
            desk.clear(&kind, effects);
        }
    }
}

/// Whether something is seen to hold, whatever became of what it was concluded from: who has left the neighbors that it
/// had lost, and has no other yet, is still cut off.
fn holds_anyway(kind: &IncidentKind, topology: &Topology) -> bool {
    *kind == IncidentKind::CutOff && topology.is_alone()
}

/// How long after a change the open incidents are reviewed: what has one cause is not noticed at one moment.
const SETTLE: Duration = Duration::from_millis(200);
