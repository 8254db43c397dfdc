//! The datapath: one UDP port per node that carries QUIC between neighbors and frames between everybody.
//!
//! ```text
//!  link endpoint ──link_socket──┐                        ┌── QUIC ──> bounded ring ──> link endpoint
//!                               ├──> UDP ══> mesh_socket ┼── frame for another node ──> rewritten, sent on
//!  session endpoint ─mesh_socket┘                        ├── probe ──> answered; echo, path error ──> Event
//!                                                        └── data for this node ──> session endpoint
//! ```
//!
//! [`Port`] owns the socket and its tables. The session endpoint's driver is what reads: while no endpoint is built on
//! [`Port::mesh_socket`], nothing is received, forwarded or answered. Where several sockets share the port's address,
//! [`Port::start_readers`] has the others read as well. No actor is on a packet's way, and what reads runs
//! on [`Threads`] of its own; the actors install links and routes and hear of [`Event`]s.
//!
//! With [`Port::attach_kernel`] most frames for others never get here: the kernel passes them on.
//!
//! # What the session endpoint must set
//!
//! - `EndpointConfig::grease_quic_bit(false)`, and the same on the link endpoint: the first byte tells QUIC from frames.
//! - `EndpointConfig::max_udp_payload_size(`[`SESSION_RECEIVE_BYTES`]`)`: it sizes the buffers into which frames are read,
//!   and a frame is [`HEADER_BYTES`](prunella_core::frame::HEADER_BYTES) longer than the packet in it.
//! - `TransportConfig::initial_mtu(`[`SESSION_INITIAL_MTU`]`)`, and an `MtuDiscoveryConfig` with
//!   `upper_bound(`[`SESSION_MTU_MAX`]`)`: a larger packet would not fit an Ethernet underlay and would be lost in silence.
//! - Peers are dialed at [`session_address`], or for another lane at [`SessionName::address`].
//! - After a reroute to a path with a smaller MTU quinn's black-hole detection lowers the MTU by itself.
//!
//! The link endpoint needs no more than the first item: its packets are plain QUIC over UDP.

mod aside;
mod counters;
mod encapsulate;
mod error;
mod event;
mod faults;
mod held;
mod kernel;
mod learning;
mod limiter;
mod link_socket;
mod mesh_socket;
mod moving;
mod outbox;
mod overlay;
mod port;
mod reader;
mod ring;
mod spill;
mod tables;
mod threads;
mod udp;
mod underlay;

use std::net::{SocketAddr, SocketAddrV6};

use prunella_core::limits::LANES_MAX;
use prunella_core::{PeerId, Tag};

pub use counters::{Counters, LinkStats};
pub use error::DatapathError;
pub use event::Event;
pub use faults::{Direction, Impairment};
pub use kernel::{AttachMode, Attached, GuardedSource, KernelError, KernelState, Observed};
pub use overlay::{
    Interface, InterfaceSetup, Networks, OVERLAY_MTU, OVERLAY_MTU_LEAST, Overlay, OverlayCounters, Questions,
    TUNNEL_SECRET_BYTES, Tunnel, TunnelInstall, TunnelSecret, TunnelStats, Unjudged, Wanted, is_forwarding,
    open_interface,
};
pub use port::Port;
pub use tables::{LaneRoute, LinkInstall, Route};
pub use threads::Threads;
pub use udp::{bind_several_udp, bind_udp};

/// The MTU with which a session starts, in bytes of QUIC packet: it fits every path that can carry QUIC at all.
pub const SESSION_INITIAL_MTU: u16 = 1200;
/// The largest MTU that a session may discover, in bytes of QUIC packet: 1500 of Ethernet less the headers of IPv6 (40),
/// UDP (8) and frame (48). Over IPv4 20 bytes stay unused; in return a path may mix both.
pub const SESSION_MTU_MAX: u16 = 1404;
/// What the session endpoint must be ready to receive, in bytes of UDP payload.
pub const SESSION_RECEIVE_BYTES: u16 = 1500;
/// The port that an overlay address is written with. It names the lane: this for the first, the next for the second.
/// Otherwise overlay addresses have no ports.
pub const SESSION_PORT: u16 = 4;

const _: () =
    assert!(SESSION_MTU_MAX as usize + prunella_core::frame::HEADER_BYTES + 48 <= 1500, "a frame fits Ethernet");

/// One of the sessions with a node, as its packets name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionName {
    /// The node.
    pub peer: Tag,
    /// The lane, below [`LANES_MAX`]: all packets of a session have the same.
    pub lane: u8,
}

impl SessionName {
    /// The first lane's.
    pub const fn first(peer: Tag) -> Self {
        Self { peer, lane: 0 }
    }

    /// The synthetic address at which the session endpoint dials the peer and from which the peer's packets seem to come.
    pub fn address(self) -> SocketAddr {
        SocketAddr::V6(SocketAddrV6::new(self.peer.address(), SESSION_PORT + u16::from(self.lane), 0, 0))
    }

    /// What an address names; `None` if it is no synthetic one.
    pub fn of(address: SocketAddr) -> Option<Self> {
        let SocketAddr::V6(v6) = address else { return None };
        let lane = u8::try_from(v6.port().checked_sub(SESSION_PORT)?).ok()?;
        let peer = Tag::from_address(v6.ip())?;
        (usize::from(lane) < LANES_MAX).then_some(Self { peer, lane })
    }
}

/// The address of the first session with a peer.
pub fn session_address(peer: Tag) -> SocketAddr {
    SessionName::first(peer).address()
}

/// As [`session_address`], from the peer's full identity.
pub fn session_address_of(peer: &PeerId) -> SocketAddr {
    session_address(peer.tag())
}
