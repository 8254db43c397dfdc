//! Who belongs to the mesh, who is well, and who is believed.

use prunella_core::PeerId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Members by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberCounts {
    /// Those that are well.
    pub alive: usize,
    /// Those that some of their neighbors accuse.
    pub suspect: usize,
    /// Those that enough of their neighbors have accused for long enough.
    pub down: usize,
}

/// How the mesh stands, as this node sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Standing {
    /// Members, ordered by id.
    pub members: Vec<MemberInfo>,
    /// Whether there are more: ask again, after the last of these.
    #[serde(default)]
    pub more: bool,
    /// Members within reach, this node included.
    pub reachable: usize,
    /// Members that a quorum is counted of, this node included.
    pub known: usize,
    /// Whether more than half of them are within reach.
    pub has_quorum: bool,
    /// How ill this node thinks itself, 0 (well) to 8: the iller, the longer it takes to accuse others.
    pub ill_health: u8,
    /// Records held.
    pub records: usize,
    /// Neighbors with a usable link.
    pub neighbors: usize,
    /// Those of them that have told that they hold the same records.
    pub neighbors_in_sync: usize,
}

/// A member of the mesh.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemberInfo {
    /// Its identity.
    pub peer: PeerId,
    /// Its name for people.
    pub name: String,
    /// "alive", "suspect" or "down".
    pub status: String,
    /// Where it stands, as it says; empty: nowhere in particular.
    pub region: String,
    /// Who accuses it at present.
    pub accusers: Vec<PeerId>,
    /// Which of its neighbors, of now or before, believe it no more for what it sent.
    pub distrusted_by: Vec<PeerId>,
    /// How far this node believes it, 0.0 to 1.0.
    pub reputation: f64,
}

/// A part of what another node's reputation has lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BlameInfo {
    /// The name of the fault.
    pub fault: String,
    /// What it takes away now, 0.0 to 1.0.
    pub taken: f64,
}
