//! What neighbors say to each other on a link's control stream, and what a joining host says to its inviter.
//!
//! Every message is `version (1 byte) | bincode 2, standard configuration, length-limited`. Internal types never go on the wire by
//! accident: everything that does derives `Encode`/`Decode` and is reachable from [`Control`] or [`Admission`].
//! Unknown versions, over-long messages, trailing bytes and garbage are each a typed rejection.

pub mod admission;
pub mod codec;
pub mod control;
pub mod notice;
pub mod stream;

pub use admission::{Admission, AdmissionReply};
pub use control::Control;
pub use notice::SessionNotice;
pub use stream::{Opening, StreamOpen, StreamRefusal, StreamReply, TunnelHello};
