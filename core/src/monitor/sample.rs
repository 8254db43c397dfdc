//! Samples: what the monitor hears regularly about its own process, its links, its paths and its store.
//!
//! Counters are cumulative, so that a lost sample costs nothing but time. What a shell cannot measure it leaves out
//! (`None`, or no entry): a detector without samples is silent.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{PeerId, Rejected};

/// How this process is; every 10 ms.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessSample {
    /// How much later than it wanted to be the process was woken for this sample.
    pub late: Duration,
    /// What the wall clock says, in milliseconds since the Unix epoch.
    pub unix_ms: u64,
    /// Processor time used since the process began.
    pub processor: Option<Duration>,
    /// Resident memory, in bytes.
    pub memory: Option<u64>,
    /// Open file descriptors.
    pub descriptors: Option<u64>,
}

/// How one actor is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorSample {
    /// Its name.
    pub actor: String,
    /// Messages handled since the process began.
    pub handled: u64,
    /// Messages that wait.
    pub waiting: u64,
    /// How long the oldest of them has waited.
    pub oldest: Option<Duration>,
}

/// What one link has carried since it was installed, as the datapath counts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkSample {
    /// The neighbor.
    pub peer: PeerId,
    /// Frames sent.
    pub sent: u64,
    /// Bytes of frames sent.
    pub sent_bytes: u64,
    /// Authentic frames received.
    pub heard: u64,
    /// Bytes of authentic frames received.
    pub heard_bytes: u64,
    /// Frames turned away, by reason, in the order of [`Rejected::ALL`].
    pub rejected: [u64; Rejected::ALL.len()],
}

/// What the session with one destination has sent, as it counts itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathSample {
    /// The destination.
    pub destination: PeerId,
    /// Packets sent.
    pub sent: u64,
    /// Packets that are known to be lost.
    pub lost: u64,
    /// Acknowledgments heard.
    pub acknowledged: u64,
}
