//! Who stands close together.

use prunella_core::PeerId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What latencies say about regions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegionsInfo {
    /// Clusters, the one of this node first, then the largest. The last of an answer may go on in the next one.
    pub clusters: Vec<ClusterInfo>,
    /// Those of their members that should perhaps name another region.
    pub hints: Vec<RegionHint>,
    /// Whether there are more members: ask again, from the number of those that were told on.
    #[serde(default)]
    pub more: bool,
}

/// Nodes that stand close together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClusterInfo {
    /// Its number, from 1.
    #[serde(default)]
    pub number: usize,
    /// Who they are.
    pub members: Vec<PeerId>,
    /// Their names, in the same order.
    pub names: Vec<String>,
    /// The region that most of them name; `None` if none of them does, or two are named equally often.
    pub region: Option<String>,
    /// The middle one of the round trips between them, in microseconds; `None` if no link between two of them is known.
    pub inside_us: Option<u32>,
}

/// A region that a node should perhaps name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegionHint {
    /// The node.
    pub peer: PeerId,
    /// Its name.
    pub name: String,
    /// The region that it names; empty: none.
    pub named: String,
    /// The region that most nodes near it name.
    pub measured: String,
}
