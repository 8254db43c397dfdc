//! Anti-entropy with the neighbors, and the knowledge that nothing is missing: the convergence detector.
//!
//! Neighbors tell each other their roots when a link comes up, a moment after something has changed, and now and then.
//! Whoever is told a root that differs from its own finds out what differs and mends it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Effect, Gossip};
use crate::reconcile::{self, Outcome, Reconciler};
use crate::record::ProvenRecord;
use crate::wire::Control;
use crate::{Instant, ItemId, LinkId, PeerId, Rejected, Verified};

/// The items held, and what each neighbor and this node know of each other's.
#[derive(Debug)]
pub(super) struct Repair {
    reconciler: Reconciler<PeerId>,
    /// The neighbors, and the link over which each is talked to.
    neighbors: BTreeMap<PeerId, LinkId>,
    /// When this node begins to greet by itself.
    begins: Instant,
    /// When the neighbors that do not hold the same are told the root again; `None` while all do.
    greet_at: Option<Instant>,
    greeted: Instant,
    next_round: Instant,
}

impl Repair {
    pub(super) fn new(begins: Instant, now: Instant) -> Self {
        let reconciler = Reconciler::default();
        let next_round = now + ROUND_EVERY;
        Self { reconciler, neighbors: BTreeMap::new(), begins, greet_at: None, greeted: now, next_round }
    }

    pub(super) fn root(&self) -> [u8; 32] {
        self.reconciler.items().peek_root()
    }

    pub(super) fn is_neighbor(&self, peer: &PeerId) -> bool {
        self.neighbors.contains_key(peer)
    }

    /// A neighbor's link is usable, or another one is; whether it is to be greeted at once. A node that has only just
    /// started waits a moment: its first neighbors may greet it, and the others have nothing to tell it then.
    ///
    /// What was under way on a link that another one replaced is lost, questions and answers alike, and nobody must wait
    /// for it: so the talk begins anew, and the neighbor is told so.
    pub(super) fn neighbor_up(&mut self, peer: PeerId, link: LinkId, now: Instant) -> bool {
        match self.neighbors.insert(peer, link) {
            Some(known) if known == link => return false,
            Some(_) => self.reconciler.forget(&peer),
            None => {}
        }
        let begun = now >= self.begins;
        if !begun {
            self.greet_at = Some(self.greet_at.map_or(self.begins, |at| at.min(self.begins)));
        }
        begun
    }

    pub(super) fn neighbor_down(&mut self, peer: &PeerId) {
        self.neighbors.remove(peer);
        self.reconciler.forget(peer);
    }

    /// An item took another's place, or is new.
    pub(super) fn changed(&mut self, replaced: Option<ItemId>, item: ItemId, now: Instant) {
        match replaced {
            Some(replaced) => self.reconciler.replace(&replaced, item),
            None => _ = self.reconciler.insert(item),
        }
        // Not at once: what is urgent is on its way along the tree, and will not be missing a moment later.
        let settled = (now + SETTLE).max(self.greeted + GREET_EVERY);
        self.greet_at.get_or_insert(settled);
    }

    /// What the neighbors gave was turned away for no fault of theirs: the talk with each of them begins anew, and soon.
    pub(super) fn begin_anew(&mut self, now: Instant) {
        self.neighbors.keys().for_each(|peer| self.reconciler.forget(peer));
        self.greet_at = Some(now.max(self.begins));
    }

    pub(super) fn dropped(&mut self, item: ItemId) {
        self.reconciler.remove(&item);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        Some(self.greet_at.map_or(self.next_round, |at| at.min(self.next_round)))
    }

    /// Whether a neighbor has told that it holds what this node holds.
    fn holds_what(&self, peer: &PeerId) -> bool {
        self.reconciler.told_by(peer) == Some(self.root())
    }

