//! What a node's overlay interface carries.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use prunella_core::PeerId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A node's overlay interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TunInfo {
    /// The TUN device's name; empty: the node has none.
    pub device: String,
    /// The node's overlay address.
    pub address: Ipv6Addr,
    /// The longest packet that the device takes, in bytes.
    pub mtu: u16,
    /// The domain of names that are told at the address; empty: none are.
    pub domain: String,
    /// Exposed services that are open at the address, by port.
    pub doors: BTreeMap<u16, String>,
    /// Tunnels to other nodes, by node.
    pub tunnels: Vec<TunnelInfo>,
    /// Networks that this node announces to stand behind it.
    pub announced: Vec<String>,
    /// Networks that other nodes announce, by network, and what becomes of them here.
    pub networks: Vec<NetworkInfo>,
    /// How many more were refused.
    pub networks_more: usize,
    /// What is in the way of any of them, and what to do about it.
    pub warnings: Vec<String>,
    /// Flows that other nodes began and that were judged last, the newest first.
    pub flows: Vec<FlowInfo>,
    /// What became of packets.
    pub counters: BTreeMap<String, u64>,
}

/// A tunnel to another node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TunnelInfo {
    /// The node.
    pub peer: PeerId,
    /// Its name for people.
    pub name: String,
    /// Its overlay address.
    pub address: Ipv6Addr,
    /// Packets sent and received.
    pub packets: [u64; 2],
    /// Bytes sent and received, as they went over links.
    pub bytes: [u64; 2],
    /// The longest packet that the way carries whole, as far as is known, in bytes.
    pub longest: u16,
}

/// A network that another node announces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NetworkInfo {
    /// The network, such as `10.20.0.0/16`.
    pub prefix: String,
    /// Who announces it.
    pub peer: PeerId,
    /// Its name for people.
    pub name: String,
    /// `used`: packets for it go to that node; `spare`: they would if another one were not there; `away`: the node cannot be
    /// reached; `refused`: this node does not believe it.
    pub state: String,
    /// The rules that led to it, or what is in the way.
    pub reason: String,
}

/// A flow that another node began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlowInfo {
    /// Who began it.
    pub from: PeerId,
    /// Its name for people.
    pub name: String,
    /// The protocol: `tcp`, `udp`, `icmp`, or `protocol-` and its number.
    pub protocol: String,
    /// The address that it came from: the node's, or one in a network behind it.
    pub source: IpAddr,
    /// The address that it went to: this node's, or one in a network behind it.
    pub destination: IpAddr,
    /// The port that it came from, if there are ports.
    pub source_port: u16,
    /// The port that it went to.
    pub destination_port: u16,
    /// Whether it was allowed.
    pub allowed: bool,
    /// The rules that led to it, or that there is none.
    pub reason: String,
    /// How long ago it was judged, in milliseconds.
    pub ago_ms: u64,
}
