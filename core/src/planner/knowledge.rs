//! What worked before: how often each step was tried and helped, for each kind of incident.

use std::collections::BTreeMap;

use crate::incident::{IncidentKind, Outcome};

/// Times tried and times helped, by kind of incident and step.
#[derive(Debug, Default)]
pub(super) struct Knowledge {
    outcomes: BTreeMap<(String, String), (u32, u32)>,
}

impl Knowledge {
    /// Learns from an outcome. What could not be done at all teaches nothing.
    pub(super) fn learn(&mut self, outcome: Outcome) {
        let key = (outcome.kind, outcome.step);
        let is_new = !self.outcomes.contains_key(&key);
        if outcome.refused.is_some() || (is_new && self.outcomes.len() >= KNOWN_MAX) {
            return;
        }
        let entry = self.outcomes.entry(key).or_default();
        // Old experience fades: what helped last year need not help today.
        if entry.0 >= EXPERIENCE_MAX {
            *entry = (entry.0 / 2, entry.1 / 2);
        }
        *entry = (entry.0 + 1, entry.1 + u32::from(outcome.helped));
    }

    /// How often a step was tried for a kind of incident, and how often it helped.
    pub(super) fn of(&self, kind: &IncidentKind, step: &str) -> (u32, u32) {
        self.outcomes.get(&(kind.name().to_owned(), step.to_owned())).copied().unwrap_or_default()
    }
}

/// Tries after which experience is halved.
const EXPERIENCE_MAX: u32 = 64;
/// Most pairs of kind and step; there are fewer, unless a store of another version names others.
const KNOWN_MAX: usize = 512;