    /// The neighbors, and whether each holds what this node holds, as far as it has told.
    pub(super) fn neighbors(&self) -> Vec<(PeerId, bool)> {
        let root = self.root();
        self.neighbors.keys().map(|peer| (*peer, self.reconciler.told_by(peer) == Some(root))).collect()
    }
}

impl Gossip {
    /// Whether every neighbor with a usable link has told that it holds exactly what this node holds.
    pub fn is_converged(&self) -> bool {
        self.repair.neighbors().iter().all(|(_, in_sync)| *in_sync)
    }

    pub(super) fn greet(&mut self, peer: PeerId, now: Instant, effects: &mut Vec<Effect>) {
        if let Some(message) = self.repair.reconciler.greet(peer, now) {
            self.talks.with(peer).greeted = Some(now);
            effects.push(Effect::Send { to: peer, control: Control::Reconcile(message) });
        }
    }

    pub(super) fn repair_if_due(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.repair.greet_at.is_some_and(|at| at <= now) {
            let behind: Vec<PeerId> =
                self.repair.neighbors().into_iter().filter(|(_, in_sync)| !in_sync).map(|(peer, _)| peer).collect();
            self.repair.greeted = now;
            self.repair.greet_at = (!behind.is_empty()).then_some(now + self.rng.jitter(GREET_EVERY, 20));
            for peer in behind {
                self.greet(peer, now, effects);
            }
        }
        if self.repair.next_round <= now {
            self.repair.next_round = now + self.rng.jitter(ROUND_EVERY, 20);
            let neighbors: Vec<PeerId> = self.repair.neighbors.keys().copied().collect();
            if let Some(peer) = self.rng.pick(&neighbors).copied() {
                self.greet(peer, now, effects);
            }
        }
    }

    pub(super) fn on_reconcile(
        &mut self,
        from: PeerId,
        message: reconcile::Message,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let mut outcomes = Vec::new();
        let is_neighbor = self.repair.is_neighbor(&from);
        if is_neighbor {
            let talk = self.talks.with(from);
            talk.heard = Some(now);
            talk.note(&message);
            if let reconcile::Message::Summary { items, .. } = message {
                talk.held_there = Some(items);
            }
        }
        // An answer that came too late, or more than is allowed, can be an honest neighbor's; nonsense cannot.
        if self.repair.reconciler.on_message(from, message, now, &mut outcomes) == Err(Rejected::Malformed) {
            self.on_rejected(from, Rejected::Inconsistent, now, effects);
        }
        if self.repair.holds_what(&from) {
            self.members.inform(now);
            if is_neighbor {
                self.talks.with(from).agreed = Some(now);
            }
        }
        for outcome in outcomes {
            match outcome {
                Outcome::Send { to, message } => {
                    if is_neighbor {
                        self.talks.with(from).note(&message);
                    }
                    effects.push(Effect::Send { to, control: Control::Reconcile(message) });
                }
                Outcome::Give { to, items } => {
                    if is_neighbor {
                        self.talks.with(from).given += items.len() as u64;
                    }
                    for part in self.in_messages(&items) {
                        effects.push(Effect::Send { to, control: Control::Give(part) });
                    }
                }
            }
        }
    }

    /// Records that a neighbor gave because they were missing here. They may be old, so they are announced, not pushed.
    pub(super) fn on_given(
        &mut self,
        from: PeerId,
        records: Vec<Verified<ProvenRecord>>,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        for record in records {
            let item = record.item;
            if self.learn(record, now, effects) {
                if self.repair.is_neighbor(&from) {
                    self.talks.with(from).taken += 1;
                }
                self.tree.obtained(from, item, now, &mut self.outbox.effects);
            }
        }
    }
}

/// How long after a change the neighbors are told the root.
const SETTLE: Duration = Duration::from_millis(500);
/// Least time between two such rounds.
const GREET_EVERY: Duration = Duration::from_secs(2);
/// Time between two greetings of a neighbor drawn at random, whatever is known of it.
const ROUND_EVERY: Duration = Duration::from_secs(10);
