//! `prunella actor`: all that can be seen of one actor.

use clap::Args;

use super::failure::Failure;
use super::session::Session;
use crate::api::{Request, Response};

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
    let response = session.ask(&doing, &Request::Actor { name: arguments.actor }).await?;
    let Response::Actor(mut actor) = response else { return session.output.show(&response) };
    if !arguments.state && !session.output.is_json() {
        actor.knows.clear();
    }
    session.output.show(&Response::Actor(actor))
}
