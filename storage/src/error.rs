//! What can go wrong with a store: each text says what happened, where, and the way out, in one line.

use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a store refused or failed; a failed call leaves what was flushed before as it was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process, or another part of this one, holds the store.
    #[error("the store at {path} is in use; stop the other node or give this one another data directory", path = .path.display())]
    Locked {
        /// The store's directory.
        path: PathBuf,
    },
    /// What is on disk is not what was written.
    #[error("the store at {path} is damaged ({source}); start with --rebuild to set it aside and refill from neighbors", path = .path.display())]
    Damaged {
        /// The store's directory.
        path: PathBuf,
        /// How it shows.
        source: Damage,
    },
    /// The operating system failed the store.
    #[error("the store at {path} cannot be read or written ({source}); check the disk and its free space, then start again", path = .path.display())]
    Io {
        /// The store's directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The process lacks the permission.
    #[error("the store at {path} may not be opened by this user; run as its owner or change the permissions", path = .path.display())]
    Denied {
        /// The store's directory.
        path: PathBuf,
    },
    /// The directory belongs to something else; nothing in it was changed.
    #[error("{path} holds files of another program; give the node a data directory of its own", path = .path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// Another version wrote the store, in a format that this one does not know.
    #[error("the store at {path} has format {found}, this program knows only {known}; start the version that wrote it", path = .path.display())]
    OtherFormat {
        /// The store's directory.
        path: PathBuf,
        /// The format that the store names.
        found: u32,
        /// The format of this program.
        known: u32,
    },
    /// An earlier call failed so that the store no longer knows what is on disk; a new process finds out, or another store
    /// takes its place.
    #[error("the store at {path} stopped after an earlier failure; a plan rebuilds it, or restart the node to reopen it", path = .path.display())]
    Stopped {
        /// The store's directory.
        path: PathBuf,
    },
    /// A batch is larger than allowed; nothing was changed.
    #[error("{size} {what} are over the limit of {max}; write less at once")]
    OverLimit {
        /// What was counted.
        what: &'static str,
        /// How much there was.
        size: usize,
        /// How much may be.
        max: usize,
    },
    /// A [`FaultyStore`](crate::FaultyStore) was told to fail here.
    #[error("call {call} to the store failed on purpose")]
    Injected {
        /// Which call it was, counted from 1.
        call: u64,
    },
}

/// How a damaged store shows its damage.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Damage {
    /// The database engine says so.
    #[error("{}", first_line(&.0.to_string()))]
    Engine(#[source] sled::Error),
    /// The database engine met a state that it believed impossible.
    #[error("the engine gave up: {0}")]
    Panic(String),
    /// Files of the store are gone.
    #[error("its data file is missing")]
    Missing,
    /// What was written first is no longer there.
    #[error("its format marker is lost")]
    Unmarked,
    /// The newest change on disk is older than one that was promised to be durable.
    #[error("changes {found} to {promised} are lost")]
    Lost {
        /// The newest change that is there.
        found: u64,
        /// The newest change that must be there.
        promised: u64,
    },
    /// The entries are not those that were written.
    #[error("its entries do not add up")]
    Sum,
}

impl StoreError {
    /// Names an error of the operating system.
    pub(crate) fn io(path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::Denied { path },
            _ => Self::Io { path, source: error },
        }
    }

    pub(crate) fn damaged(path: &Path, source: Damage) -> Self {
        Self::Damaged { path: path.to_owned(), source }
    }

    /// Names an error of the database engine.
    pub(crate) fn engine(path: &Path, error: sled::Error) -> Self {
        match error {
            // The engine tells this only in words.
            sled::Error::Io(error) if error.to_string().starts_with("could not acquire lock") => {
                Self::Locked { path: path.to_owned() }
            }
            sled::Error::Io(error) if is_corruption(error.kind()) => {
                Self::damaged(path, Damage::Engine(sled::Error::Io(error)))
            }
            sled::Error::Io(error) => Self::io(path, error),
            other => Self::damaged(path, Damage::Engine(other)),
        }
    }

    /// Names what a panic of the database engine said.
    pub(crate) fn panic(path: &Path, payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("without a word");
        Self::damaged(path, Damage::Panic(first_line(text).to_owned()))
    }
}

/// Whether an error while reading means that the file is not what it was, rather than that the disk failed.
fn is_corruption(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, NotFound, UnexpectedEof};
    matches!(kind, InvalidData | InvalidInput | NotFound | UnexpectedEof)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(kind: io::ErrorKind, text: &str) -> StoreError {
        StoreError::engine(Path::new("/data/store"), sled::Error::Io(io::Error::new(kind, text)))
    }

    #[test]
    fn errors_of_the_engine_are_told_apart() {
        use io::ErrorKind::{Other, PermissionDenied, ReadOnlyFilesystem, StorageFull, UnexpectedEof};
        assert!(matches!(named(PermissionDenied, "no"), StoreError::Denied { .. }));
        assert!(matches!(named(ReadOnlyFilesystem, "no"), StoreError::Denied { .. }));
        assert!(matches!(named(StorageFull, "full"), StoreError::Io { .. }));
        assert!(matches!(named(UnexpectedEof, "short"), StoreError::Damaged { .. }));
        assert!(matches!(named(Other, "could not acquire lock on \"db\""), StoreError::Locked { .. }));
    }

    #[test]
    fn the_text_is_one_line_with_place_and_way_out() {
        let payload: Box<dyn Any + Send> = Box::new("assertion failed\n  left: 1\n right: 2".to_owned());
        let text = StoreError::panic(Path::new("/data/store"), &*payload).to_string();
        assert_eq!(
            text,
            "the store at /data/store is damaged (the engine gave up: assertion failed); \
             start with --rebuild to set it aside and refill from neighbors"
        );
    }
}
