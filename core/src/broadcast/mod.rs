//! Dissemination of urgent records along a low-redundancy tree.
//!
//! After Leitão, Pereira and Rodrigues, "Epidemic Broadcast Trees" (SRDS 2007), called Plumtree. Every neighbor is
//! *eager* (it is pushed what is new) or *lazy* (it is told that there is something new). A copy too many makes the
//! link that it came over lazy, so the eager links become a tree; an announcement that no push follows is answered with
//! a graft, which makes that link eager again, so the tree heals where it is needed. A graft waits for a few round trips
//! only: so an announcement that is ahead of the push by more than that moves the tree to the faster way, as the paper's
//! optimization of the tree does, but by time instead of by hop counts.
//!
//! It hears of neighbors and of their messages, and asks for messages to be sent. It never holds a message, only its
//! name: what is held is known by the caller. Invariant: a node with neighbors has an eager one, and every neighbor of a
//! node that has a message was pushed it, was told of it, or said itself that it has it.
//!
//! Messages are expected to travel over ordered, reliable streams, so nothing is repeated here; a link that broke and
//! came back is for anti-entropy to mend.

mod missing;
mod neighbors;

use std::time::Duration;

use serde::Serialize;

use crate::limits::{ANNOUNCEMENTS_OWED_MAX, BROADCAST_IDS_MAX, PUSH_RECORDS_MAX};
use crate::{Instant, Rejected};
use missing::Missing;
use neighbors::Neighbors;

/// What the machine may ask for. `P` names a neighbor, `M` a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Effect<P, M> {
    /// Send these messages themselves; at most [`PUSH_RECORDS_MAX`]. A neighbor that has one already answers with a
    /// prune.
    Push {
        /// Whom.
        to: P,
        /// Which messages.
        messages: Vec<M>,
    },
    /// Say that these messages are held here; at most [`BROADCAST_IDS_MAX`]. A neighbor that goes without one for too
    /// long answers with a graft.
    Announce {
        /// Whom.
        to: P,
        /// Which messages.
        messages: Vec<M>,
    },
    /// Ask for these messages and to be pushed whatever comes; at most [`BROADCAST_IDS_MAX`], and none at all when only
    /// the latter is wanted. Comes back as a push.
    Graft {
        /// Whom.
        to: P,
        /// Which messages.
        messages: Vec<M>,
    },
    /// Ask to be told of messages from now on, and not to be pushed them; nothing comes back.
    Prune {
        /// Whom.
        to: P,
    },
}

/// The machine: one node's part of every tree.
#[derive(Clone, Debug)]
pub struct Broadcast<P, M> {
    neighbors: Neighbors<P>,
    missing: Missing<P, M>,
    owed: Vec<(P, M)>,
    announce_at: Instant,
    may_promote_at: Instant,
}

impl<P: Copy + Ord, M: Copy + Ord> Default for Broadcast<P, M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Copy + Ord, M: Copy + Ord> Broadcast<P, M> {
    /// A node without neighbors.
    pub const fn new() -> Self {
        Self {
            neighbors: Neighbors::new(),
            missing: Missing::new(),
            owed: Vec::new(),
            announce_at: Instant::BOOT,
            may_promote_at: Instant::BOOT,
        }
    }

    /// A link to `peer` is usable, and a round trip over it takes `rtt`. It begins as eager: a copy too many will tell if
    /// it need not be. What was held before it came up is not announced to it.
    ///
    /// # Errors
    /// [`Rejected::OverLimit`] beyond [`NEIGHBORS_MAX`](crate::limits::NEIGHBORS_MAX): nothing has changed.
    pub fn neighbor_up(&mut self, peer: P, rtt: Duration) -> Result<(), Rejected> {
        self.neighbors.insert(peer, rtt)
    }

    /// What a round trip to `peer` takes now; nothing happens if it is no neighbor.
    pub fn set_rtt(&mut self, peer: P, rtt: Duration) {
        self.neighbors.set_rtt(peer, rtt);
    }

    /// The link to `peer` is not usable any more. If it was eager, a lazy one takes its place at once, and what only
    /// `peer` had announced is given up.
    pub fn neighbor_down(&mut self, peer: P, now: Instant, effects: &mut Vec<Effect<P, M>>) {
        let Some(was_eager) = self.neighbors.remove(peer) else { return };
        self.owed.retain(|(to, _)| *to != peer);
        self.missing.forget_announcer(peer, now);
        if was_eager {
            self.promote_other_than(peer, effects);
        }
    }

