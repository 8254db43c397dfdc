//! A store in memory that knows what a crash would leave.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{Batch, Change, Entry, Store, StoreError, Tree};

/// A store in memory; what was applied but not flushed is lost in a [`crash`](MemoryStore::crash).
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    applied: Contents,
    flushed: Contents,
    /// What lies between the two, oldest first: a flush costs what changed, not what there is.
    unflushed: Vec<Batch>,
}

/// One map per tree, so that a key can be looked up without copying it.
#[derive(Clone, Debug, Default)]
struct Contents(BTreeMap<Tree, BTreeMap<Vec<u8>, Vec<u8>>>);

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is found after a crash now: everything flushed and nothing else. This store goes on as it was.
    pub fn crash(&self) -> MemoryStore {
        self.crash_keeping(0)
    }

    /// What is found after a crash that happened to keep the `batches` oldest unflushed batches, as a disk may.
    pub fn crash_keeping(&self, batches: usize) -> MemoryStore {
        let state = self.state();
        let mut flushed = state.flushed.clone();
        state.unflushed.iter().take(batches).for_each(|batch| flushed.apply(batch));
        MemoryStore { state: Mutex::new(State { applied: flushed.clone(), flushed, unflushed: Vec::new() }) }
    }

    /// How many batches a crash would lose.
    pub fn unflushed(&self) -> usize {
        self.state().unflushed.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, so the state is whole even if a caller's thread died.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.state().applied.0.get(&tree).and_then(|entries| entries.get(key)).cloned())
    }

    fn scan(&self, tree: Tree) -> Result<Vec<Entry>, StoreError> {
        let state = self.state();
        let entries = state.applied.0.get(&tree).into_iter().flatten();
        Ok(entries.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        batch.check()?;
        let mut state = self.state();
        state.applied.apply(batch);
        state.unflushed.push(batch.clone());
        Ok(())
    }

    fn flush(&self) -> Result<(), StoreError> {
        let state = &mut *self.state();
        state.unflushed.drain(..).for_each(|batch| state.flushed.apply(&batch));
        Ok(())
    }
}

impl Contents {
    fn apply(&mut self, batch: &Batch) {
        for change in batch.changes() {
            let entries = self.0.entry(change.tree()).or_default();
            match change {
                Change::Put { key, value, .. } => entries.insert(key.clone(), value.clone()),
                Change::Delete { key, .. } => entries.remove(key),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &MemoryStore, key: &str) {
        store.apply(Batch::new().put(Tree::Records, key, "v")).unwrap();
    }

    fn keys(store: &MemoryStore) -> Vec<Vec<u8>> {
        store.scan(Tree::Records).unwrap().into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn a_crash_leaves_what_was_flushed_and_nothing_else() {
        let store = MemoryStore::new();
        put(&store, "a");
        store.flush().unwrap();
        put(&store, "b");
        store.apply(Batch::new().delete(Tree::Records, "a")).unwrap();
        assert_eq!(store.unflushed(), 2);
        assert_eq!(keys(&store.crash()), [b"a"]);
        assert_eq!(keys(&store), [b"b"], "the store itself goes on");
    }

    #[test]
    fn a_crash_may_keep_the_oldest_unflushed_batches() {
        let store = MemoryStore::new();
        ["a", "b", "c"].into_iter().for_each(|key| put(&store, key));
        assert_eq!(keys(&store.crash_keeping(2)), [b"a", b"b"]);
        assert_eq!(keys(&store.crash_keeping(9)), [b"a", b"b", b"c"]);
    }

    #[test]
    fn what_survived_one_crash_survives_the_next() {
        let store = MemoryStore::new();
        put(&store, "a");
        store.flush().unwrap();
        assert_eq!(keys(&store.crash().crash()), [b"a"]);
    }
}
