//! Paths, and why traffic takes the one that it takes.

use prunella_core::PeerId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A path to a destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PathInfo {
    /// From this node to the destination, both included.
    pub hops: Vec<PeerId>,
    /// The same by name.
    pub names: Vec<String>,
    /// `in-use`, `warm` (probed, ready), `late`, `dead` or `spare`.
    pub state: String,
    /// The path's cost (lower is better).
    pub cost: u64,
    /// Smoothed round trip of its probes, in microseconds; 0 while unknown.
    pub rtt_us: u64,
    /// The lanes whose traffic takes it; none unless traffic is spread.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lanes: Vec<LaneInfo>,
    /// What speaks for it and against it, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<PathWhy>,
}

/// A lane: one of the sessions over which traffic to a destination is spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LaneInfo {
    /// Its number. Lane 0 follows the route, and so does each that has no path of its own.
    pub lane: u8,
    /// Streams of services that this node has opened on it and that are not over.
    pub streams: u64,
    /// Bytes of packets that this node has sent on it, on whatever paths.
    pub sent_bytes: u64,
}

/// What speaks for a path and against it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PathWhy {
    /// What decided: `chosen` (works, and no other costs so much less that it is worth a change), `least` (in use for want
    /// of one that works better), `dearer`, `hardly-cheaper`, `on-probation`, `doubted` (probes return, payload was not
    /// acknowledged), `rising` (its round trip was about to pass its limit), `next`, `unproven`, `overdue`, `late`, `dead` or `unwatched`.
    pub verdict: String,
    /// Its cost by that of the path in use, in thousandths, where that decided.
    pub cost_permille: Option<u64>,
    /// For how long it has worked, or has been doubted, and for how long it must have before traffic moves to it, in
    /// milliseconds, where that decided.
    pub probation_ms: Option<(u64, u64)>,
    /// How many relays and links it has in common with the paths before it.
    pub shared: usize,
    /// Its links, in order of travel.
    pub links: Vec<PathLinkInfo>,
}

/// What a link adds to the cost of a path.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PathLinkInfo {
    /// The node that sends.
    pub from: PeerId,
    /// The node that receives.
    pub to: PeerId,
    /// The smoothed round trip that both ends told, the longer one, in microseconds.
    pub rtt_us: u32,
    /// The share of lost probes that both ends told, the larger one, in thousandths.
    pub loss_permille: u16,
    /// What it adds, in microseconds of expected delivery.
    pub cost: u64,
}