    /// This node has something new to say.
    pub fn originate(&mut self, message: M, now: Instant, effects: &mut Vec<Effect<P, M>>) {
        let holders = self.missing.remove(message);
        self.spread(message, None, &holders, now, effects);
    }

    /// This node got a message by anti-entropy, from a neighbor that found it missing here. It may be old and many may have
    /// it, so it is announced to the others and pushed to nobody.
    pub fn obtained(&mut self, from: P, message: M, now: Instant, effects: &mut Vec<Effect<P, M>>) {
        let mut holders = self.missing.remove(message);
        holders.push(from);
        self.make_room(now, effects);
        let others = self.neighbors.iter().map(|(to, _)| to).filter(|to| !holders.contains(to));
        self.owed.extend(others.map(|to| (to, message)));
    }

    /// A neighbor pushed a message. `fresh`: it was not held before, it was found good, and it is held now.
    pub fn received(&mut self, from: P, message: M, fresh: bool, now: Instant, effects: &mut Vec<Effect<P, M>>) {
        let holders = self.missing.remove(message);
        if fresh {
            self.neighbors.delivered(from);
            self.spread(message, Some(from), &holders, now, effects);
            return;
        }
        self.owed.retain(|owed| *owed != (from, message));
        if self.neighbors.make_lazy(from) {
            effects.push(Effect::Prune { to: from });
        }
    }

    /// A neighbor says that it holds `messages`; `held` tells which of them are held here.
    ///
    /// # Errors
    /// [`Rejected::Unauthorized`] from a stranger and [`Rejected::OverLimit`] for more than [`BROADCAST_IDS_MAX`] names:
    /// nothing has changed. [`Rejected::OverLimit`] also if more are missing of this neighbor's than may be: its oldest
    /// announcements made room, those of others are untouched.
    pub fn announced(
        &mut self,
        from: P,
        messages: &[M],
        held: impl Fn(&M) -> bool,
        now: Instant,
    ) -> Result<(), Rejected> {
        self.check(from, messages)?;
        let due = now + self.neighbors.patience() + GRAFT_MARGIN;
        let (known, unknown): (Vec<M>, Vec<M>) = messages.iter().partition(|message| held(message));
        if !known.is_empty() {
            self.owed.retain(|(to, message)| *to != from || !known.contains(message));
        }
        if self.missing.announced(&unknown, from, now, due) { Err(Rejected::OverLimit) } else { Ok(()) }
    }

    /// A neighbor asks for `messages` and for whatever comes; `held` tells which of them are held here. What is not held
    /// is passed over.
    ///
    /// # Errors
    /// [`Rejected::Unauthorized`] from a stranger and [`Rejected::OverLimit`] for more than [`BROADCAST_IDS_MAX`] names:
    /// nothing has changed.
    pub fn grafted(
        &mut self,
        from: P,
        messages: &[M],
        held: impl Fn(&M) -> bool,
        effects: &mut Vec<Effect<P, M>>,
    ) -> Result<(), Rejected> {
        self.check(from, messages)?;
        self.neighbors.make_eager(from);
        self.owed.retain(|(to, message)| *to != from || !messages.contains(message));
        let wanted: Vec<M> = messages.iter().copied().filter(held).collect();
        for part in wanted.chunks(PUSH_RECORDS_MAX) {
            effects.push(Effect::Push { to: from, messages: part.to_vec() });
        }
        Ok(())
    }

    /// A neighbor asks not to be pushed messages. If it was the last eager one, a lazy one takes its place; without any,
    /// or if that happened a moment ago, it stays eager.
    ///
    /// # Errors
    /// [`Rejected::Unauthorized`] from a stranger.
    pub fn pruned(&mut self, from: P, now: Instant, effects: &mut Vec<Effect<P, M>>) -> Result<(), Rejected> {
        self.check(from, &[])?;
        if self.neighbors.make_lazy(from) || now < self.may_promote_at {
            return Ok(());
        }
        self.neighbors.disappointed(from);
        if self.promote_other_than(from, effects) {
            self.may_promote_at = now + PROMOTE_EVERY;
            self.neighbors.make_lazy(from);
        }
        Ok(())
    }

