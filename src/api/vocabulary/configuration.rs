//! The configuration in force, and where each value comes from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A key of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SettingInfo {
    /// The key, with its section.
    pub key: String,
    /// Its value in force, as TOML.
    pub value: String,
    /// Where it comes from: `default`, `FILE:LINE:COLUMN`, `program` (in which the node is embedded), `RUST_LOG`, or `set`
    /// (while the node runs).
    pub origin: String,
    /// What the file says by now, if that is something else: it counts when the node is started anew.
    pub pending: Option<String>,
    /// Whether it may be set while the node runs.
    pub live: bool,
}
