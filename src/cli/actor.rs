//! `prunella actor`: all that can be seen of one actor.

use clap::Args;

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The actor's name as `prunella actors` lists it
    actor: String,
    /// Also print what its machine knows, up to 64 KiB
    #[arg(long)]
    state: bool,
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    let doing = format!("look at {}", arguments.actor);
    // For people the state is long; programs get all there is.
    let briefly = !arguments.state && !session.output.is_json();
    session.show(&doing, &Request::Actor { name: arguments.actor, briefly }).await
}