    /// Does what is due.
    pub fn wake(&mut self, now: Instant, effects: &mut Vec<Effect<P, M>>) {
        if self.announce_at <= now {
            self.announce(effects);
        }
        let due = self.missing.take_due(now, &mut self.neighbors);
        in_groups(due, |to, messages| effects.push(Effect::Graft { to, messages }));
    }

    /// When [`wake`](Self::wake) wants to be called; an earlier call is harmless.
    pub fn deadline(&self) -> Option<Instant> {
        let announce = (!self.owed.is_empty()).then_some(self.announce_at);
        announce.into_iter().chain(self.missing.next_due()).min()
    }

    /// Every neighbor in order, and whether it is eager.
    pub fn neighbors(&self) -> impl Iterator<Item = (P, bool)> {
        self.neighbors.iter()
    }

    /// How many messages were announced and have not come.
    pub fn missing(&self) -> usize {
        self.missing.len()
    }

    /// What this machine takes up in memory, in bytes, without what an allocator adds.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.neighbors.heap_bytes()
            + self.missing.heap_bytes()
            + self.owed.capacity() * size_of::<(P, M)>()
    }

    /// Passes a message on: to every neighbor but the one that it came from and those that said that they have it.
    fn spread(&mut self, message: M, from: Option<P>, holders: &[P], now: Instant, effects: &mut Vec<Effect<P, M>>) {
        self.make_room(now, effects);
        for (to, eager) in self.neighbors.iter() {
            if Some(to) == from || holders.contains(&to) {
                continue;
            }
            if eager {
                effects.push(Effect::Push { to, messages: vec![message] });
            } else {
                self.owed.push((to, message));
            }
        }
    }

    /// Makes room for announcements of one more message.
    fn make_room(&mut self, now: Instant, effects: &mut Vec<Effect<P, M>>) {
        if self.owed.len() + self.neighbors.len() > ANNOUNCEMENTS_OWED_MAX {
            self.announce(effects);
        }
        if self.owed.is_empty() {
            self.announce_at = now + ANNOUNCE_EVERY;
        }
    }

    /// Says what is owed. The memory goes back: a node at rest owes nothing.
    fn announce(&mut self, effects: &mut Vec<Effect<P, M>>) {
        let owed = std::mem::take(&mut self.owed);
        in_groups(owed, |to, messages| effects.push(Effect::Announce { to, messages }));
    }

    /// Makes the best lazy neighbor but `other` eager, and asks it to do the same; whether there is one.
    fn promote_other_than(&mut self, other: P, effects: &mut Vec<Effect<P, M>>) -> bool {
        let Some(to) = self.neighbors.best_lazy(other) else { return false };
        self.neighbors.make_eager(to);
        effects.push(Effect::Graft { to, messages: Vec::new() });
        true
    }

    fn check(&self, from: P, messages: &[M]) -> Result<(), Rejected> {
        if !self.neighbors.contains(from) {
            return Err(Rejected::Unauthorized);
        }
        if messages.len() > BROADCAST_IDS_MAX { Err(Rejected::OverLimit) } else { Ok(()) }
    }
}

/// Hands out what is for one neighbor together, in parts that fit a message.
fn in_groups<P: Copy + Ord, M: Copy + Ord>(mut pairs: Vec<(P, M)>, mut hand_out: impl FnMut(P, Vec<M>)) {
    pairs.sort_unstable();
    for group in pairs.chunk_by(|a, b| a.0 == b.0) {
        for part in group.chunks(BROADCAST_IDS_MAX) {
            hand_out(part[0].0, part.iter().map(|(_, message)| *message).collect());
        }
    }
}

/// How long announcements are collected: a push over an eager link that takes less makes them unnecessary.
const ANNOUNCE_EVERY: Duration = Duration::from_millis(5);
/// What a push may need besides round trips: longer than a probe timeout on a quick link (RFC 9002, section 6.2, with the
/// default delay of acknowledgments of 25 ms), so that one lost packet makes no graft.
const GRAFT_MARGIN: Duration = Duration::from_millis(40);
/// Time between two replacements of a last eager neighbor that prunes, so that liars cannot keep this node busy.
const PROMOTE_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
