//! Who has seen the heads of this node's ledger, and saying so of the heads of neighbors.

use std::collections::BTreeMap;

use super::{Effect, Keeper};
use crate::PeerId;
use crate::ledger::{Cosignature, Message, SignedHead};
use crate::limits::NEIGHBORS_MAX;

/// The newest two heads that were published, the newest last, and who has signed that they were seen. Of a head that was
/// published only just now nobody can have said so yet.
#[derive(Debug, Default)]
pub(super) struct Seen {
    heads: Vec<(SignedHead, BTreeMap<PeerId, Cosignature>)>,
}

impl Seen {
    /// Another head is published.
    pub(super) fn begin(&mut self, head: SignedHead) {
        if self.heads.len() == HEADS_KEPT {
            self.heads.remove(0);
        }
        self.heads.push((head, BTreeMap::new()));
    }

    /// A neighbor says that it has seen one of them. Of any other head it is no news, and what it did not sign, it did not
    /// say.
    pub(super) fn hear(&mut self, from: PeerId, seen: Cosignature) {
        if seen.witness != from {
            return;
        }
        for (head, by) in &mut self.heads {
            if by.len() < NEIGHBORS_MAX && seen.size == head.head.size && seen.verify(&head.head).is_ok() {
                by.insert(from, seen);
                return;
            }
        }
    }
}

impl Keeper {
    /// A published head that covers the entry with this number, and who has seen it: the newest that somebody has seen, or
    /// else the newest. `None`: none covers it yet.
    pub fn seen(&self, index: u64) -> Option<(&SignedHead, Vec<Cosignature>)> {
        let covering = || self.seen.heads.iter().rev().filter(|(head, _)| head.head.size > index);
        let (head, by) = covering().find(|(_, by)| !by.is_empty()).or_else(|| covering().next())?;
        Some((head, by.values().cloned().collect()))
    }

    /// Tells a neighbor which head of its ledger is the newest that continues all that was heard before.
    pub(super) fn confirm(&mut self, ledger: PeerId, effects: &mut Vec<Effect>) {
        if !self.neighbors.contains(&ledger) {
            return;
        }
        let Some(proven) = self.witness.proven(&ledger) else { return };
        let seen = Cosignature::sign(&proven.head, &mut self.signer);
        effects.extend(seen.map(|seen| Effect::Send { to: ledger, message: Message::Seen(seen) }));
    }
}

/// How many heads are remembered with who has seen them.
const HEADS_KEPT: usize = 2;
