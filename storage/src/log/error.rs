//! What can go wrong with a log, and how damage of one shows.

use std::fmt;
use std::io;

use thiserror::Error;

/// Why a log refused or failed; what was acknowledged before is as it was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LogError {
    /// Another process, or another part of this one, holds the log.
    #[error("the log is in use; stop the other node or give this one another data directory")]
    Locked,
    /// The operating system failed the log. Nothing of the batch counts, and the next one may be tried.
    #[error("the log cannot be read or written ({0}); check the disk and its free space")]
    Io(#[source] io::Error),
    /// Nothing was changed.
    #[error("{size} {what} are over the limit of {max}; write less at once")]
    OverLimit {
        /// What was counted.
        what: &'static str,
        /// How much there was.
        size: usize,
        /// How much may be.
        max: usize,
    },
    /// There is no such entry.
    #[error("the log has {entries} entries, and none with the number {index}")]
    NoEntry {
        /// Which was asked for.
        index: u64,
        /// How many there are.
        entries: u64,
    },
    /// The entry is not what was written.
    #[error("{0}")]
    Damaged(Damaged),
    /// What was given back is not what stood there.
    #[error("entry {index} was something else: what was given back is not put in its place")]
    OtherEntry {
        /// Which entry.
        index: u64,
    },
}

/// A part of a log that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// The file in which it is.
    pub segment: String,
    /// The first entry that it concerns.
    pub first: u64,
    /// The entry behind the last one that it concerns; `first`, if all can be read nevertheless.
    pub until: u64,
    /// How it shows.
    pub how: How,
}

/// How damage of a log shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum How {
    /// The file's first bytes are not what was written; its entries can be read.
    Opening,
    /// What stands before an entry is not what was written.
    Header,
    /// An entry is not what was written.
    Entry,
    /// What was acknowledged is not there any more.
    Missing,
}

impl From<io::Error> for LogError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock => Self::Locked,
            _ => Self::Io(error),
        }
    }
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { segment, first, until, how } = self;
        let how = match how {
            How::Opening => "the opening is damaged",
            How::Header => "the header is damaged",
            How::Entry => "the entry is damaged",
            How::Missing => "what was acknowledged is missing",
        };
        match until - first {
            0 => write!(f, "{segment}: {how}; no entry is lost"),
            1 => write!(f, "{segment}, entry {first}: {how}"),
            _ => write!(f, "{segment}, entries {first} to {}: {how}", until - 1),
        }
    }
}
