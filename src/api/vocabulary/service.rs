//! Services of the mesh, and forwards of a node.

use std::net::SocketAddr;

use prunella_core::PeerId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An exposed service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceInfo {
    /// Its name.
    pub name: String,
    /// The node that exposes it.
    pub provider: PeerId,
    /// That node's name.
    pub provider_name: String,
    /// Where it listens; told only by the provider itself.
    pub target: Option<String>,
}

/// A forward of this node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ForwardInfo {
    /// The service.
    pub name: String,
    /// Where this node listens for it.
    pub listen: SocketAddr,
    /// Connections open now.
    pub open: u64,
    /// Connections since it was set up.
    pub total: u64,
}
