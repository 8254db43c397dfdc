//! What is done in the kernel for a node.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use prunella_core::PeerId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The half of a node's datapath that is in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KernelInfo {
    /// Why nothing is done in the kernel; empty: something is.
    pub off: String,
    /// The interfaces that the program is attached to: in the `driver`, or in the kernel's `generic` part.
    pub interfaces: BTreeMap<String, String>,
    /// What is less than was asked for.
    pub shortcomings: Vec<String>,
    /// Frames that were passed on there.
    pub forwarded: u64,
    /// What was seen of each neighbor's datagrams; empty where links are not observed.
    pub neighbors: Vec<KernelNeighbor>,
    /// Sources without a link, those of which most was dropped first.
    pub sources: Vec<KernelSource>,
    /// How many more such sources there are.
    pub sources_more: usize,
    /// Nodes to which programs of this host had to send anew what they sent over TCP.
    pub sent_anew: Vec<SentAnew>,
}

/// A neighbor as the kernel sees it. Nothing of it is authenticated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KernelNeighbor {
    /// The neighbor.
    pub peer: PeerId,
    /// Its name for people.
    pub name: String,
    /// Where it is.
    pub address: SocketAddr,
    /// Probes of the link that came back.
    pub echoes: u64,
    /// How long they were away, in microseconds: a moving mean, without the time that they waited for the node's process.
    pub rtt_us: u64,
    /// The least of it.
    pub rtt_least_us: u64,
    /// Datagrams of the neighbor that this host dropped: a firewall, a full socket.
    pub dropped_in: u64,
    /// Datagrams for it that this host dropped: a firewall, a full queue, no way.
    pub dropped_out: u64,
}

/// A source without a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KernelSource {
    /// Its address.
    pub address: IpAddr,
    /// Its port, if it is shut out; otherwise all ports are counted together.
    pub port: Option<u16>,
    /// Datagrams that went up to the process.
    pub passed: u64,
    /// Datagrams dropped.
    pub dropped: u64,
}

/// Segments that were sent anew to a node, over TCP, by programs that use the overlay interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SentAnew {
    /// The node's name for people; empty if no such node is known.
    pub name: String,
    /// Its overlay address.
    pub address: Ipv6Addr,
    /// How many.
    pub segments: u64,
}
