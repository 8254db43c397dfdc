//! What a recording says.

use bincode::{Decode, Encode};

use super::{Digest, RoleName};
use crate::wire::codec;
use crate::{PeerId, Rejected};

/// Whose recording a file is part of.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Header {
    /// The node.
    pub node: PeerId,
    /// The version of the program.
    pub program: String,
    /// The role; the lives of all its actors are in the file.
    pub role: RoleName,
    /// When the run of the node began, in milliseconds since the Unix epoch.
    pub run_unix_ms: u64,
    /// The file's place among the files of this role and run, from 0.
    pub segment: u64,
}

/// One thing that is written down. Times are nanoseconds since the node's boot.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Entry {
    /// A life of the role begins.
    Started(Started),
    /// The role heard something, or was woken.
    Handled(Handled),
    /// From here on this life is not recorded: entries were dropped.
    Lost {
        /// Which life.
        life: u64,
        /// How many entries were dropped before this could be written.
        dropped: u64,
    },
}

/// The beginning of a life.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Started {
    /// Its number, unique within the run.
    pub life: u64,
    /// The name of the actor.
    pub actor: String,
    /// When.
    pub at: u64,
    /// What the machine was made of: a [`Start`](super::Recorded::Start).
    pub start: Vec<u8>,
}

/// One input, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Handled {
    /// Which life.
    pub life: u64,
    /// The input's number within the life, from 1 and without a gap.
    pub number: u64,
    /// When.
    pub at: u64,
    /// The input; `None`: the role was woken.
    pub heard: Option<Vec<u8>>,
    /// What the role signed.
    pub signatures: Vec<Vec<u8>>,
    /// What came out of it.
    pub outcome: Outcome,
}

/// What came out of one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Outcome {
    /// These effects.
    Effects(Digest),
    /// The role panicked.
    Panicked,
}

impl Entry {
    /// About how long the entry is, in bytes; never shorter than it really is.
    pub fn bytes(&self) -> usize {
        const FIXED: usize = 96;
        FIXED
            + match self {
                Entry::Started(started) => started.actor.len() + started.start.len(),
                Entry::Handled(handled) => {
                    let signatures: usize = handled.signatures.iter().map(|signature| signature.len() + 9).sum();
                    handled.heard.as_ref().map_or(0, Vec::len) + signatures
                }
                Entry::Lost { .. } => 0,
            }
    }

    /// The entry as it is written.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode_entry(self)
    }

    /// The entry that was written.
    ///
    /// # Errors
    /// Why these bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Rejected> {
        codec::decode_entry(bytes)
    }
}

impl Header {
    /// The header as it is written.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode_entry(self)
    }

    /// The header that was written.
    ///
    /// # Errors
    /// Why these bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Rejected> {
        codec::decode_entry(bytes)
    }
}
