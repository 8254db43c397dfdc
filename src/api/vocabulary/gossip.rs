//! How a node's gossip goes.

use std::collections::BTreeMap;

use prunella_core::PeerId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a node's gossip goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GossipInfo {
    /// What the gossip actor says; `None` while it does not answer.
    pub told: Option<GossipTold>,
    /// Messages on the links of this process, by what they are.
    pub messages: Vec<ControlInfo>,
    /// Bytes of the messages that were queued for neighbors.
    pub sent_bytes: u64,
    /// Bytes of the messages that were heard.
    pub received_bytes: u64,
    /// Messages that were dropped because a neighbor reads too slowly.
    pub dropped: u64,
    /// What came from outside and was turned away, by the reason's name; only where there was any.
    pub rejected: BTreeMap<String, u64>,
}

/// What the gossip actor says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GossipTold {
    /// Records held.
    pub records: usize,
    /// Records that neighbors have announced and that have not come yet.
    pub waiting: usize,
    /// Neighbors with a usable link, ordered by peer.
    pub neighbors: Vec<GossipNeighbor>,
}

/// A neighbor's part in the gossip, since its link came up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GossipNeighbor {
    /// The neighbor.
    pub peer: PeerId,
    /// Its name for people.
    pub name: String,
    /// Whether it is pushed what is new (`true`: a branch of the tree), or told that there is something.
    pub eager: bool,
    /// Whether it has told that it holds the same records.
    pub in_sync: bool,
    /// How many records it held when it last said; this node's number beside it says how far apart the two are.
    pub held_there: Option<u32>,
    /// How long ago it was told what this node holds, in milliseconds.
    pub greeted_ms: Option<u64>,
    /// How long ago it said something about what it holds, in milliseconds.
    pub heard_ms: Option<u64>,
    /// How long ago both held the same, as far as it has told, in milliseconds.
    pub agreed_ms: Option<u64>,
    /// Rounds over a sketch of what differs.
    pub rounds: u64,
    /// Full syncs.
    pub syncs: u64,
    /// Records that were given to it because it lacked them.
    pub given: u64,
    /// Records that it gave and that were news here.
    pub taken: u64,
}

/// Messages of one kind on all links.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ControlInfo {
    /// What they are.
    pub kind: String,
    /// How many were queued for neighbors.
    pub sent: u64,
    /// How many were heard.
    pub received: u64,
}
