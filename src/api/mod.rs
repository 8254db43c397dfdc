//! The surfaces' inner side: one vocabulary, an in-process handle, a control socket.

pub mod client;
pub mod error;
pub mod vocabulary;

pub use error::{Error, ErrorKind};
pub use vocabulary::{Request, Response};
