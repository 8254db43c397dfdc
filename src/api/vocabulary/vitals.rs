//! How the node's process is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the node's process is, without a word from any actor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VitalsInfo {
    /// The operating system's number of the process.
    pub pid: u32,
    /// Tasks of the runtime that are alive; nodes that share a process share it.
    pub tasks: usize,
    /// Threads that run them.
    pub workers: usize,
    /// Tasks that wait in the runtime's global queue.
    pub queued: usize,
    /// How late a timer was that should have fired, in microseconds: the last one.
    pub late_us: u64,
    /// The longest of the last minute.
    pub late_max_us: u64,
    /// Messages that wait in all mailboxes.
    pub mailbox: u64,
    /// Messages that wait in the longest one.
    pub mailbox_max: u64,
    /// Changes that wait for the store.
    pub store_backlog: usize,
    /// What became of distributed traces; `None`: they are not exported.
    #[serde(default)]
    pub traces: Option<TracesInfo>,
    /// What the operating system knows; `None` where it does not tell.
    pub process: Option<ProcessInfo>,
}

/// What became of the spans of distributed traces since the node started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TracesInfo {
    /// Spans that the collector has taken.
    pub exported: u64,
    /// Spans that wait for it.
    pub queued: u64,
    /// Spans that were dropped because too many waited.
    pub dropped: u64,
    /// Spans that were sent in vain.
    pub failed: u64,
    /// Spans of other nodes' traces that were not begun, because there were too many.
    pub not_joined: u64,
    /// Whether the collector takes none now; the log says why.
    pub failing: bool,
}

/// What the operating system knows of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessInfo {
    /// Processor time, user and system, in milliseconds.
    pub processor_ms: u64,
    /// Resident memory, in bytes.
    pub resident_bytes: u64,
    /// Open file descriptors.
    pub descriptors: u64,
    /// How many it may have; `None`: as many as it likes.
    pub descriptors_max: Option<u64>,
    /// Threads.
    pub threads: u64,
    /// When it began, in seconds since the Unix epoch.
    pub started_unix: u64,
}
