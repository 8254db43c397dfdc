//! Text under keys, the same on every node.

use prunella_core::PeerId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A shared key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SharedInfo {
    /// The key.
    pub key: String,
    /// Its values, the newest first; more than one were written without knowing of each other.
    pub values: Vec<SharedValue>,
}

/// One value of a shared key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SharedValue {
    /// The value.
    pub value: String,
    /// Who wrote it and answers for it, ascending.
    pub writers: Vec<PeerId>,
    /// Their names, in the same order.
    pub writer_names: Vec<String>,
    /// When it was last written, by the writer's clock, in milliseconds since the Unix epoch.
    pub written_unix_ms: u64,
}
