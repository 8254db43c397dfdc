//! The policy in force, and questions to it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::policy::ActionName;

/// The policy in force at a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyInfo {
    /// The name of its file.
    pub source: String,
    /// Whether it was set for the whole mesh; otherwise it is the node's own file.
    pub is_of_mesh: bool,
    /// The version under which the mesh set it, or sent every node back to its own file; 0: the mesh has said nothing.
    pub version: u64,
    /// The beginning of its digest (BLAKE3), 16 hexadecimal digits.
    pub digest: String,
    /// Its rules, each with its name, as they are written; their order means nothing.
    pub rules: Vec<String>,
    /// Its limits, as sentences.
    pub limits: Vec<String>,
    /// How many streams that peers opened are watched.
    pub streams: usize,
    /// The last document that was refused as a whole, if nothing newer is in force: its version, where and why.
    pub refused: Option<String>,
}

/// A question to the policy in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyAsked {
    /// Who asks: a peer id, a prefix of one, or a node's name.
    pub from: String,
    /// For what.
    pub action: ActionName,
    /// About which service.
    #[serde(default)]
    pub service: Option<String>,
    /// About which agent.
    #[serde(default)]
    pub agent: Option<String>,
    /// About which flow of IP packets: `tcp/22`, say.
    #[serde(default)]
    pub flow: Option<String>,
    /// About which network: `10.20.0.0/16`, say.
    #[serde(default)]
    pub route: Option<String>,
    /// About which command.
    #[serde(default)]
    pub command: Option<String>,
    /// Facts to be supposed of whoever asks, as keys and values; the others are as the node knows them.
    #[serde(default)]
    pub facts: Vec<(String, String)>,
}
