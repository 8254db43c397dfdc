//! The directory of a store on disk: whose it is, who holds it, and what was promised to be in it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

use crate::error::{Damage, StoreError};

/// A store's directory, held against every other process and every other handle of this one.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Whether the store was never completely created.
    fresh: bool,
    /// Holds the newest promised generation; behind the truth after a crash, never ahead of it.
    promise: File,
    /// Held for as long as the store is open.
    _lock: Lock,
}

/// The lock of a directory, until it is dropped.
#[derive(Debug)]
struct Lock(File);

/// What a directory looks like before anything in it is touched.
enum Finding {
    Fresh,
    Store,
    Remains,
    Foreign,
}

impl Directory {
    /// Takes the directory for a store, and creates it if there is none.
    ///
    /// # Errors
    /// [`StoreError::Foreign`] before anything is changed, [`StoreError::Locked`], [`StoreError::Denied`],
    /// [`StoreError::Damaged`] if only parts of a store are left, or [`StoreError::Io`].
    pub(crate) fn claim(path: &Path) -> Result<Self, StoreError> {
        let fail = |error| StoreError::io(path, error);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(fail)?;
        if let Finding::Foreign = survey(path).map_err(fail)? {
            return Err(StoreError::Foreign { path: path.to_owned() });
        }
        let lock = Lock::take(path)?;
        // Asked again: until the lock was held, another process may have been creating or moving the store.
        let fresh = match survey(path).map_err(fail)? {
            Finding::Fresh => true,
            Finding::Store => false,
            Finding::Remains => return Err(StoreError::damaged(path, Damage::Missing)),
            Finding::Foreign => return Err(StoreError::Foreign { path: path.to_owned() }),
        };
        if fresh {
            File::create(path.join(FRESH)).and_then(|file| file.sync_all()).map_err(fail)?;
            sync_directory(path).map_err(fail)?;
        }
        sweep(path).map_err(fail)?;
        let promise = open_file(&path.join(PROMISE)).map_err(fail)?;
        Ok(Self { path: path.to_owned(), fresh, promise, _lock: lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the store was never completely created, so that nothing was ever promised.
    pub(crate) fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Ends the creation of the store, whose contents must be durable by now.
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        if !self.fresh {
            return Ok(());
        }
        self.promise.sync_all()?;
        sync_directory(&self.path)?;
        sync_directory(parent_of(&self.path))?;
        fs::remove_file(self.path.join(FRESH))?;
        sync_directory(&self.path)?;
        self.fresh = false;
        Ok(())
    }

    /// Remembers that everything up to a generation is durable. Costs no flush of its own: should the note be lost in a
    /// power cut, only the check at the next start is weaker.
    pub(crate) fn promise(&self, generation: u64) -> io::Result<()> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&generation.to_be_bytes());
        bytes[8..].copy_from_slice(&(!generation).to_be_bytes());
        self.promise.write_all_at(&bytes, 0)
    }

    /// The newest promised generation; 0 if the note was lost.
    pub(crate) fn promised(&self) -> u64 {
        let (mut generation, mut complement) = ([0; 8], [0; 8]);
        let read = self.promise.read_exact_at(&mut generation, 0);
        let read = read.and_then(|()| self.promise.read_exact_at(&mut complement, 8));
        let generation = u64::from_be_bytes(generation);
        if read.is_ok() && u64::from_be_bytes(complement) == !generation { generation } else { 0 }
    }

    /// Makes the engine's file durable: its own flush only starts to write it back.
    pub(crate) fn sync_data(&self) -> io::Result<()> {
        File::open(self.path.join(DATA))?.sync_all()
    }
}

impl Lock {
    fn take(path: &Path) -> Result<Self, StoreError> {
        let file = open_file(&path.join(LOCK)).map_err(|error| StoreError::io(path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(StoreError::io(path, error)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file would not do: a process being started at this moment holds a copy of it until its exec, and
        // the lock with it. Nothing better can be done about a failure, after which closing unlocks a little later.
        let _ = self.0.unlock();
    }
}

/// Renames the directory of a store out of the way; where it is now.
///
/// # Errors
/// [`StoreError::Locked`] if someone holds it, [`StoreError::Denied`] or [`StoreError::Io`].
pub(crate) fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let fail = |error| StoreError::io(path, error);
    // Without a directory there is nothing to set aside, and a lock would create nothing useful.
    fs::read_dir(path).map_err(fail)?;
    let _lock = Lock::take(path)?;
    let target = (1_u32..).map(|n| suffixed(path, n)).find(|target| fs::symlink_metadata(target).is_err());
    let target = target.expect("BUG: a directory holds less than 2^32 names");
    fs::rename(path, &target).map_err(fail)?;
    sync_directory(parent_of(path)).map_err(fail)?;
    Ok(target)
}

/// Removes all directories that were set aside for this store, but for one.
///
/// # Errors
/// [`StoreError::Denied`] or [`StoreError::Io`].
pub(crate) fn keep_aside_only(path: &Path, kept: Option<&Path>) -> Result<(), StoreError> {
    let fail = |error| StoreError::io(path, error);
    let (parent, prefix) = (parent_of(path), beside(path, ".damaged-"));
    let prefix = prefix.file_name().unwrap_or_default().to_owned();
    for entry in fs::read_dir(parent).map_err(fail)? {
        let found = entry.map_err(fail)?.path();
        let name = found.file_name().unwrap_or_default().as_encoded_bytes();
        let number = name.strip_prefix(prefix.as_encoded_bytes());
        let is_aside = number.is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit));
        if is_aside && kept.and_then(Path::file_name) != found.file_name() {
            fs::remove_dir_all(found).map_err(fail)?;
        }
    }
    Ok(())
}

