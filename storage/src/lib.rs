//! Where a node keeps what it must not forget.
//!
//! A [`Store`] is a handful of ordered key spaces ([`Tree`]), changed by atomic [`Batch`]es and made durable by
//! [`Store::flush`]. Three implementations pass one conformance suite:
//!
//! - [`SledStore`] keeps it on disk; it survives a kill and a power cut, and tells damage from everything else;
//! - [`MemoryStore`] keeps it in memory and can lose what was not flushed, for the simulator;
//! - [`FaultyStore`] wraps another store and fails the calls that a test names.
//!
//! What is written once and never changed goes into a [`log::Log`], whose damage can be named entry by entry.

mod batch;
mod directory;
mod error;
mod faulty;
pub mod limits;
pub mod log;
mod memory;
mod replacement;
mod sled_store;
mod tally;

pub use batch::{Batch, Change, Tree};
pub use error::{Damage, StoreError};
pub use faulty::{Faults, FaultyStore, Moment};
pub use memory::MemoryStore;
pub use sled_store::SledStore;

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Ordered key spaces that change by atomic batches.
///
/// Every call blocks; asynchronous callers give a store a thread of its own.
pub trait Store: Send + Sync {
    /// The value of a key, if it has one.
    ///
    /// # Errors
    /// Those of the implementation; see [`StoreError`].
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Every entry of a tree, ordered by key; of a batch applied meanwhile it shows all or nothing.
    ///
    /// # Errors
    /// Those of the implementation; see [`StoreError`].
    fn scan(&self, tree: Tree) -> Result<Vec<Entry>, StoreError>;

    /// Makes all changes of a batch, or none; they are seen at once, and durable after the next [`flush`](Self::flush).
    ///
    /// # Errors
    /// [`StoreError::OverLimit`], with nothing changed, and those of the implementation. After any other error the
    /// batch is there as a whole or not at all.
    fn apply(&self, batch: &Batch) -> Result<(), StoreError>;

    /// When it returns `Ok`, everything applied before survives a crash and a power cut.
    ///
    /// # Errors
    /// Those of the implementation; then nothing is known about what was applied since the last successful flush.
    fn flush(&self) -> Result<(), StoreError>;

    /// What of a tree can still be read, although the store may have stopped: for whoever puts another one in its place.
    /// It may lack what was damaged, and hold what was never flushed.
    ///
    /// # Errors
    /// Those of the implementation, if nothing can be read at all.
    fn salvage(&self, tree: Tree) -> Result<Vec<Entry>, StoreError> {
        self.scan(tree)
    }
}

impl<S: Store + ?Sized> Store for Box<S> {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        (**self).get(tree, key)
    }

    fn scan(&self, tree: Tree) -> Result<Vec<Entry>, StoreError> {
        (**self).scan(tree)
    }

    fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        (**self).apply(batch)
    }

    fn flush(&self) -> Result<(), StoreError> {
        (**self).flush()
    }

    fn salvage(&self, tree: Tree) -> Result<Vec<Entry>, StoreError> {
        (**self).salvage(tree)
    }
}

impl<S: Store + ?Sized> Store for std::sync::Arc<S> {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        (**self).get(tree, key)
    }

    fn scan(&self, tree: Tree) -> Result<Vec<Entry>, StoreError> {
        (**self).scan(tree)
    }

    fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        (**self).apply(batch)
    }

    fn flush(&self) -> Result<(), StoreError> {
        (**self).flush()
    }

    fn salvage(&self, tree: Tree) -> Result<Vec<Entry>, StoreError> {
        (**self).salvage(tree)
    }
}
