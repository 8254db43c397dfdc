//! The few operations on files that a log needs, so that a test can fail each of them.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

/// A directory of files, by name.
pub trait Files: Send + fmt::Debug {
    /// The names of all files.
    ///
    /// # Errors
    /// Those of the operating system.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Everything in a file.
    ///
    /// # Errors
    /// Those of the operating system; [`io::ErrorKind::NotFound`] if there is none of this name.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// So many bytes of a file.
    ///
    /// # Errors
    /// Those of the operating system; [`io::ErrorKind::UnexpectedEof`] if there are fewer.
    fn read_at(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>>;

    /// Makes an empty file, in place of one that may be there. Its name is durable only after [`Files::sync_names`].
    ///
    /// # Errors
    /// Those of the operating system.
    fn create(&mut self, name: &str) -> io::Result<()>;

    /// Writes into a file that is there. It is durable only after [`Files::sync_data`].
    ///
    /// # Errors
    /// Those of the operating system; then any part of it may have been written.
    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts a file off. It is durable only after [`Files::sync_data`].
    ///
    /// # Errors
    /// Those of the operating system.
    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()>;

    /// Takes a file away. That is durable only after [`Files::sync_names`].
    ///
    /// # Errors
    /// Those of the operating system.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Makes durable what was written into a file, and its length.
    ///
    /// # Errors
    /// Those of the operating system; then nothing is known about what was written since the last time.
    fn sync_data(&mut self, name: &str) -> io::Result<()>;

    /// Makes durable which files there are.
    ///
    /// # Errors
    /// Those of the operating system.
    fn sync_names(&mut self) -> io::Result<()>;
}

/// A directory on disk, held against every other process.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    /// The file that was written last: nearly always it is the one that is written next.
    open: Option<(String, File)>,
    lock: File,
}

impl Disk {
    /// Takes a directory, and makes it if there is none.
    ///
    /// # Errors
    /// Those of the operating system; [`io::ErrorKind::WouldBlock`] if another process, or another part of this one, holds
    /// it.
    pub fn open(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let lock = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), open: None, lock }),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn file(&mut self, name: &str) -> io::Result<&File> {
        if self.open.as_ref().is_none_or(|(open, _)| open != name) {
            let file = OpenOptions::new().read(true).write(true).open(self.path.join(name))?;
            self.open = Some((name.to_owned(), file));
        }
        Ok(&self.open.as_ref().expect("BUG: it was opened a moment ago").1)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // As for a store: a process that is being started holds a copy of the file until its exec, and the lock with it.
        let _ = self.lock.unlock();
    }
}

impl Files for Disk {
    fn list(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.filter(|name| name.as_ref().is_ok_and(|name| name != LOCK) || name.is_err()).collect()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path.join(name))
    }

    fn read_at(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        File::open(self.path.join(name))?.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        let path = self.path.join(name);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        self.open = Some((name.to_owned(), file));
        Ok(())
    }

    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file(name)?.write_all_at(bytes, offset)
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        self.file(name)?.set_len(length)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.open.take_if(|(open, _)| open == name);
        fs::remove_file(self.path.join(name))
    }

    fn sync_data(&mut self, name: &str) -> io::Result<()> {
        self.file(name)?.sync_data()
    }

    fn sync_names(&mut self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

/// Locked for as long as the directory is held.
const LOCK: &str = "lock";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_held_by_one_at_a_time() {
        let home = tempfile::tempdir().unwrap();
        let disk = Disk::open(home.path()).unwrap();
        assert_eq!(Disk::open(home.path()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(disk.list().unwrap(), Vec::<String>::new());
        drop(disk);
        Disk::open(home.path()).unwrap();
    }
}
