//! Whom or what an incident concerns, and what may be its cause.

use std::fmt;

use serde::Serialize;

use crate::PeerId;

/// A part of the mesh, or of this node, that can be at fault.
///
/// The order is from the particular to the general: of two that explain the same, the smaller one is to be suspected.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Subject {
    /// An actor of this node, by name.
    Actor(String),
    /// This node's store.
    Store,
    /// This node's ledger.
    Ledger,
    /// This node's certificate.
    Certificate,
    /// The rules in force.
    Policy,
    /// The paths to a destination.
    Path(PeerId),
    /// The link to a neighbor.
    Link(PeerId),
    /// A node that others' traffic passes through.
    Relay(PeerId),
    /// A node.
    Peer(PeerId),
    /// All nodes of a region, by name.
    Region(String),
    /// The machine that this node runs on.
    Host,
}

impl Subject {
    /// What kind of thing it is.
    pub const fn name(&self) -> &'static str {
        match self {
            Subject::Actor(_) => "actor",
            Subject::Store => "store",
            Subject::Ledger => "ledger",
            Subject::Certificate => "certificate",
            Subject::Policy => "policy",
            Subject::Path(_) => "path",
            Subject::Link(_) => "link",
            Subject::Relay(_) => "relay",
            Subject::Peer(_) => "node",
            Subject::Region(_) => "region",
            Subject::Host => "host",
        }
    }

    /// The node that is meant, if it is one other than this.
    pub const fn peer(&self) -> Option<PeerId> {
        match self {
            Subject::Path(peer) | Subject::Link(peer) | Subject::Relay(peer) | Subject::Peer(peer) => Some(*peer),
            _ => None,
        }
    }
}

/// Which one: a peer id in full, a name, or the thing's kind where there is only one.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Actor(name) | Subject::Region(name) => f.write_str(name),
            Subject::Path(peer) | Subject::Link(peer) | Subject::Relay(peer) | Subject::Peer(peer) => peer.fmt(f),
            Subject::Store | Subject::Ledger | Subject::Certificate | Subject::Policy => f.write_str(self.name()),
            Subject::Host => f.write_str("this node"),
        }
    }
}
