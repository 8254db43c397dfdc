//! What can be changed at once: puts and deletes over trees.

use crate::StoreError;
use crate::limits::{BATCH_ENTRIES_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX};

/// A key space of its own within a store.
///
/// The numbers are part of the format on disk: a number once used is never given another meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Tree {
    /// Signed records, as gossip spread them.
    Records = 1,
    /// Incidents, open and closed.
    Incidents = 2,
    /// What came of executed plans.
    Outcomes = 3,
    /// Neighbors that were connected or are to be dialed.
    Neighbors = 4,
    /// Services that this node exposes.
    Services = 5,
    /// Invitation tokens that must not work again.
    UsedTokens = 6,
    /// Single facts about this node.
    Meta = 7,
}

/// Changes that take effect together or not at all; of several changes to one key the last one counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    changes: Vec<Change>,
}

/// One change of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Sets the value of a key, whether or not it had one.
    Put {
        /// Where the key belongs.
        tree: Tree,
        /// The key, at most [`KEY_BYTES_MAX`] bytes.
        key: Vec<u8>,
        /// The value, at most [`VALUE_BYTES_MAX`] bytes.
        value: Vec<u8>,
    },
    /// Takes a key away; without effect if there is none.
    Delete {
        /// Where the key belongs.
        tree: Tree,
        /// The key, at most [`KEY_BYTES_MAX`] bytes.
        key: Vec<u8>,
    },
}

impl Tree {
    /// Every tree, in order.
    pub const ALL: [Tree; 7] =
        [Tree::Records, Tree::Incidents, Tree::Outcomes, Tree::Neighbors, Tree::Services, Tree::UsedTokens, Tree::Meta];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Tree::Records => "records",
            Tree::Incidents => "incidents",
            Tree::Outcomes => "outcomes",
            Tree::Neighbors => "neighbors",
            Tree::Services => "services",
            Tree::UsedTokens => "used-tokens",
            Tree::Meta => "meta",
        }
    }

    /// The tree's number on disk.
    pub(crate) fn number(self) -> u8 {
        self as u8
    }
}

impl Batch {
    /// A batch without changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a change that sets the value of a key.
    pub fn put(&mut self, tree: Tree, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> &mut Self {
        self.changes.push(Change::Put { tree, key: key.into(), value: value.into() });
        self
    }

    /// Adds a change that takes a key away.
    pub fn delete(&mut self, tree: Tree, key: impl Into<Vec<u8>>) -> &mut Self {
        self.changes.push(Change::Delete { tree, key: key.into() });
        self
    }

    /// Adds all changes of another batch.
    pub fn append(&mut self, other: &Batch) -> &mut Self {
        self.changes.extend_from_slice(&other.changes);
        self
    }

    /// The changes, in the order in which they were added.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// How many changes there are.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Holds the batch against the limits; every store does so before it changes anything.
    ///
    /// # Errors
    /// [`StoreError::OverLimit`].
    pub fn check(&self) -> Result<(), StoreError> {
        within("changes in a batch", self.len(), BATCH_ENTRIES_MAX)?;
        for change in &self.changes {
            within("bytes in a key", change.key().len(), KEY_BYTES_MAX)?;
            within("bytes in a value", change.value().map_or(0, <[u8]>::len), VALUE_BYTES_MAX)?;
        }
        Ok(())
    }
}

impl Change {
    /// The tree of the changed key.
    pub fn tree(&self) -> Tree {
        match self {
            Change::Put { tree, .. } | Change::Delete { tree, .. } => *tree,
        }
    }

    /// The changed key.
    pub fn key(&self) -> &[u8] {
        match self {
            Change::Put { key, .. } | Change::Delete { key, .. } => key,
        }
    }

    /// The value that the key has afterwards, if any.
    pub fn value(&self) -> Option<&[u8]> {
        match self {
            Change::Put { value, .. } => Some(value),
            Change::Delete { .. } => None,
        }
    }
}

fn within(what: &'static str, size: usize, max: usize) -> Result<(), StoreError> {
    if size <= max { Ok(()) } else { Err(StoreError::OverLimit { what, size, max }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tree_keeps_its_number() {
        assert_eq!(Tree::ALL.map(Tree::number), [1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn a_batch_at_the_limits_passes_and_one_beyond_them_does_not() {
        let mut batch = Batch::new();
        for n in 0..BATCH_ENTRIES_MAX as u64 {
            batch.put(Tree::Records, n.to_be_bytes(), vec![0; VALUE_BYTES_MAX]);
        }
        batch.check().unwrap();
        batch.delete(Tree::Records, "one more");
        assert!(matches!(batch.check(), Err(StoreError::OverLimit { max: BATCH_ENTRIES_MAX, .. })));
    }
}
