//! What can go wrong while the datapath is set up. Once it runs, it counts.

use std::io;
use std::net::SocketAddr;

/// The node's UDP socket could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatapathError {
    /// The address cannot be bound: taken, not on this host, or not allowed.
    #[error("bind UDP {address}: {source}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The socket was bound but lacks an option that the datapath needs.
    #[error("prepare UDP socket {address}: {source}")]
    Prepare {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
}
