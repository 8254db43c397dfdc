//! The ledger of a node: an append-only log of what it did and saw that matters for trust.
//!
//! Each [`Entry`] names the hash of the one before it, and all of them are the leaves of a [`Tree`] as in RFC 9162, so that
//! a [`Head`] of 136 signed bytes stands for everything that was ever written. Neighbors remember each other's heads
//! ([`Witness`]): whoever shortens, rewrites or forks its ledger contradicts what it has signed before, and whoever says
//! an old head again is noticed by those who heard a newer one. Invariant: an entry that a signed head covers cannot be
//! changed, removed or reordered unnoticed by anybody who knows that head.
//!
//! The format is described for other programs in `docs/ledger.md`.

mod entry;
mod event;
mod hash;
mod head;
mod proof;
mod tree;
mod witness;

use serde::{Deserialize, Serialize};

pub use entry::Entry;
pub use event::{Event, EventKind};
pub use hash::Hash;
pub use head::{Head, SignedHead};
pub use proof::{Consistency, Inclusion};
pub use tree::Tree;
pub use witness::{Fault, Finding, Reaction, Witness};

use crate::PeerId;
use crate::limits::LEDGER_ENTRIES_MAX;

/// The chain and the tree of one ledger, without the entries themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    me: PeerId,
    tree: Tree,
    last: Hash,
}

/// Why an entry cannot be the next one of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Broken {
    /// It belongs to another ledger.
    #[error("the entry belongs to another ledger")]
    OtherLedger,
    /// It is not the next one.
    #[error("the entry says that it is number {found}, and number {wanted} is wanted")]
    OtherIndex {
        /// What it says.
        found: u64,
        /// What comes next.
        wanted: u64,
    },
    /// It does not follow the one before it.
    #[error("entry {index} does not follow the entry before it")]
    OtherPrevious {
        /// Which entry.
        index: u64,
    },
    /// The ledger is full.
    #[error("the ledger is full")]
    Full,
}

impl Ledger {
    /// The ledger of a node that has written nothing.
    pub fn new(me: PeerId) -> Self {
        Self { me, tree: Tree::new(), last: Hash::NONE }
    }

    /// Whose ledger it is.
    pub fn owner(&self) -> PeerId {
        self.me
    }

    /// The tree over its entries.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// How many entries it has.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The leaf hash of the last entry; [`Hash::NONE`] if there is none.
    pub fn last(&self) -> Hash {
        self.last
    }

    /// The entry that tells of an event and would be the next one; the ledger has it only after [`Ledger::push`].
    pub fn next(&self, event: &Event, unix_ms: u64) -> Entry {
        Entry::of(event, self.me, self.size(), self.last, unix_ms)
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// [`Broken`], with nothing changed.
    pub fn push(&mut self, entry: &Entry) -> Result<(), Broken> {
        let wanted = self.size();
        if wanted >= LEDGER_ENTRIES_MAX {
            return Err(Broken::Full);
        }
        if entry.ledger != self.me {
            return Err(Broken::OtherLedger);
        }
        if entry.index != wanted {
            return Err(Broken::OtherIndex { found: entry.index, wanted });
        }
        if entry.previous != self.last {
            return Err(Broken::OtherPrevious { index: wanted });
        }
        self.last = entry.hash();
        self.tree.push(self.last);
        Ok(())
    }

    /// Takes the hash of the next entry where the entry itself is damaged: the one after it names it. That it is the
    /// right one shows with the next entry, or with a head.
    ///
    /// # Errors
    /// [`Broken::Full`], with nothing changed.
    pub fn push_hash(&mut self, hash: Hash) -> Result<(), Broken> {
        if self.size() >= LEDGER_ENTRIES_MAX {
            return Err(Broken::Full);
        }
        self.last = hash;
        self.tree.push(hash);
        Ok(())
    }

    /// What the ledger is now.
    pub fn head(&self, unix_ms: u64) -> Head {
        Head { ledger: self.me, size: self.size(), root: self.tree.root(), last: self.last, unix_ms }
    }

    /// Whether the ledger has what this head says that it has, and perhaps more.
    pub fn continues(&self, head: &Head) -> bool {
        let last = head.size.checked_sub(1).map_or(Some(Hash::NONE), |last| self.tree.leaf(last));
        head.ledger == self.me && self.tree.root_at(head.size) == Some(head.root) && last == Some(head.last)
    }
}

#[cfg(test)]
mod tests;
