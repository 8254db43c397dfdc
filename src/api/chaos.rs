//! The vocabulary of faults on purpose: what can be broken, how, and for how long.
//!
//! Every fault ends by itself. A new one takes the place of the one that strikes the same thing.

pub use prunella_core::limits::HOG_THREADS_MAX;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What can be broken on a node that consents (`chaos.allow = true`), and mended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "chaos", rename_all = "kebab-case")]
pub enum Order {
    /// Impair the link to a neighbor, in one direction or both.
    Link {
        /// The neighbor: a peer id, a prefix of one, or a node's name.
        neighbor: String,
        /// Strike what is sent to it.
        sent: bool,
        /// Strike what comes from it.
        received: bool,
        /// What happens to the datagrams.
        impairment: LinkImpairment,
        /// Repeats which datagrams are struck; chosen at random if absent.
        #[serde(default)]
        seed: Option<u64>,
        /// How long, in milliseconds.
        for_ms: u64,
    },
    /// Hold up an actor. Its restart ends the fault early.
    Actor {
        /// The actor's name as `actors` lists it.
        actor: String,
        /// How long each message takes, in milliseconds; absent for an actor that handles none at all.
        each_ms: Option<u64>,
        /// How long, in milliseconds.
        for_ms: u64,
    },
    /// Keep threads of the node's process busy.
    CpuHog {
        /// How many.
        threads: u16,
        /// How long, in milliseconds.
        for_ms: u64,
    },
    /// Set the wall clock wrong, as this node sees it.
    Clock {
        /// By how much, in seconds; below zero it is late.
        offset_s: i64,
        /// How long, in milliseconds.
        for_ms: u64,
    },
    /// Make the disk slow or full, as the node's store sees it, or have the store stop after an error of it.
    Disk {
        /// How long every call takes longer, in milliseconds; absent for a disk that is full: nothing can be written.
        slow_ms: Option<u64>,
        /// Whether instead the store stops: it refuses everything until another one takes its place.
        #[serde(default)]
        stopped: bool,
        /// How long, in milliseconds.
        for_ms: u64,
    },
    /// Have the certificate renewed now, as if it were about to expire.
    Certificate,
    /// End every fault.
    Clear,
    /// The faults in force.
    Status,
}

/// What is done to the datagrams of a link; shares are in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LinkImpairment {
    /// The share that is lost.
    pub drop_permille: u16,
    /// The share that goes twice.
    pub duplicate_permille: u16,
    /// The share that later ones overtake.
    pub reorder_permille: u16,
    /// How long each is held back, in milliseconds.
    pub delay_ms: u32,
    /// How much longer than that, at most, in milliseconds.
    pub jitter_ms: u32,
    /// How many bytes pass in a second; zero for as many as come.
    pub bytes_per_second: u64,
    /// Whether packets of sessions are lost, while probes and the link's own connection pass.
    pub gray: bool,
}

impl LinkImpairment {
    /// Everything is lost.
    pub const CUT: LinkImpairment = LinkImpairment {
        drop_permille: 1000,
        duplicate_permille: 0,
        reorder_permille: 0,
        delay_ms: 0,
        jitter_ms: 0,
        bytes_per_second: 0,
        gray: false,
    };
}

impl Order {
    /// Cuts the link to a neighbor, in one direction or both, for ten minutes or until it is cleared.
    pub fn cut(neighbor: impl Into<String>, sent: bool, received: bool) -> Self {
        Order::impair(neighbor, (sent, received), LinkImpairment::CUT, 600_000)
    }

    /// Impairs the link to a neighbor, sent and received or one of them, for so many milliseconds.
    pub fn impair(neighbor: impl Into<String>, ways: (bool, bool), impairment: LinkImpairment, for_ms: u64) -> Self {
        let (sent, received) = ways;
        Order::Link { neighbor: neighbor.into(), sent, received, impairment, seed: None, for_ms }
    }
}

/// A fault in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InForce {
    /// What it strikes, such as `link b sent`, `actor gossip` or `clock`.
    pub subject: String,
    /// What it does.
    pub does: String,
    /// In how many milliseconds it ends by itself.
    pub left_ms: u64,
}
