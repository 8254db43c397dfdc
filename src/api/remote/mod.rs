//! Commands from one node to another: both ends of a conversation over a session.
//!
//! ```text
//!   client ── control socket: connect, requests ──> FarNode ── session: one stream a request, or one a shell ──┐
//!                                                                                                             ▼
//!                      Answers <── performs, once it is in the ledger ── serve <── Inbox::commands <── PolicyGate
//! ```
//!
//! The opening of the stream names the command, and the policy judges it before a byte of the request is read; in a shell
//! it judges each line. So whoever hears an error before the request was sent knows that nothing was done.

mod far_node;
mod places;
mod serving;

pub(super) use far_node::FarNode;
pub(super) use places::Remote;
pub(super) use serving::serve;
