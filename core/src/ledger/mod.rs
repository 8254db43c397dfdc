//! The ledger of a node: an append-only log of what it did and saw that matters for trust.
//!
//! Each [`Entry`] names the hash of the one before it, and all of them are the leaves of a [`Tree`] as in RFC 9162, so that
//! a [`Head`] of 136 signed bytes stands for everything that was ever written. Neighbors remember each other's heads
//! ([`Witness`]): whoever shortens, rewrites or forks its ledger contradicts what it has signed before, and whoever says
//! an old head again is noticed by those who heard a newer one. Invariant: an entry that a signed head covers cannot be
//! changed, removed or reordered unnoticed by anybody who knows that head.
//!
//! The [`Keeper`] is the role that writes a node's ledger, watches those of its neighbors and keeps copies of their newest
//! entries, so that what is damaged on a disk is put back with their help; an [`Attestation`] is what remains of an entry
//! when the ledger is gone.
//!
//! The format is described for other programs in `docs/ledger.md`.

mod attestation;
mod cosignature;
mod entry;
mod event;
mod hash;
mod head;
mod message;
mod proof;
mod report;
mod role;
mod task;
mod tree;
mod witness;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use attestation::{Attestation, Unproven, verify_all};
pub use cosignature::Cosignature;
pub use entry::Entry;
pub use event::{Event, EventKind};
pub use hash::Hash;
pub use head::{Head, SignedHead};
pub use message::Message;
pub use proof::{Consistency, Inclusion};
pub use report::Report;
pub use role::{Copied, Effect, Input, Keeper};
pub use task::{Adopted, Task};
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
    last_ms: u64,
}

/// What came of reading the entries of a log.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    /// The numbers of those that are damaged.
    damaged: BTreeSet<u64>,
    /// The first that did not fit.
    broken: Option<Broken>,
    /// Those of the damaged whose hashes nobody here knows.
    unknown: BTreeSet<u64>,
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
    /// It is not later than the one before it, or later than an entry can be.
    #[error("entry {index} is not later than the entry before it, or too late")]
    OtherTime {
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
        Self { me, tree: Tree::new(), last: Hash::NONE, last_ms: 0 }
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

    /// The entry that tells of an event and would be the next one; the ledger has it only after [`Ledger::push`]. Its time
    /// is `unix_ms`, or just after that of the last entry, if the clock was set back.
    pub fn next(&self, event: &Event, unix_ms: u64) -> Entry {
        Entry::of(event, self.me, self.size(), self.last, self.time(unix_ms))
    }

    /// The time of an entry that is written at `unix_ms`.
    fn time(&self, unix_ms: u64) -> u64 {
        unix_ms.min(UNIX_MS_MAX - LEDGER_ENTRIES_MAX).max(self.last_ms + 1)
    }

    /// As [`Ledger::next`], but behind entries that the ledger does not have yet, of which this is the last.
    fn next_after(&self, last: Option<&Entry>, event: &Event, unix_ms: u64) -> Entry {
        let Some(last) = last else { return self.next(event, unix_ms) };
        let unix_ms = self.time(unix_ms).max(last.unix_ms + 1);
        Entry::of(event, self.me, last.index + 1, last.hash(), unix_ms)
    }

    /// Takes all entries that a log holds, `None` for each that is damaged. What is there counts as it is, whether or not
    /// it fits: others can tell if it is not what it was.
    fn read(&mut self, entries: &[Option<Entry>]) -> Read {
        let mut read = Read::default();
        for (index, entry) in (0..).zip(entries) {
            let Some(entry) = entry else {
                let next = entries.get(index + 1).and_then(Option::as_ref);
                read.damaged.insert(index as u64);
                if next.is_none() {
                    // Without the next entry nobody here knows what stood there.
                    read.unknown.insert(index as u64);
                }
                read.broken = read.broken.or(self.push_hash(next.map_or(Hash::NONE, |next| next.previous)).err());
                continue;
            };
            if let Err(broken) = self.push(entry) {
                read.broken = read.broken.or(Some(broken));
                self.is_as_late_as(entry.unix_ms);
                // A ledger that is full stays as it is.
                let _ = self.push_hash(entry.hash());
            }
        }
        read
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
        if entry.unix_ms <= self.last_ms || entry.unix_ms > UNIX_MS_MAX {
            return Err(Broken::OtherTime { index: wanted });
        }
        self.last_ms = entry.unix_ms;
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

    /// Takes hashes of entries that are there and were damaged, in the place of what stood for them.
    fn learn(&mut self, hashes: &BTreeMap<u64, Hash>) {
        let mut tree = Tree::new();
        for index in 0..self.size() {
            let known = self.tree.leaf(index).expect("BUG: the tree has so many leaves");
            tree.push(hashes.get(&index).copied().unwrap_or(known));
        }
        self.last = self.size().checked_sub(1).and_then(|last| tree.leaf(last)).unwrap_or(Hash::NONE);
        self.tree = tree;
    }

    /// The last entry is not older than this: its own time is not known as long as it is damaged.
    fn is_as_late_as(&mut self, unix_ms: u64) {
        self.last_ms = self.last_ms.max(unix_ms.min(UNIX_MS_MAX - LEDGER_ENTRIES_MAX));
    }

    /// What the ledger is now.
    pub fn head(&self) -> Head {
        Head { ledger: self.me, size: self.size(), root: self.tree.root(), last: self.last, unix_ms: self.last_ms }
    }

    /// Whether the ledger has what this head says that it has, and perhaps more.
    pub fn continues(&self, head: &Head) -> bool {
        let last = head.size.checked_sub(1).map_or(Some(Hash::NONE), |last| self.tree.leaf(last));
        head.ledger == self.me && self.tree.root_at(head.size) == Some(head.root) && last == Some(head.last)
    }
}

/// The latest time that an entry can have: the largest whole numbers that every reader of JSON takes as they are.
const UNIX_MS_MAX: u64 = 1 << 53;

#[cfg(test)]
mod tests;
