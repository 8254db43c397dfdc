//! A node's store, and another one in its place when it fails.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use prunella_storage::{Batch, Change, Entry, Store, StoreError, Tree};

use super::Host;

/// A store that can be rebuilt while the node runs. Whoever holds it notices nothing of that but the time it takes.
pub struct Vault {
    host: Arc<dyn Host>,
    directory: PathBuf,
    /// `None` after another store was to take its place and could not be opened.
    store: RwLock<Option<Arc<dyn Store>>>,
    /// The trees of which no role holds in memory what is in them. They are small: neighbors, services, used tokens.
    mirror: Mutex<Entries>,
}

/// Entries of several trees.
type Entries = BTreeMap<(Tree, Vec<u8>), Vec<u8>>;

impl Vault {
    /// Opens the store in `directory` on this host.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be opened or read.
    pub fn open(host: Arc<dyn Host>, directory: PathBuf) -> Result<Self, StoreError> {
        let store = host.open_store(&directory)?;
        let mut mirror = BTreeMap::new();
        for tree in MIRRORED {
            mirror.extend(store.scan(tree)?.into_iter().map(|(key, value)| ((tree, key), value)));
        }
        Ok(Self { host, directory, store: RwLock::new(Some(store)), mirror: Mutex::new(mirror) })
    }

    /// Puts a new store in the place of the one that fails: with what can still be read of that, with what this knows to
    /// be in it, and with `memory`, which counts where they differ. Blocks, and everybody else waits for it. Gives how
    /// many entries the new one has.
    ///
    /// # Errors
    /// [`StoreError`] if there cannot be a new one, as on a full disk: then the old one is still in its place. If it is
    /// complete and cannot be opened, the next start takes it; until then every call fails.
    pub fn rebuild(&self, memory: Vec<(Tree, Entry)>) -> Result<usize, StoreError> {
        let mut place = self.store.write().unwrap_or_else(PoisonError::into_inner);
        let mut all = Entries::new();
        for tree in Tree::ALL.into_iter().filter(|tree| !MIRRORED.contains(tree)) {
            // What cannot be read any more is in memory, as far as it still holds.
            let saved = place.as_ref().and_then(|store| store.salvage(tree).ok()).unwrap_or_default();
            all.extend(saved.into_iter().map(|(key, value)| ((tree, key), value)));
        }
        all.extend(self.mirror().clone());
        all.extend(memory.into_iter().map(|(tree, (key, value))| ((tree, key), value)));
        let all: Vec<(Tree, Entry)> = all.into_iter().map(|((tree, key), value)| (tree, (key, value))).collect();
        self.host.prepare_store(&self.directory, &all)?;
        // Nobody else holds it: who uses the store does so under the lock.
        drop(place.take());
        *place = Some(self.host.adopt_store(&self.directory)?);
        Ok(all.len())
    }

    fn reading(&self) -> RwLockReadGuard<'_, Option<Arc<dyn Store>>> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn mirror(&self) -> MutexGuard<'_, Entries> {
        self.mirror.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask<T>(&self, ask: impl FnOnce(&dyn Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match &*self.reading() {
            Some(store) => ask(store),
            None => Err(StoreError::Stopped { path: self.directory.clone() }),
        }
    }
}

impl Store for Vault {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.ask(|store| store.get(tree, key))
    }

    fn scan(&self, tree: Tree) -> Result<Vec<Entry>, StoreError> {
        self.ask(|store| store.scan(tree))
    }

    fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        self.ask(|store| {
            store.apply(batch)?;
            // Under the same lock, so that a rebuild misses nothing.
            let mut mirror = self.mirror();
            for change in batch.changes().iter().filter(|change| MIRRORED.contains(&change.tree())) {
                let key = (change.tree(), change.key().to_vec());
                match change {
                    Change::Put { value, .. } => mirror.insert(key, value.clone()),
                    Change::Delete { .. } => mirror.remove(&key),
                };
            }
            Ok(())
        })
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.ask(|store| store.flush())
    }

    fn salvage(&self, tree: Tree) -> Result<Vec<Entry>, StoreError> {
        self.ask(|store| store.salvage(tree))
    }
}

/// Trees of which no role holds in memory what is in them.
const MIRRORED: [Tree; 4] = [Tree::Neighbors, Tree::Services, Tree::UsedTokens, Tree::Meta];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Disturbed, Machine};

    fn put(store: &Vault, tree: Tree, key: &str, value: &str) -> Result<(), StoreError> {
        store.apply(Batch::new().put(tree, key, value))?;
        store.flush()
    }

    fn vault() -> (tempfile::TempDir, Disturbed, Vault) {
        let home = tempfile::tempdir().unwrap();
        let host = Disturbed::over(Machine::shared());
        let vault = Vault::open(Arc::new(host.clone()), home.path().join("store")).unwrap();
        (home, host, vault)
    }

    #[test]
    fn a_rebuilt_store_has_what_was_read_what_was_mirrored_and_what_memory_says() {
        let (home, host, vault) = vault();
        for (tree, key) in [(Tree::Records, "kept"), (Tree::Records, "old"), (Tree::UsedTokens, "token")] {
            put(&vault, tree, key, "1").unwrap();
        }
        vault.apply(Batch::new().delete(Tree::UsedTokens, "token").put(Tree::UsedTokens, "other", "1")).unwrap();
        host.disk().stop_open();
        assert!(put(&vault, Tree::Records, "new", "1").is_err());
        let memory = [("old", "2"), ("new", "1")].map(|(key, value)| (Tree::Records, (key.into(), value.into())));
        assert_eq!(vault.rebuild(memory.to_vec()).unwrap(), 4);
        put(&vault, Tree::Meta, "well", "again").unwrap();
        drop(vault);
        let again = Vault::open(Machine::shared(), home.path().join("store")).unwrap();
        let told = |tree| -> Vec<(String, String)> {
            let text = |bytes| String::from_utf8(bytes).unwrap();
            again.scan(tree).unwrap().into_iter().map(|(key, value)| (text(key), text(value))).collect()
        };
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        assert_eq!(told(Tree::Records), pairs(&[("kept", "1"), ("new", "1"), ("old", "2")]));
        assert_eq!(told(Tree::UsedTokens), pairs(&[("other", "1")]));
    }

    #[test]
    fn on_a_full_disk_the_old_store_stays_where_it_is() {
        let (_home, host, vault) = vault();
        put(&vault, Tree::Records, "kept", "1").unwrap();
        host.disk().fill();
        assert!(matches!(vault.rebuild(Vec::new()), Err(StoreError::Injected { .. })));
        assert_eq!(vault.scan(Tree::Records).unwrap().len(), 1);
        host.disk().heal();
        put(&vault, Tree::Records, "more", "1").unwrap();
    }
}
