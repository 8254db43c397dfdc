//! A node at a glance.

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};

use prunella_core::PeerId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LedgerGlance, MemberCounts};

/// A node at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The node's identity.
    pub peer: PeerId,
    /// Its name for people.
    pub name: String,
    /// The trust domain of its mesh.
    pub trust_domain: String,
    /// The version of the program.
    pub version: String,
    /// The process.
    pub pid: u32,
    /// Where it listens (UDP).
    pub listen: SocketAddr,
    /// Where its HTTP API is served over TCP, as a URL, if it is.
    #[serde(default)]
    pub http: Option<String>,
    /// Its address in the overlay.
    pub overlay_address: Ipv6Addr,
    /// How long it has run, in milliseconds.
    pub uptime_ms: u64,
    /// Links that are up.
    pub links_up: usize,
    /// Nodes that are known, this one included.
    pub peers_known: usize,
    /// Nodes that can be reached, this one not counted.
    pub peers_reachable: usize,
    /// Members by status: alive, suspect, down.
    pub members: MemberCounts,
    /// Whether more than half of the members are within reach; without, governed state is read-only here.
    pub has_quorum: bool,
    /// Whether every neighbor has told that it holds the same records as this node.
    pub converged: bool,
    /// Incidents that are open.
    pub incidents_open: usize,
    /// This node's ledger.
    #[serde(default)]
    pub ledger: LedgerGlance,
    /// A policy that was refused, and what was in force stays in force; `None`: all is well.
    #[serde(default)]
    pub policy_refused: Option<String>,
    /// When the certificate expires, in seconds since the Unix epoch.
    pub certificate_expires_unix: u64,
    /// Frames and packets by what became of them, and rejections by reason; ordered by name.
    pub counters: BTreeMap<String, u64>,
}
