//! Who is linked with whom.

use prunella_core::PeerId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The mesh as a graph, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TopologyInfo {
    /// Who answers.
    pub me: PeerId,
    /// Known nodes, ordered by id.
    pub nodes: Vec<TopologyNode>,
    /// Whether there are more: ask again, after the last of these.
    pub more: bool,
}

/// A node and its links.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TopologyNode {
    /// Its identity.
    pub peer: PeerId,
    /// Its name for people.
    pub name: String,
    /// Where it stands, as it says; empty: nowhere in particular.
    pub region: String,
    /// "alive", "suspect" or "down".
    pub status: String,
    /// Its usable links, as it says.
    pub links: Vec<TopologyLink>,
}

/// A link as one of its ends measures it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TopologyLink {
    /// The neighbor at the other end.
    pub to: PeerId,
    /// Smoothed round trip, in microseconds.
    pub rtt_us: u32,
    /// Lost probes, in thousandths.
    pub loss_permille: u16,
    /// Whether the neighbor says the same: only then it counts.
    pub agreed: bool,
}
