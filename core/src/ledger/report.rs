//! What the keeper tells of what is wrong, and stays so until something is done about it.

use serde::{Deserialize, Serialize};

use super::Broken;
use super::role::damage_in_words;
use super::witness::Fault;
use crate::PeerId;

/// How a ledger is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// This node's own is not what was written.
    Damaged {
        /// How that shows, in words.
        how: String,
    },
    /// This node's own is as it was written, or as it was again.
    Sound,
    /// This node's disk was set back, or somebody else has its key.
    SetBack {
        /// How many entries there were.
        found: u64,
        /// How many others have seen.
        witnessed: u64,
    },
    /// Another node's is not what it was.
    Broken {
        /// Whose.
        ledger: PeerId,
        /// In which way.
        fault: Fault,
        /// The heads that show it.
        evidence: String,
    },
}

impl Report {
    /// This node's own ledger is not what was written: these entries are not, or `broken` says what does not fit.
    pub(super) fn damaged(entries: &[u64], broken: Option<Broken>) -> Self {
        Self::Damaged { how: damage_in_words(entries, broken) }
    }
}
