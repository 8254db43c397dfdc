//! `prunella chaos actor`: makes an actor fail from within, or holds it up.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::Lasting;
use crate::api::Request;
use crate::api::chaos::Order;
use crate::api::vocabulary::Failure as ActorFailure;
use crate::cli::failure::Failure;
use crate::cli::parse;
use crate::cli::session::Session;

#[derive(Debug, Args)]
#[command(
    after_help = "To stop an actor at once, whatever it is doing, there is `prunella kill`: it needs no consent."
)]
pub(super) struct Arguments {
    /// The actor's name as `prunella actors` lists it
    #[arg(value_name = "ACTOR")]
    actor: String,
    /// What happens to it
    #[arg(long, value_enum)]
    how: How,
    /// With `--how slow`: how much longer each message takes
    #[arg(long, value_name = "TIME", value_parser = parse::time, default_value = "20ms")]
    each: Duration,
    #[command(flatten)]
    lasting: Lasting,
}

/// What is said of an actor that is to handle nothing.
#[derive(Debug, Args)]
pub(in crate::cli) struct Stall {
    /// The actor's name as `prunella actors` lists it
    #[arg(value_name = "ACTOR")]
    actor: String,
    #[command(flatten)]
    lasting: Lasting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum How {
    /// It panics while handling a message
    Panic,
    /// It returns an error while handling a message
    Error,
    /// It handles no message at all, until the time is over or it is restarted
    Stall,
    /// Each message takes longer, until the time is over or it is restarted
    Slow,
}

pub(in crate::cli) async fn stall(Stall { actor, lasting }: Stall, session: &mut Session<'_>) -> Result<(), Failure> {
    run(Arguments { actor, how: How::Stall, each: Duration::ZERO, lasting }, session).await
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    let Arguments { actor, how, each, lasting } = arguments;
    let for_ms = lasting.ms();
    let doing = format!("break {actor}");
    let request = match how {
        How::Panic => Request::KillActor { actor: actor.clone(), how: ActorFailure::Panic },
        How::Error => Request::KillActor { actor: actor.clone(), how: ActorFailure::Error },
        How::Stall => Request::Chaos(Order::Actor { actor: actor.clone(), each_ms: None, for_ms }),
        How::Slow => {
            let each_ms = Some(each.as_millis() as u64);
            Request::Chaos(Order::Actor { actor: actor.clone(), each_ms, for_ms })
        }
    };
    let done = match how {
        How::Panic | How::Error => format!("{actor} was made to fail; `actors` shows its restart\n"),
        How::Stall | How::Slow => format!("{actor} is held up; `chaos status` shows until when\n"),
    };
    session.order(&doing, &request, &done).await
}
