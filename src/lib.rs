//! Prunella: a self-healing, zero-trust mesh network, built as a supervised actor system.

pub mod actors;
pub mod api;
pub mod cli;
pub mod config;
pub mod datapath;
pub mod host;
pub mod messages;
pub mod metrics;
pub mod names;
pub mod policy;
pub mod security;
pub mod spans;
pub mod supervision;
pub mod transport;

pub use api::configuration::MeshConfig;
pub use api::embed::{
    Broadcast, Candidate, Connection, ConnectionState, Discovering, DiscoveryService, MeshNode, SharedValues,
    StaticDiscovery,
};
pub use api::vocabulary::{PeerInfo, SharedInfo, SharedValue};
pub use api::{Error, ErrorKind, PeerId, Request, Response};
