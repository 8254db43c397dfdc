//! How nodes talk: links to neighbors, sessions to anybody, and what runs over sessions.
//!
//! ```text
//!   joining host ──────┐
//!                      ▼
//!   neighbors ═══> [Links] ──LinkEvent──> actors          services, messages
//!                      │                                         ▲
//!                      │ frame keys                              │ streams
//!                      ▼                                         │
//!              ┌── datapath::Port ──────── frames ────────> [Sessions] <── Gate: policy; RouteHook: path search
//! ```
//!
//! [`Links`] keeps one QUIC connection per neighbor for control messages and makes the keys of frames. [`Sessions`] are
//! end-to-end QUIC connections whose packets travel as frames. On their streams [`Services`] carries TCP connections to
//! named services, [`MessageChannel`] carries messages, a [`Conversation`] carries commands, and [`Tunneling`] makes the tunnels
//! of IP packets. [`join`] is how a host
//! gets its first certificate, with a token or with what the SPIFFE Workload API gives it.

mod admission;
mod carry;
mod closing;
mod control;
mod conversation;
mod doors;
mod framing;
mod link;
mod links;
mod messages;
mod pass;
mod quic;
mod services;
pub mod session;
mod smoke;
mod table;
#[cfg(test)]
mod tests;
mod traffic;
mod tunnels;
mod workload_api;

pub use admission::{Admitter, Inviter, JoinError, Membership, join, join_as_workload, renew};
pub use conversation::{Conversation, ConversationError, Line, read_line};
pub use doors::Doors;
pub use framing::FramingError;
pub use links::{LinkEvent, LinkSetup, Links, NotSent, RelayHook};
pub use messages::{MessageChannel, MessageError};
pub use pass::{Ending, Meter, Pass};
pub use services::{ExposeError, ForwardError, ForwardState, ProviderPick, ServiceError, Services};
pub use session::{
    Awaited, Gate, Inbound, Inbox, LaneLoad, Overdue, Place, RouteHook, Routing, Sent, SessionError, SessionSetup,
    Sessions, TraceHook, Unanswered,
};
pub use smoke::{Handshake, Smoked, smoke};
pub use table::LinkSnapshot;
pub use traffic::{CONTROL_KINDS, ControlTraffic};
pub use tunnels::{FindHook, Tunneling};
pub use workload_api::{NoWorkloadApi, fetch_svid, follow_bundles};