/// Where a store is filled that is to take another one's place.
pub(crate) fn filling(path: &Path) -> PathBuf {
    beside(path, ".filling")
}

/// Makes room for a store that is to take another one's place, which must be a directory, or gone.
///
/// # Errors
/// [`StoreError::Denied`] or [`StoreError::Io`].
pub(crate) fn begin_replacement(path: &Path) -> Result<PathBuf, StoreError> {
    let fail = |error| StoreError::io(path, error);
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_dir() => return Err(fail(io::ErrorKind::NotADirectory.into())),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
        _ => {}
    }
    remove_if_any(&filling(path)).map_err(fail)?;
    remove_if_any(&filled(path)).map_err(fail)?;
    Ok(filling(path))
}

/// The store that is to take another one's place is complete and durable: from now on it does so, at the latest at the
/// next start.
///
/// # Errors
/// [`StoreError::Denied`] or [`StoreError::Io`].
pub(crate) fn complete_replacement(path: &Path) -> Result<(), StoreError> {
    let renamed = fs::rename(filling(path), filled(path)).and_then(|()| sync_directory(parent_of(path)));
    renamed.map_err(|error| StoreError::io(path, error))
}

/// Puts a complete store where none is any more.
///
/// # Errors
/// [`StoreError::Denied`] or [`StoreError::Io`].
pub(crate) fn finish_replacement(path: &Path) -> Result<(), StoreError> {
    let is_there = |path: &Path| fs::symlink_metadata(path).is_ok();
    if is_there(path) || !is_there(&filled(path)) {
        return Ok(());
    }
    let renamed = fs::rename(filled(path), path).and_then(|()| sync_directory(parent_of(path)));
    renamed.map_err(|error| StoreError::io(path, error))
}

/// The store in its place is well: what was to replace it is out of date.
pub(crate) fn drop_replacement(path: &Path) {
    // What cannot be removed is removed before the next one is made.
    let _ = remove_if_any(&filling(path)).and_then(|()| remove_if_any(&filled(path)));
}

fn filled(path: &Path) -> PathBuf {
    beside(path, ".filled")
}

fn remove_if_any(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn suffixed(path: &Path, n: u32) -> PathBuf {
    beside(path, &format!(".damaged-{n}"))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    // Taken apart and put together again, a trailing slash is gone and cannot move the suffix into the directory.
    let mut name = path.components().collect::<PathBuf>().into_os_string();
    name.push(suffix);
    name.into()
}

fn survey(path: &Path) -> io::Result<Finding> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        names.push(entry?.file_name());
    }
    let has = |name: &str| names.iter().any(|found| found == name);
    Ok(match () {
        () if has(FRESH) => Finding::Fresh,
        () if has(DATA) => Finding::Store,
        () if has(PROMISE) => Finding::Remains,
        () if names.iter().all(|name| name == LOCK) => Finding::Fresh,
        () => Finding::Foreign,
    })
}

/// Removes snapshots that a crash left unfinished: the engine would take one for the newest and call the store corrupt.
fn sweep(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with("snap.") && name.ends_with(".generating")) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The engine's file.
const DATA: &str = "db";
/// Locked for as long as the store is open.
const LOCK: &str = "lock";
/// There until the store was completely created.
const FRESH: &str = "fresh";
/// The newest promised generation.
const PROMISE: &str = "promise";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_read_back_and_a_torn_one_promises_nothing() {
        let home = tempfile::tempdir().unwrap();
        let directory = Directory::claim(home.path()).unwrap();
        assert_eq!(directory.promised(), 0);
        directory.promise(77).unwrap();
        assert_eq!(directory.promised(), 77);
        directory.promise.set_len(12).unwrap();
        assert_eq!(directory.promised(), 0);
    }

    #[test]
    fn a_creation_that_was_cut_short_starts_again() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("store");
        drop(Directory::claim(&path).unwrap());
        let mut again = Directory::claim(&path).unwrap();
        assert!(again.is_fresh());
        File::create(path.join(DATA)).unwrap();
        again.settle().unwrap();
        drop(again);
        assert!(!Directory::claim(&path).unwrap().is_fresh());
    }

    #[test]
    fn a_lock_ends_although_a_copy_of_its_file_lives_on() {
        let home = tempfile::tempdir().unwrap();
        let lock = Lock::take(home.path()).unwrap();
        let _copy = lock.0.try_clone().unwrap();
        assert!(matches!(Lock::take(home.path()), Err(StoreError::Locked { .. })));
        drop(lock);
        Lock::take(home.path()).unwrap();
    }

    #[test]
    fn a_trailing_slash_does_not_move_the_suffix() {
        assert_eq!(suffixed(Path::new("/data/store/"), 3), Path::new("/data/store.damaged-3"));
    }
}
