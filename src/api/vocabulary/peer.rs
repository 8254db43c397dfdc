//! Nodes that are known, and links to neighbors.

use std::net::SocketAddr;

use prunella_core::PeerId;
use prunella_core::latency::LatencySummary;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A known node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PeerInfo {
    /// Its identity.
    pub peer: PeerId,
    /// Its name for people.
    pub name: String,
    /// Where it can be dialed.
    pub addresses: Vec<SocketAddr>,
    /// How it can be reached.
    pub state: Reach,
    /// Relays on the best path; 0 for a neighbor.
    pub relays: Option<usize>,
}

/// How a node can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// It is this node.
    Myself,
    /// Over a link.
    Neighbor,
    /// Over relays.
    Relayed,
    /// Not at all, as far as this node knows.
    Unreachable,
}

/// A neighbor's link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LinkInfo {
    /// The neighbor.
    pub peer: PeerId,
    /// Its name for people, when known.
    pub name: String,
    /// Where it is.
    pub address: Option<SocketAddr>,
    /// `up`, `late`, `down` or `dialing`.
    pub state: String,
    /// Smoothed round trip, in microseconds; 0 until one was measured.
    pub rtt_us: u64,
    /// Lost probes, in thousandths.
    pub loss_permille: u16,
    /// Frame bytes sent over the link.
    pub sent_bytes: u64,
    /// Frame bytes received over the link.
    pub received_bytes: u64,
    /// How often the link was established.
    pub established: u64,
    /// The time between two probes as it is now, in milliseconds: longer while the link is at rest; 0 without a link.
    pub probed_every_ms: u64,
    /// Whether more than 40 % of the last ten attempts to reach the neighbor failed.
    pub failing: bool,
    /// What the last round trips took.
    #[serde(default)]
    pub latency: LatencySummary,
}
