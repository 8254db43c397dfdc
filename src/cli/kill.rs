//! `prunella kill`: makes an actor fail, to see it come back.

use clap::{Args, ValueEnum};

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;
use crate::api::vocabulary;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The actor's name as `prunella actors` lists it
    actor: String,
    /// How it fails (panic and error need `chaos.allow = true`)
    #[arg(long, value_enum, default_value_t = How::Kill)]
    how: How,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum How {
    /// Stopped at once, whatever it is doing
    Kill,
    /// It panics while handling a message
    Panic,
    /// It returns an error while handling a message
    Error,
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    let how = match arguments.how {
        How::Kill => vocabulary::Failure::Kill,
        How::Panic => vocabulary::Failure::Panic,
        How::Error => vocabulary::Failure::Error,
    };
    let actor = arguments.actor;
    let (doing, done) = (format!("kill {actor}"), format!("{actor} was made to fail; `actors` shows its restart\n"));
    session.order(&doing, &Request::KillActor { actor, how }, &done).await
}
