//! The surfaces' inner side: one vocabulary, an in-process handle, a control socket.

mod actor_answers;
mod admitter;
mod answers;
pub mod authority;
mod certificate_answers;
pub mod chaos;
mod chaos_answers;
pub mod client;
pub mod configuration;
pub mod embed;
pub mod error;
mod federation;
mod in_force;
mod incident_answers;
pub mod ledger;
mod ledger_answers;
mod line;
mod logging;
mod member_answers;
pub mod memory;
pub mod node;
mod path_answers;
pub mod policy;
mod policy_answers;
mod region_answers;
mod remote;
mod renewal;
pub mod replay;
pub mod sealing;
pub mod server;
pub mod setup;
mod shared_answers;
pub mod vocabulary;

pub use error::{Error, ErrorKind};
pub use prunella_core::PeerId;
pub use vocabulary::{Request, Response};
