//! How a node's store does.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a node's store does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StoreInfo {
    /// `well`; `slow` (a write has been under way for over a second); or `failing` (the last one failed, and is tried again).
    pub state: String,
    /// Where it is.
    pub directory: String,
    /// Bytes of its files, as they were last weighed.
    pub disk_bytes: u64,
    /// What each of its trees holds, as it was last weighed.
    pub trees: Vec<TreeInfo>,
    /// How long ago it was weighed, in milliseconds; `None` before it was.
    pub weighed_ms: Option<u64>,
    /// Changes that wait to be written.
    pub waiting: usize,
    /// How long the write that is under way has been so, in milliseconds.
    pub writing_ms: Option<u64>,
    /// Writes that became durable since the node started; each has all that waited then.
    pub writes: u64,
    /// Writes that failed since.
    pub failures: u64,
    /// How long ago something last became durable, in milliseconds.
    pub wrote_ms: Option<u64>,
    /// How long that took, with its flush, in microseconds.
    pub took_us: u64,
    /// How long half of the writes took at most, in microseconds, to a factor of two; `None` before the first one.
    pub took_p50_us: Option<f64>,
    /// How long 99 of 100 took at most, likewise.
    pub took_p99_us: Option<f64>,
    /// How long the slowest took, in microseconds.
    pub longest_us: u64,
    /// How long ago it last failed, in milliseconds.
    pub failed_ms: Option<u64>,
    /// Why.
    pub failure: Option<String>,
}

/// A tree of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TreeInfo {
    /// What is in it.
    pub tree: String,
    /// Entries; `None` if it could not be read.
    pub entries: Option<u64>,
    /// Bytes of their keys and values.
    pub bytes: Option<u64>,
}
