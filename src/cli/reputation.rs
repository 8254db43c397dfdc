//! `prunella reputation NODE`: how far this node believes another, and why not further.

use clap::Args;

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;

/// What the user gives.
#[derive(Debug, Args)]
#[command(
    after_help = "The score is 1.0 minus what the node did wrong, as this node saw it or was shown proof of; each
fault is listed with what it costs now. Most faults fade with time. Below 0.5 this node ignores
what the node says. Nobody is told of this score."
)]
pub(super) struct Arguments {
    /// A node's name, its peer id, or a beginning of it
    #[arg(value_name = "NODE")]
    peer: String,
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    let what = format!("look up the reputation of {}", arguments.peer);
    session.show(&what, &Request::Reputation { peer: arguments.peer }).await
}
