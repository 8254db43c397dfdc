//! Putting a new store in the place of one that fails, without a moment at which a crash would lose what both hold.
//!
//! The new one is filled beside the old one, and is complete and durable before the old one is renamed. Whatever falls
//! between the two renames is finished by the next [`SledStore::open`].

use std::path::{Path, PathBuf};

use crate::limits::BATCH_ENTRIES_MAX;
use crate::{Batch, Entry, SledStore, Store, StoreError, Tree, directory};

impl SledStore {
    /// Fills a store beside the one at `path`, which may be open and is not touched. Takes as much of the disk as the
    /// entries need; nothing of it is left if that fails.
    ///
    /// # Errors
    /// Those of [`SledStore::open`], [`StoreError::OverLimit`], and [`StoreError::Io`] if `path` is no directory.
    pub fn prepare(path: impl AsRef<Path>, entries: &[(Tree, Entry)]) -> Result<(), StoreError> {
        let path = path.as_ref();
        let beside = directory::begin_replacement(path)?;
        let filled = fill(&beside, entries).and_then(|()| directory::complete_replacement(path));
        filled.inspect_err(|_| directory::drop_replacement(path))
    }

    /// Puts the store that was prepared in the place of the one at `path`, which nobody may hold any more, and opens it.
    /// The old one is set aside; of those that were set aside before none is kept. Where it is now, if there was one.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if the old one is open, and those of [`SledStore::open`].
    pub fn adopt(path: impl AsRef<Path>) -> Result<(Self, Option<PathBuf>), StoreError> {
        let path = path.as_ref();
        let aside = if path.exists() { Some(directory::set_aside(path)?) } else { None };
        let store = Self::open(path)?;
        directory::keep_aside_only(path, aside.as_deref())?;
        Ok((store, aside))
    }
}

fn fill(path: &Path, entries: &[(Tree, Entry)]) -> Result<(), StoreError> {
    let store = SledStore::open(path)?;
    for chunk in entries.chunks(BATCH_ENTRIES_MAX) {
        let mut batch = Batch::new();
        for (tree, (key, value)) in chunk {
            batch.put(*tree, key.as_slice(), value.as_slice());
        }
        store.apply(&batch)?;
    }
    store.flush()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn entry(key: &str) -> (Tree, Entry) {
        (Tree::Records, (key.as_bytes().to_vec(), b"v".to_vec()))
    }

    fn keys(store: &SledStore) -> Vec<String> {
        let entries = store.scan(Tree::Records).unwrap();
        entries.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect()
    }

    fn names(home: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(home).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn another_store_takes_the_place_and_one_old_one_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("store");
        for round in ["a", "b", "c"] {
            let old = SledStore::open(&path).unwrap();
            SledStore::prepare(&path, &[entry(round)]).unwrap();
            drop(old);
            let (new, aside) = SledStore::adopt(&path).unwrap();
            assert_eq!(keys(&new), [round]);
            let aside = aside.unwrap().file_name().unwrap().to_str().unwrap().to_owned();
            drop(new);
            assert_eq!(names(home.path()), ["store".to_owned(), aside]);
        }
    }

    #[test]
    fn many_entries_are_taken_over() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("store");
        let entries: Vec<_> = (0..2 * BATCH_ENTRIES_MAX + 1).map(|n| entry(&format!("{n:06}"))).collect();
        SledStore::prepare(&path, &entries).unwrap();
        let (store, aside) = SledStore::adopt(&path).unwrap();
        assert_eq!((keys(&store).len(), aside), (entries.len(), None));
    }

    #[test]
    fn a_crash_between_the_renames_is_mended_by_the_next_start() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("store");
        drop(SledStore::open(&path).unwrap());
        SledStore::prepare(&path, &[entry("a")]).unwrap();
        SledStore::set_aside(&path).unwrap();
        assert_eq!(keys(&SledStore::open(&path).unwrap()), ["a"]);
    }

    #[test]
    fn what_was_prepared_and_never_adopted_does_not_outlive_a_start_of_the_old_one() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("store");
        drop(SledStore::open(&path).unwrap());
        SledStore::prepare(&path, &[entry("a")]).unwrap();
        assert_eq!(keys(&SledStore::open(&path).unwrap()), Vec::<String>::new());
        assert_eq!(names(home.path()), ["store"]);
    }

    #[test]
    fn where_no_directory_can_be_nothing_is_prepared() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("store");
        fs::write(&path, "").unwrap();
        assert!(matches!(SledStore::prepare(&path, &[entry("a")]), Err(StoreError::Io { .. })));
        assert_eq!(names(home.path()), ["store"]);
    }

    #[test]
    fn a_store_that_stopped_gives_what_it_holds_and_is_replaced() {
        let home = tempfile::tempdir().unwrap();
        let (path, hidden) = (home.path().join("store"), home.path().join("hidden"));
        let store = SledStore::open(&path).unwrap();
        store.apply(Batch::new().put(Tree::Records, "a", "v")).unwrap();
        fs::rename(&path, &hidden).unwrap();
        assert!(store.flush().is_err() && store.scan(Tree::Records).is_err());
        let saved = store.salvage(Tree::Records).unwrap();
        let saved: Vec<_> = saved.into_iter().map(|entry| (Tree::Records, entry)).collect();
        SledStore::prepare(&path, &saved).unwrap();
        drop(store);
        assert_eq!(keys(&SledStore::adopt(&path).unwrap().0), ["a"]);
    }
}
