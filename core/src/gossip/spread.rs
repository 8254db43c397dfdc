//! Urgent records along the tree: what is pushed, announced, asked for and pruned.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Effect, Gossip};
use crate::broadcast;
use crate::limits::{PUSH_BYTES_MAX, PUSH_RECORDS_MAX};
use crate::record::{Body, ProvenRecord, SignedRecord};
use crate::wire::Control;
use crate::{Instant, ItemId, LinkId, PeerId, Verified};

/// What the tree wants sent, gathered while one input is handled, so that what belongs together travels together.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) effects: Vec<broadcast::Effect<PeerId, ItemId>>,
}

impl Gossip {
    pub(super) fn on_link_usable(
        &mut self,
        (peer, link): (PeerId, LinkId),
        rtt: Duration,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if self.repair.is_neighbor(&peer) {
            self.tree.set_rtt(peer, rtt);
        } else if self.tree.neighbor_up(peer, rtt).is_err() {
            // The table of peers is as large as the tree's, so there is room.
            return;
        }
        if self.repair.neighbor_up(peer, link, now) {
            self.greet(peer, now, effects);
        }
    }

    pub(super) fn on_link_unusable(&mut self, peer: PeerId, now: Instant) {
        self.repair.neighbor_down(&peer);
        self.talks.forget(&peer);
        self.tree.neighbor_down(peer, now, &mut self.outbox.effects);
    }

    /// Sends a record of this node's own on its way.
    pub(super) fn spread(&mut self, item: ItemId, now: Instant, effects: &mut Vec<Effect>) {
        self.tree.originate(item, now, &mut self.outbox.effects);
        self.hurry(None, item);
        self.send_out(effects);
    }

    /// Has a record that says whom somebody believes no more pushed to the other neighbors as well: the way along the tree
    /// may lead over just that one. There are few, and it is waited for.
    fn hurry(&mut self, from: Option<PeerId>, item: ItemId) {
        if !self.held.signed(&item).is_some_and(|proven| is_vote(proven)) {
            return;
        }
        let pushed = |effect: &broadcast::Effect<PeerId, ItemId>| match effect {
            broadcast::Effect::Push { to, messages } if messages.contains(&item) => Some(*to),
            _ => None,
        };
        let pushed: Vec<PeerId> = self.outbox.effects.iter().filter_map(pushed).chain(from).collect();
        let others = self.tree.neighbors().map(|(to, _)| to).filter(|to| !pushed.contains(to));
        let push = |to| broadcast::Effect::Push { to, messages: vec![item] };
        self.outbox.effects.extend(others.map(push));
    }

    pub(super) fn on_pushed(
        &mut self,
        from: PeerId,
        records: Vec<Verified<ProvenRecord>>,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        for record in records {
            let item = record.item;
            let fresh = self.learn(record, now, effects);
            self.tree.received(from, item, fresh, now, &mut self.outbox.effects);
            if fresh {
                self.hurry(Some(from), item);
            }
        }
    }

    pub(super) fn on_announced(&mut self, from: PeerId, items: &[ItemId], now: Instant) {
        let held = &self.held;
        // A neighbor's excess costs only its own announcements; anti-entropy brings what they were about.
        let _ = self.tree.announced(from, items, |item| held.knows(item), now);
    }

    pub(super) fn on_grafted(&mut self, from: PeerId, items: &[ItemId]) {
        let held = &self.held;
        let _ = self.tree.grafted(from, items, |item| held.signed(item).is_some(), &mut self.outbox.effects);
    }

    pub(super) fn on_pruned(&mut self, from: PeerId, now: Instant) {
        let _ = self.tree.pruned(from, now, &mut self.outbox.effects);
    }

    pub(super) fn wake_tree(&mut self, now: Instant) {
        self.tree.wake(now, &mut self.outbox.effects);
    }

    /// Turns what the tree wants into messages: all pushes to one neighbor together, and before them what makes it
    /// possible to read them right.
    pub(super) fn send_out(&mut self, effects: &mut Vec<Effect>) {
        let mut pushes: BTreeMap<PeerId, Vec<ItemId>> = BTreeMap::new();
        for effect in std::mem::take(&mut self.outbox.effects) {
            let (to, control) = match effect {
                broadcast::Effect::Push { to, messages } => {
                    pushes.entry(to).or_default().extend(messages);
                    continue;
                }
                broadcast::Effect::Announce { to, messages } => (to, Control::Announce(messages)),
                broadcast::Effect::Graft { to, messages } => (to, Control::Graft(messages)),
                broadcast::Effect::Prune { to } => (to, Control::Prune),
            };
            effects.push(Effect::Send { to, control });
        }
        for (to, items) in pushes {
            for part in self.in_messages(&items) {
                effects.push(Effect::Send { to, control: Control::Push(part) });
            }
        }
    }

    /// The records of these items in messages of bounded size: what says that nodes are well comes before what accuses
    /// them, so that a refutation is never behind the accusation that it answers.
    pub(super) fn in_messages(&self, items: &[ItemId]) -> Vec<Vec<SignedRecord>> {
        let mut records: Vec<_> = items.iter().filter_map(|item| self.held.signed(item)).collect();
        records.sort_by_key(|proven| accuses(proven));
        let (mut messages, mut bytes) = (Vec::new(), usize::MAX);
        for record in records {
            let size = record.signed.wire_bytes();
            bytes = bytes.saturating_add(size);
            let full = messages.last().is_none_or(|m: &Vec<SignedRecord>| m.len() == PUSH_RECORDS_MAX);
            if full || bytes > PUSH_BYTES_MAX {
                messages.push(Vec::new());
                bytes = size;
            }
            if let Some(message) = messages.last_mut() {
                message.push(record.signed.clone());
            }
        }
        messages
    }
}

fn is_vote(proven: &ProvenRecord) -> bool {
    matches!(&proven.record.body, Body::Judgments(body) if !body.distrusted.is_empty())
}

fn accuses(proven: &ProvenRecord) -> bool {
    let Body::Judgments(body) = &proven.record.body else { return false };
    [&body.silent, &body.failing, &body.distrusted].into_iter().any(|accused| !accused.is_empty())
}
