//! The library's own handle on a node that runs in the calling process.
//!
//! [`MeshNode`] starts and stops the node and speaks the one vocabulary; [`Connection`] carries messages to a peer;
//! [`DiscoveryService`] is how an embedder names neighbors that it knows of from elsewhere.

mod broadcast;
mod connection;
mod discovery;
mod inbox;
mod life;
mod mesh_node;
mod reach;
mod shared_values;

pub use broadcast::Broadcast;
pub use connection::{Connection, ConnectionState};
pub use discovery::{Candidate, Discovering, DiscoveryService, StaticDiscovery};
pub use mesh_node::MeshNode;
pub use shared_values::SharedValues;

// The first program that an embedder reads is compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/embedding.md")]
struct EmbeddingGuide;

// So is the one in the README, by which most people meet the library.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
