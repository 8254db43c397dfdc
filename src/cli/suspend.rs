//! `prunella restart`, `suspend` and `resume`: has an actor begin anew, take no message for a while, go on.

use clap::Args;

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;

#[derive(Clone, Debug, Args)]
pub(super) struct Named {
    /// The actor's name as `prunella actors` lists it
    actor: String,
}

#[derive(Clone, Debug, Args)]
pub(super) struct Arguments {
    /// The actor's name as `prunella actors` lists it
    actor: String,
    /// For how long, at most a minute
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
}

pub(super) async fn restart(Named { actor }: Named, session: &mut Session<'_>) -> Result<(), Failure> {
    let done = format!("{actor} begins anew after the message that it is at; `actors` shows it\n");
    session.order(&format!("restart {actor}"), &Request::RestartActor { actor }, &done).await
}

pub(super) async fn suspend(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    let Arguments { actor, seconds } = arguments;
    let done =
        format!("{actor} takes no message for {seconds} s, until `resume {actor}`, or until it is started anew\n");
    session.order(&format!("suspend {actor}"), &Request::SuspendActor { actor, seconds }, &done).await
}

pub(super) async fn resume(Named { actor }: Named, session: &mut Session<'_>) -> Result<(), Failure> {
    let done = format!("{actor} goes on\n");
    session.order(&format!("resume {actor}"), &Request::ResumeActor { actor }, &done).await
}
