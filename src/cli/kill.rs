//! `prunella kill`: stops an actor, to see it come back. The node's owner may always do that; other failures are chaos.

use clap::Args;

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;
use crate::api::vocabulary;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The actor's name as `prunella actors` lists it
    actor: String,
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    let actor = arguments.actor;
    let (doing, done) = (format!("kill {actor}"), format!("{actor} was killed; `actors` shows its restart\n"));
    session.order(&doing, &Request::KillActor { actor, how: vocabulary::Failure::Kill }, &done).await
}
