//! Sessions: end-to-end QUIC connections between any two nodes, whose packets travel as frames over links and relays.
//!
//! [`Sessions`] dials each peer once, or once for each lane, and opens streams on that connection; every stream begins with what it is for and
//! whether it may be. Relays see ciphertext only, and whoever answers has proven to be the peer that was meant.

mod awaited;
mod dialing;
mod endpoint;
mod error;
mod guests;
mod lanes;
mod notices;
mod pool;
mod reroute;
mod stream;
mod traced;
mod tuning;

pub use awaited::{Awaited, Overdue};
pub use endpoint::{Gate, Inbox, RouteHook, Routing, Sent, SessionSetup, Sessions, TraceHook};
pub use error::SessionError;
pub use lanes::{LaneLoad, Place};
pub use notices::Unanswered;
pub use stream::Inbound;
pub(in crate::transport) use traced::describe;
