//! The recording of what roles hear.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether and how what roles hear is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JournalInfo {
    /// Whether it is, now.
    pub recording: bool,
    /// Where the recordings of all runs are.
    pub directory: String,
    /// The recording of this run, below that; `None` if nothing is recorded.
    pub run: Option<String>,
    /// When it began, in milliseconds since the Unix epoch.
    pub since_unix_ms: Option<u64>,
    /// How long a file may become, in bytes; of each role the last two are kept.
    pub file_bytes_max: u64,
    /// Bytes of the files of this run.
    pub bytes: u64,
    /// Bytes of the files of earlier runs that are kept.
    pub earlier_bytes: u64,
    /// How many earlier runs are kept.
    pub earlier_runs: usize,
    /// Each role that was recorded in this run, in the order in which they are started.
    pub roles: Vec<JournalRole>,
}

/// The recording of one role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JournalRole {
    /// The role.
    pub role: String,
    /// Its files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// How long ago the oldest of them was begun, in milliseconds: so much time is held.
    pub held_ms: Option<u64>,
    /// Entries since the node started, also those in files that are not kept any more.
    pub entries: u64,
    /// Entries that were dropped since, because the recorder could not keep up or they were too long.
    pub dropped: u64,
    /// Lives of the role that are recorded no further because of that.
    pub gaps: u64,
}
