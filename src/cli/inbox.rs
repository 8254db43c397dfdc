//! `prunella inbox`: how much waits for an actor, what it is at, and what came last.

use clap::Args;

use super::failure::Failure;
use super::render;
use super::session::Session;
use crate::api::{Request, Response};

#[derive(Clone, Debug, Args)]
pub(super) struct Arguments {
    /// The actor's name as `prunella actors` lists it
    actor: String,
    /// How many of the messages that came last
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(..=32))]
    most: u16,
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    let Arguments { actor: name, most } = arguments;
    let response =
        session.ask(&format!("look into the inbox of {name}"), &Request::Actor { name, briefly: true }).await?;
    let Response::Actor(mut actor) = response else { return session.output.show(&response) };
    actor.last.truncate(usize::from(most));
    let text = render::inbox(&actor);
    session.output.show_either(&Response::Actor(actor), &text)
}
