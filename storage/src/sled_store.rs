//! The store on disk, kept by sled 0.34.
//!
//! What the engine does not give, and this module adds: a flush that reaches the disk, errors instead of panics on a
//! damaged file, and a proof at every start that nothing promised is missing.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::{Duration, Instant};

use crate::directory::{self, Directory};
use crate::error::{Damage, StoreError};
use crate::limits::SEGMENT_BYTES;
use crate::tally::Tally;
use crate::{Batch, Entry, Store, Tree};

/// A store in a directory of its own, which it holds locked until it is dropped.
#[derive(Debug)]
pub struct SledStore {
    /// Taken only by drop.
    engine: Option<sled::Db>,
    /// Readers see batches as a whole, and the tally changes with its entries.
    tally: RwLock<Tally>,
    /// Set by a failure after which the engine's state in memory may differ from the disk.
    stopped: AtomicBool,
    /// Last, so that the lock outlives the engine.
    directory: Directory,
}

/// A batch as the engine takes it: every key once, with what it has afterwards.
type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

impl SledStore {
    /// Opens the store in a directory, and creates both if they do not exist. Reads every entry once.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another handle holds it, [`StoreError::Damaged`] if not all of what was promised is
    /// there, [`StoreError::Foreign`] or [`StoreError::OtherFormat`] if it was not written by this program or not in
    /// its format, [`StoreError::Stopped`] if an earlier handle of this process failed, [`StoreError::Denied`] and
    /// [`StoreError::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        directory::finish_replacement(path.as_ref())?;
        let directory = Directory::claim(path.as_ref())?;
        let engine = open_engine(directory.path())?;
        let (tally, stopped) = (RwLock::default(), AtomicBool::new(false));
        let mut store = Self { engine: Some(engine), tally, stopped, directory };
        store.identify()?;
        store.audit()?;
        store.directory.settle().map_err(|error| StoreError::io(store.directory.path(), error))?;
        directory::drop_replacement(store.directory.path());
        Ok(store)
    }

    /// Renames a damaged store's directory to `<path>.damaged-<n>`, so that `path` can be opened afresh; where it is now.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if it is open, [`StoreError::Denied`], or [`StoreError::Io`] (also if there is none).
    pub fn set_aside(path: impl AsRef<Path>) -> Result<PathBuf, StoreError> {
        directory::set_aside(path.as_ref())
    }

    /// Reads the format, or writes it into a store that is being created.
    fn identify(&self) -> Result<(), StoreError> {
        let path = self.directory.path();
        match self.contain(|engine| engine.get(FORMAT_KEY))?.as_deref() {
            Some(found) => match u32::from_be_bytes(found.try_into().unwrap_or_default()) {
                FORMAT => Ok(()),
                found => Err(StoreError::OtherFormat { path: path.to_owned(), found, known: FORMAT }),
            },
            None if !self.is_empty()? => Err(StoreError::Foreign { path: path.to_owned() }),
            None if !self.directory.is_fresh() => Err(StoreError::damaged(path, Damage::Unmarked)),
            None => {
                self.contain(|engine| {
                    let mut batch = sled::Batch::default();
                    batch.insert(FORMAT_KEY, FORMAT.to_be_bytes().as_slice());
                    batch.insert(TALLY_KEY, Tally::default().encode().as_slice());
                    engine.apply_batch(batch)
                })?;
                self.flush()
            }
        }
    }

    /// Whether the engine holds nothing at all, in any key space.
    fn is_empty(&self) -> Result<bool, StoreError> {
        self.contain(|engine| {
            let foreign = engine.tree_names().iter().any(|name| name != DEFAULT_TREE);
            Ok(!foreign && engine.iter().next().transpose()?.is_none())
        })
    }

    /// Adds up all entries, and holds the result against the tally and the tally against what was promised.
    fn audit(&self) -> Result<(), StoreError> {
        let damaged = |damage| StoreError::damaged(self.directory.path(), damage);
        let written = self.contain(|engine| engine.get(TALLY_KEY))?;
        let written = written.and_then(|bytes| Tally::decode(&bytes)).ok_or_else(|| damaged(Damage::Unmarked))?;
        let promised = self.directory.promised();
        if written.generation < promised {
            return Err(damaged(Damage::Lost { found: written.generation, promised }));
        }
        let mut found = Tally { generation: written.generation, sum: 0 };
        self.contain(|engine| {
            for entry in engine.range([OWN + 1]..) {
                let (key, value) = entry?;
                found.enter(&key, &value);
            }
            Ok(())
        })?;
        if found != written {
            return Err(damaged(Damage::Sum));
        }
        *self.writing() = written;
        Ok(())
    }

    /// The tally as it is after the writes.
    fn tally_after(&self, mut tally: Tally, writes: &Writes) -> Result<Tally, StoreError> {
        tally.generation += 1;
        for (key, value) in writes {
            if let Some(old) = self.contain(|engine| engine.get(key))? {
                tally.strike(key, &old);
            }
            if let Some(new) = value {
                tally.enter(key, new);
            }
        }
        Ok(tally)
    }

    /// Lets the engine work, and turns its errors and panics into ours. After a panic it is never asked again.
    fn contain<T>(&self, work: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, StoreError> {
        let path = self.directory.path();
        if self.stopped.load(Ordering::Acquire) {
            return Err(StoreError::Stopped { path: path.to_owned() });
        }
        let engine = self.engine.as_ref().expect("BUG: only drop takes the engine");
        catch_unwind(AssertUnwindSafe(|| work(engine)))
            .map_err(|payload| {
                self.stop();
                StoreError::panic(path, &*payload)
            })?
            .map_err(|error| StoreError::engine(path, error))
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    // A poisoned lock is a lock: whoever panicked did so outside of the engine, or stopped the store.

    fn reading(&self) -> RwLockReadGuard<'_, Tally> {
        self.tally.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> RwLockWriteGuard<'_, Tally> {
        self.tally.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for SledStore {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let _reading = self.reading();
        let value = self.contain(|engine| engine.get(full_key(tree, key)))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn scan(&self, tree: Tree) -> Result<Vec<Entry>, StoreError> {
        let _reading = self.reading();
        self.contain(|engine| {
            let entries = engine.scan_prefix([tree.number()]);
            entries.map(|entry| entry.map(|(key, value)| (key[1..].to_vec(), value.to_vec()))).collect()
        })
    }

    fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        batch.check()?;
        let mut tally = self.writing();
        let writes = writes(batch);
        let after = self.tally_after(*tally, &writes)?;
        let mut batch = sled::Batch::default();
        batch.insert(TALLY_KEY, after.encode().as_slice());
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        // A batch that failed halfway is half visible until the store is opened again, which recovers all or nothing.
        self.contain(|engine| engine.apply_batch(batch)).inspect_err(|_| self.stop())?;
        *tally = after;
        Ok(())
    }

    fn flush(&self) -> Result<(), StoreError> {
        // Taken before the flush: what is applied during it is not promised.
        let generation = self.reading().generation;
        let flushed = self.contain(|engine| engine.flush().map(drop));
        let path = self.directory.path();
        let flushed = flushed
            .and_then(|()| self.directory.sync_data().map_err(|error| StoreError::io(path, error)))
            .and_then(|()| self.directory.promise(generation).map_err(|error| StoreError::io(path, error)));
        // A second fsync may succeed although the first one lost the data, so no later flush may be believed.
        flushed.inspect_err(|_| self.stop())
    }

    /// Read from the engine's memory as far as it goes, whether or not the store has stopped.
    fn salvage(&self, tree: Tree) -> Result<Vec<Entry>, StoreError> {
        let _reading = self.reading();
        let engine = self.engine.as_ref().expect("BUG: only drop takes the engine");
        let read = || -> Vec<Entry> {
            let entries = engine.scan_prefix([tree.number()]).map_while(Result::ok);
            entries.map(|(key, value)| (key[1..].to_vec(), value.to_vec())).collect()
        };
        catch_unwind(AssertUnwindSafe(read)).map_err(|payload| {
            self.stop();
            StoreError::panic(self.directory.path(), &*payload)
        })
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        let engine = self.engine.take();
        if self.stopped.load(Ordering::Acquire) {
            // Closing writes what is left, which after a failure may panic or wait forever; the file is as it is.
            std::mem::forget(engine);
        } else {
            // The engine flushes when it closes. What was promised is durable already, so a failure loses nothing.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(engine)));
        }
    }
}

/// Opens the engine. It closes in the background, so a handle of this process that was just dropped may still hold its
/// file although the directory's lock is ours: that ends by itself, and is worth waiting for.
fn open_engine(path: &Path) -> Result<sled::Db, StoreError> {
    let deadline = Instant::now() + CLOSING_MAX;
    loop {
        let opened = catch_unwind(AssertUnwindSafe(|| configuration(path).open()))
            .map_err(|payload| StoreError::panic(path, &*payload))?
            .map_err(|error| StoreError::engine(path, error));
        match opened {
            Err(StoreError::Locked { .. }) if Instant::now() < deadline => thread::sleep(CLOSING_POLL),
            // Not another process, for the directory is ours: a handle of this one stopped, and can never be closed.
            Err(StoreError::Locked { path }) => return Err(StoreError::Stopped { path }),
            result => return result,
        }
    }
}

fn configuration(path: &Path) -> sled::Config {
    sled::Config::new()
        .path(path)
        .cache_capacity(CACHE_BYTES)
        .segment_size(SEGMENT_BYTES)
        // No thread of the engine's own: its errors and panics would reach nobody. The node flushes when it promises.
        .flush_every_ms(None)
}

fn writes(batch: &Batch) -> Writes {
    let changes = batch.changes().iter();
    changes.map(|change| (full_key(change.tree(), change.key()), change.value().map(<[u8]>::to_vec))).collect()
}

/// All trees share one key space of the engine, because only there a batch is atomic at no extra cost.
fn full_key(tree: Tree, key: &[u8]) -> Vec<u8> {
    [&[tree.number()], key].concat()
}

/// The version of everything on disk: the trees' numbers, the tally and the keys below.
const FORMAT: u32 = 1;
/// Begins the store's own keys; trees are numbered from 1.
const OWN: u8 = 0;
const FORMAT_KEY: &[u8] = b"\0format";
/// Its name on disk is older than the word.
const TALLY_KEY: &[u8] = b"\0ledger";
/// The engine's name for the key space that every database has.
const DEFAULT_TREE: &[u8] = b"__sled__default";
/// What the engine may keep in memory; the node's own tables hold everything in use anyway.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// How long a dropped handle of this process may take to close.
const CLOSING_MAX: Duration = Duration::from_secs(2);
const CLOSING_POLL: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_engine_is_damage_once_and_then_the_store_has_stopped() {
        let home = tempfile::tempdir().unwrap();
        let store = SledStore::open(home.path()).unwrap();
        let error = store.contain::<()>(|_| panic!("impossible\nstate")).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { source: Damage::Panic(ref text), .. } if text == "impossible"));
        assert!(matches!(store.get(Tree::Meta, b"k"), Err(StoreError::Stopped { .. })));
        assert!(matches!(store.apply(Batch::new().delete(Tree::Meta, "k")), Err(StoreError::Stopped { .. })));
        assert!(matches!(store.flush(), Err(StoreError::Stopped { .. })));
        drop(store);
        assert!(matches!(SledStore::open(home.path()), Err(StoreError::Stopped { .. })), "its file is never closed");
    }

    #[test]
    fn a_stopped_store_can_be_set_aside_and_opened_afresh_by_the_same_process() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("store");
        let store = SledStore::open(&path).unwrap();
        store.stop();
        drop(store);
        SledStore::set_aside(&path).unwrap();
        SledStore::open(&path).unwrap();
    }

    #[test]
    fn a_failed_flush_is_never_followed_by_a_successful_one() {
        let home = tempfile::tempdir().unwrap();
        let (path, hidden) = (home.path().join("store"), home.path().join("hidden"));
        let store = SledStore::open(&path).unwrap();
        std::fs::rename(&path, &hidden).unwrap();
        assert!(matches!(store.flush(), Err(StoreError::Io { .. })));
        std::fs::rename(&hidden, &path).unwrap();
        assert!(matches!(store.flush(), Err(StoreError::Stopped { .. })));
    }
}
