//! The budget: how much may be repaired at once, so that the cure is not worse than the disease.

use std::collections::BTreeSet;

use crate::PeerId;
use crate::incident::{Candidate, Step, Withheld};
use crate::limits::{QUARANTINED_PERCENT_MAX, RECORDS_MAX};
use crate::membership::quorum::Quorum;

/// What the mesh can bear.
#[derive(Debug, Default)]
pub(super) struct Budget {
    known: BTreeSet<PeerId>,
    quorum: Quorum,
    quarantined: BTreeSet<PeerId>,
    /// The incidents for which something risky is under way.
    risky: BTreeSet<u64>,
}

impl Budget {
    /// A node made itself known, or is no longer known.
    pub(super) fn set_known(&mut self, peer: PeerId, known: bool) {
        if known && self.known.len() < RECORDS_MAX {
            self.known.insert(peer);
        } else if !known {
            self.known.remove(&peer);
        }
    }

    /// How many of the mesh are within reach.
    pub(super) fn set_quorum(&mut self, quorum: Quorum) {
        self.quorum = quorum;
    }

    /// Whether this candidate may be tried now for that incident.
    pub(super) fn allows(&self, candidate: &Candidate, incident: u64) -> Result<(), Withheld> {
        if !candidate.steps.iter().any(Step::is_risky) {
            return Ok(());
        }
        if self.risky.iter().any(|other| *other != incident) {
            return Err(Withheld::OneAtATime);
        }
        for step in &candidate.steps {
            if let Step::Quarantine { peer } = step {
                self.allows_quarantine(peer)?;
            }
        }
        Ok(())
    }

    /// A plan begins.
    pub(super) fn begin(&mut self, incident: u64, candidates: &[Candidate]) {
        let mut steps = candidates.iter().flat_map(|candidate| &candidate.steps);
        if steps.any(Step::is_risky) {
            self.risky.insert(incident);
        }
    }

    /// Nothing is under way for an incident any more.
    pub(super) fn end(&mut self, incident: u64) {
        self.risky.remove(&incident);
    }

    /// A node is dealt with no more, or again.
    pub(super) fn set_quarantined(&mut self, peer: PeerId, quarantined: bool) {
        if !quarantined {
            self.quarantined.remove(&peer);
        } else if self.quarantined.len() < RECORDS_MAX {
            self.quarantined.insert(peer);
        }
    }

    fn allows_quarantine(&self, peer: &PeerId) -> Result<(), Withheld> {
        let mut after = self.quarantined.clone();
        after.insert(*peer);
        // This node counts, too.
        let known = (self.known.len() + 1).max(self.quorum.known);
        if after.len() * 100 > known * QUARANTINED_PERCENT_MAX {
            return Err(Withheld::Share);
        }
        // As far as the last word on it goes, everybody is within reach who was not counted out.
        let out_of_reach = self.quorum.known.saturating_sub(self.quorum.reachable);
        let left = known.saturating_sub(out_of_reach + after.len());
        if !self.quorum.has_quorum || left * 2 <= known {
            return Err(Withheld::Quorum);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(i: usize) -> PeerId {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(i as u64).to_le_bytes());
        PeerId::from_public_key(key)
    }

    fn quarantine(peer: PeerId) -> Candidate {
        Candidate { steps: vec![Step::Quarantine { peer }], tried: 0, helped: 0, cost: 0, risk: 0 }
    }

    #[test]
    fn a_small_mesh_quarantines_nobody() {
        let mut budget = Budget::default();
        (0..4).for_each(|i| budget.set_known(id(i), true));
        assert_eq!(budget.allows(&quarantine(id(0)), 1), Err(Withheld::Share));
    }

    #[test]
    fn one_risky_repair_at_a_time() {
        let mut budget = Budget::default();
        (0..100).for_each(|i| budget.set_known(id(i), true));
        assert_eq!(budget.allows(&quarantine(id(0)), 1), Ok(()));
        budget.begin(1, &[quarantine(id(0))]);
        assert_eq!(budget.allows(&quarantine(id(1)), 2), Err(Withheld::OneAtATime));
        budget.end(1);
        assert_eq!(budget.allows(&quarantine(id(1)), 2), Ok(()));
    }

    proptest! {
        #[test]
        fn the_quarantined_never_exceed_their_share_nor_cost_the_quorum(
            nodes in 1usize..200, unreachable in 0usize..100, wanted in proptest::collection::vec(0usize..200, 0..60),
        ) {
            let mut budget = Budget::default();
            (1..nodes).for_each(|i| budget.set_known(id(i), true));
            let reachable = nodes.saturating_sub(unreachable).max(1);
            budget.set_quorum(Quorum { reachable, known: nodes, has_quorum: reachable * 2 > nodes });
            for peer in wanted {
                if budget.allows(&quarantine(id(peer)), 1).is_ok() {
                    budget.set_quarantined(id(peer), true);
                }
            }
            let quarantined = budget.quarantined.len();
            prop_assert!(quarantined * 100 <= nodes * QUARANTINED_PERCENT_MAX);
            prop_assert!(quarantined == 0 || (reachable - quarantined) * 2 > nodes);
        }
    }
}
