//! The surfaces' inner side: one vocabulary, an in-process handle, a control socket.

pub mod client;
pub mod configuration;
pub mod error;
mod line;
pub mod node;
pub mod server;
pub mod setup;
pub mod vocabulary;

pub use error::{Error, ErrorKind};
pub use prunella_core::PeerId;
pub use vocabulary::{Request, Response};
