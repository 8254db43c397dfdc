//! Why this node does not write a shared value.

use serde::{Deserialize, Serialize};

use crate::limits::{
    RECORD_KEY_BYTES_MAX, SHARED_KEYS_MAX, SHARED_KEYS_PER_ORIGIN_MAX, SHARED_TOMBSTONE_LIFE, SHARED_VALUE_BYTES_MAX,
};

/// Why a write of this node's own was refused. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The key is not one.
    #[error("a shared key is 1 to {RECORD_KEY_BYTES_MAX} letters (a-z, A-Z), digits, or any of . _ - / :")]
    BadKey,
    /// The value is too long.
    #[error("the value has {bytes} bytes, at most {SHARED_VALUE_BYTES_MAX} are allowed")]
    LongValue {
        /// Its length.
        bytes: usize,
    },
    /// There is nothing to remove.
    #[error("there is no such shared key")]
    NoSuchKey,
    /// This node writes as many keys as one node may.
    #[error(
        "this node already writes {SHARED_KEYS_PER_ORIGIN_MAX} shared keys, as many as one may; a removed one counts \
         until the removal is forgotten, {} days later",
        SHARED_TOMBSTONE_LIFE.as_secs() / 86_400
    )]
    TooManyOwnKeys,
    /// The mesh has as many keys as it may.
    #[error("the mesh already has {SHARED_KEYS_MAX} shared keys, as many as it may")]
    TooManyKeys,
    /// Too few of the known nodes can be reached to be sure that no other part decides otherwise.
    #[error(
        "this part of the mesh has {reachable} of {known} nodes, fewer than a quorum; shared values are read-only here \
         until the parts meet again"
    )]
    NoQuorum {
        /// Nodes in this part, this one included.
        reachable: usize,
        /// Nodes known, this one included.
        known: usize,
    },
}
