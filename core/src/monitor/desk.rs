//! The desk: which incidents are open, and when those end that end by themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Instant;
use crate::incident::{Evidence, Incident, IncidentKind, Subject};
use crate::limits::INCIDENTS_MAX;

use super::Effect;

/// The open incidents: at most one per kind and subject.
#[derive(Debug)]
pub(super) struct Desk {
    next_id: u64,
    open: BTreeMap<IncidentKind, Incident>,
    /// Incidents that end by themselves when the time has come.
    ending: BTreeMap<u64, (Instant, IncidentKind)>,
    /// How often something was opened or closed.
    pub(super) changes: u64,
}

impl Desk {
    /// A desk that numbers from `next_id`, with what an earlier self left open.
    pub(super) fn new(next_id: u64, open: impl IntoIterator<Item = Incident>, now: Instant) -> Self {
        let open: BTreeMap<_, _> = open.into_iter().map(|i| (i.kind.clone(), i)).collect();
        // What an earlier self raised ends when a report says so; what nobody reports on ends by itself.
        let ends_alone =
            |kind: &IncidentKind| !matches!(kind, IncidentKind::LinkDown { .. } | IncidentKind::FewNeighbors);
        let ending = open
            .iter()
            .filter(|(kind, _)| ends_alone(kind))
            .map(|(kind, incident)| (incident.id, (now + ADOPTED_LIFE, kind.clone())))
            .collect();
        Self { next_id, open, ending, changes: 0 }
    }

    /// Opens an incident, or confirms one that is open; its number, unless there is no room.
    pub(super) fn raise(
        &mut self,
        kind: IncidentKind,
        evidence: Evidence,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) -> Option<u64> {
        if let Some(incident) = self.open.get(&kind) {
            // What is confirmed ends no more by itself.
            self.ending.remove(&incident.id);
            return Some(incident.id);
        }
        if self.open.len() >= INCIDENTS_MAX {
            return None;
        }
        let id = self.next_id;
        self.next_id += 1;
        self.changes += 1;
        let incident = Incident::new(id, kind.clone(), evidence, now);
        self.open.insert(kind, incident.clone());
        effects.push(Effect::Raise(incident));
        Some(id)
    }

    /// Opens an incident that ends by itself.
    pub(super) fn raise_for(
        &mut self,
        life: Duration,
        kind: IncidentKind,
        evidence: Evidence,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(id) = self.raise(kind.clone(), evidence, now, effects) {
            self.ending.insert(id, (now + life, kind));
        }
    }

    /// Closes an incident, if it is open.
    pub(super) fn clear(&mut self, kind: &IncidentKind, effects: &mut Vec<Effect>) {
        if let Some(incident) = self.open.remove(kind) {
            self.changes += 1;
            self.ending.remove(&incident.id);
            effects.push(Effect::Clear { incident: incident.id });
        }
    }

    /// Closes all incidents of a subject.
    pub(super) fn clear_all_of(&mut self, subject: &Subject, effects: &mut Vec<Effect>) {
        let kinds: Vec<IncidentKind> = self.open.keys().filter(|kind| kind.subject() == *subject).cloned().collect();
        kinds.iter().for_each(|kind| self.clear(kind, effects));
    }

    /// Whether there is one of this kind and subject.
    pub(super) fn is_open(&self, kind: &IncidentKind) -> bool {
        self.open.contains_key(kind)
    }

    /// All that are open.
    pub(super) fn all(&self) -> impl Iterator<Item = &Incident> {
        self.open.values()
    }

    /// Closes what ends by itself.
    pub(super) fn wake(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let over: Vec<IncidentKind> =
            self.ending.values().filter(|(at, _)| *at <= now).map(|(_, kind)| kind.clone()).collect();
        for kind in over {
            self.clear(&kind, effects);
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.ending.values().map(|(at, _)| *at).min()
    }
}

/// How long an adopted incident stays open that nobody reports on.
const ADOPTED_LIFE: Duration = Duration::from_secs(5);
