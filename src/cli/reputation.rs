//! `prunella reputation PEER`: how far this node believes another, and why not further.

use clap::Args;

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;

/// What the user gives.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The node: a peer id, the beginning of one, or a name
    peer: String,
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    let what = format!("look up the reputation of {}", arguments.peer);
    session.show(&what, &Request::Reputation { peer: arguments.peer }).await
}
