//! `prunella paths`: the paths to a node.

use clap::Args;

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A node's name, its peer id, or a beginning of it
    #[arg(value_name = "NODE")]
    destination: String,
    /// Tell of each path what speaks for it and against it: its links, their costs, and what decided
    #[arg(long)]
    why: bool,
}

#[derive(Debug, Args)]
pub(super) struct Why {
    /// A node's name, its peer id, or a beginning of it
    #[arg(value_name = "NODE")]
    destination: String,
}

impl From<Why> for Arguments {
    fn from(Why { destination }: Why) -> Self {
        Self { destination, why: true }
    }
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    let doing = format!("list the paths to {}", arguments.destination);
    session.show(&doing, &Request::Paths { destination: arguments.destination, why: arguments.why }).await
}
