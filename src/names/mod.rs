//! Names of nodes and services, told to programs that ask by DNS.
//!
//! The responder serves one domain, `mesh` unless the configuration says otherwise, at the node's overlay address. It is no
//! resolver: whatever is not of that domain is refused, and a program's resolver asks elsewhere.

mod answer;
mod server;

pub use answer::{Directory, Zone, answer};
pub use server::serve;
