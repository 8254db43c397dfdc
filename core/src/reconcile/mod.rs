//! Anti-entropy between two neighbors that costs what differs.
//!
//! It hears which items this node holds, and messages of neighbors; it asks for messages to be sent, and for records to
//! be given to neighbors that lack them. Two mechanisms, of which neither knows of the other:
//!
//! - a **sketch** finds a few differences in many items within a few hundred bytes: a rateless IBLT (Yang, Gilad,
//!   Alizadeh, Practical Rateless Set Reconciliation, SIGCOMM 2024), see [`Symbol`] and [`Cell`];
//! - a **fingerprint** commits to all items: a hash tree, whose root is compared at the beginning of each round.
//!
//! An insider who makes records can make some that the sketch cannot see. So the fingerprint judges: if the sketch finds
//! nothing although the roots differ, finds only what was exchanged before, cannot be decoded, or has not led to equal
//! roots for several rounds, both sides walk down their trees and list what differs in full: a **full sync**, which is
//! range-based set reconciliation (Meyer, Range-Based Set Reconciliation, 2023) with fixed ranges. Full syncs are bounded
//! in number, and each side bounds what the other can make it do.
//!
//! Invariant: what is said to be in sync with a neighbor has the root that this neighbor told last.
//!
//! The owner greets its neighbors every now and then, hands over what they say, tells the reconciler of every record that
//! came or went, and delivers the outcomes. Nothing has to arrive: what is lost is found again by a later greeting.

mod message;
mod rounds;
mod session;
mod set;
mod sketch;
mod syncs;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::BTreeMap;

pub use message::{BucketSummary, Message, Part};
pub use set::ItemSet;
pub use sketch::{Cell, Symbol};
pub use tree::Hash;

use crate::limits::NEIGHBORS_MAX;
use crate::{Instant, ItemId, Rejected};
use session::Session;

/// What the reconciler asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<P> {
    /// Send a message to a neighbor; its answer comes back to [`Reconciler::on_message`].
    Send {
        /// Whom.
        to: P,
        /// What.
        message: Message,
    },
    /// Send the records behind these items to a neighbor: it lacks them. Nothing comes back.
    Give {
        /// Whom.
        to: P,
        /// Items of this node.
        items: Vec<ItemId>,
    },
}

/// The items of this node, and one small session for each neighbor `P`.
#[derive(Clone, Debug)]
pub struct Reconciler<P> {
    set: ItemSet,
    sessions: BTreeMap<P, Session>,
}

impl<P: Copy + Ord> Default for Reconciler<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Copy + Ord> Reconciler<P> {
    /// Without items, and without neighbors.
    pub fn new() -> Self {
        Self { set: ItemSet::new(), sessions: BTreeMap::new() }
    }

    /// This node holds `item` from now on; `false` if it did before.
    pub fn insert(&mut self, item: ItemId) -> bool {
        self.set.insert(item)
    }

    /// This node does not hold `item` any more; `false` if it did not before.
    pub fn remove(&mut self, item: &ItemId) -> bool {
        self.set.remove(item)
    }

    /// This node holds `new` instead of `gone` from now on.
    pub fn replace(&mut self, gone: &ItemId, new: ItemId) {
        self.set.replace(gone, new);
    }

    /// What this node holds.
    pub fn items(&self) -> &ItemSet {
        &self.set
    }

    /// The commitment to all that this node holds. Hashes what has changed since it was last asked for.
    pub fn root(&mut self) -> [u8; 32] {
        self.set.root()
    }

    /// What to tell `peer` now: said when a link is up, and every now and then. `None` while a round or a full sync with
    /// it is going on, after [`RECONCILE_GREETINGS_MAX`](crate::limits::RECONCILE_GREETINGS_MAX) of them without an
    /// answer in a few seconds, or if there are [`NEIGHBORS_MAX`] other neighbors.
    pub fn greet(&mut self, peer: P, now: Instant) -> Option<Message> {
        let (root, items) = (self.set.root(), self.set.len());
        let session = self.session(peer).ok()?;
        session.expire(now);
        session.may_greet().then(|| session.greet(root, items, now))
    }

    /// Takes a neighbor's message. `out` is what to do about it.
    ///
    /// # Errors
    /// Nothing has changed then, except that an answer may count as given.
    /// - [`Rejected::Malformed`]: no node says that.
    /// - [`Rejected::OverLimit`]: more than a limit allows, more often than it may, or more neighbors than there may be.
    /// - [`Rejected::Stale`]: an answer without a question. This can happen to the honest: when an answer took longer
    ///   than [`RECONCILE_TIMEOUT`](crate::limits::RECONCILE_TIMEOUT), or what was asked for has been superseded.
    pub fn on_message(
        &mut self,
        from: P,
        message: Message,
        now: Instant,
        out: &mut Vec<Outcome<P>>,
    ) -> Result<(), Rejected> {
        message.check()?;
        self.session(from)?.expire(now);
        match message {
            Message::Summary { root, items, fresh } => self.on_summary(from, (root, items, fresh), now, out),
            Message::Cells { root, start, cells } => self.on_cells(from, (root, start, cells), now, out),
            Message::MoreCells { root, start } => self.on_more_cells(from, root, start, now, out),
            Message::Want(symbols) => self.on_want(from, &symbols, now, out),
            Message::Groups { root, hashes } => self.on_groups(from, root, &hashes, now, out),
            Message::Buckets { root, groups, buckets } => self.on_buckets(from, (root, groups, buckets), now, out),
            Message::Items { parts, last } => self.on_items(from, &parts, last, now, out),
            Message::WantItems(items) => self.on_want_items(from, &items, now, out),
            Message::Busy => self.on_busy(from),
        }
    }

    /// Forgets a neighbor.
    pub fn forget(&mut self, peer: &P) {
        self.sessions.remove(peer);
    }

    /// Whether `peer` holds what this node holds, as far as it has told.
    pub fn is_in_sync(&mut self, peer: &P) -> bool {
        let root = self.set.root();
        self.sessions.get(peer).is_some_and(|session| session.theirs == Some(root))
    }

    /// The root that `peer` told last; `None` if it has told none.
    pub fn told_by(&self, peer: &P) -> Option<[u8; 32]> {
        self.sessions.get(peer).and_then(|session| session.theirs)
    }

    /// The session with `peer`, begun if there is none.
    fn session(&mut self, peer: P) -> Result<&mut Session, Rejected> {
        if self.sessions.len() >= NEIGHBORS_MAX && !self.sessions.contains_key(&peer) {
            return Err(Rejected::OverLimit);
        }
        Ok(self.sessions.entry(peer).or_default())
    }
}
