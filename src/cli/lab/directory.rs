//! The directory in which the lab's nodes live, and which does not outlive the lab.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::draw::Draw;
use super::processes::system;
use crate::api::{Error, ErrorKind};

/// A directory of the lab's own. Dropping it removes all that the lab put there.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    created: bool,
    kept: bool,
}

impl Directory {
    /// `path` if given, otherwise a fresh one among the system's temporary files.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if there is something in `path` already; [`ErrorKind::System`].
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Error> {
        match path {
            Some(path) => Self::at(path),
            None => Self::create(fresh_path()),
        }
    }

    fn at(path: &Path) -> Result<Self, Error> {
        let path = std::path::absolute(path).map_err(|e| system(&format!("find {}", path.display()), &e))?;
        if !path.exists() {
            return Self::create(path);
        }
        let mut entries = fs::read_dir(&path).map_err(|e| system(&format!("read {}", path.display()), &e))?;
        if entries.next().is_some() {
            let text = format!("{} is not empty: name a directory that is empty or absent", path.display());
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        Ok(Self { path, created: false, kept: false })
    }

    fn create(path: PathBuf) -> Result<Self, Error> {
        // The nodes' keys will be in it: nobody else may look.
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|e| system(&format!("create {}", path.display()), &e))?;
        Ok(Self { path, created: true, kept: false })
    }

    /// Where it is, as an absolute path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves everything where it is.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }

    fn remove(&self) -> std::io::Result<()> {
        if self.created {
            return fs::remove_dir_all(&self.path);
        }
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // A command that was interrupted may still have written a file while the directory was being emptied.
        let mut left = if self.kept { 0 } else { REMOVAL_ATTEMPTS };
        while left > 0 && self.remove().is_err() {
            std::thread::sleep(std::time::Duration::from_millis(20));
            left -= 1;
        }
    }
}

fn fresh_path() -> PathBuf {
    let mut name = [0; 6];
    Draw::new(random_seed(), "directory").fill(&mut name);
    std::env::temp_dir().join(format!("prunella-lab-{}", data_encoding::HEXLOWER.encode(&name)))
}

/// A seed that the operating system draws.
pub(super) fn random_seed() -> u64 {
    // JSON readers that keep numbers as doubles lose the bits above 2^53, and then the seed repeats nothing.
    let seed = getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()));
    seed >> 11
}

const REMOVAL_ATTEMPTS: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_directory_is_gone_with_the_lab() {
        let directory = Directory::open(None).unwrap();
        let path = directory.path().to_owned();
        fs::create_dir(path.join("n0")).unwrap();
        fs::write(path.join("n0/key"), "secret").unwrap();
        drop(directory);
        assert!(!path.exists());
    }

    #[test]
    fn a_given_directory_is_emptied_and_left() {
        let given = tempfile::tempdir().unwrap();
        let directory = Directory::open(Some(given.path())).unwrap();
        fs::create_dir(given.path().join("n0")).unwrap();
        fs::write(given.path().join("n0.log"), "up").unwrap();
        drop(directory);
        assert_eq!(fs::read_dir(given.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_was_there_before_is_not_touched() {
        let given = tempfile::tempdir().unwrap();
        fs::write(given.path().join("mine"), "precious").unwrap();
        assert_eq!(Directory::open(Some(given.path())).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(given.path().join("mine").exists());
    }

    #[test]
    fn a_kept_directory_stays() {
        let given = tempfile::tempdir().unwrap();
        let directory = Directory::open(Some(&given.path().join("lab"))).unwrap();
        directory.keep();
        assert!(given.path().join("lab").exists());
    }
}
