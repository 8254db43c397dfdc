//! `prunella trace`: the round trip to every hop of the path in use; or the messages of an actor, as they come.

use clap::{ArgGroup, Args};

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("traced").required(true).args(["destination", "actor"]))]
pub(super) struct Arguments {
    /// A node's name, its peer id, or a beginning of it; with --actor an actor's name
    #[arg(value_name = "NODE")]
    destination: Option<String>,
    /// Show what this actor is sent instead, until --max messages came or --seconds have passed
    #[arg(long, value_name = "ACTOR", conflicts_with = "destination")]
    actor: Option<String>,
    /// Only messages of this kind, as `prunella actor` names it
    #[arg(long, conflicts_with = "destination")]
    kind: Option<String>,
    /// How many messages at most; what comes faster than 200 a second is counted and not shown
    #[arg(long, default_value_t = 50, value_name = "N", conflicts_with = "destination", value_parser = clap::value_parser!(u16).range(1..=200))]
    max: u16,
    /// For how long at most
    #[arg(long, default_value_t = 5, value_name = "S", conflicts_with = "destination", value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    let Arguments { destination, actor, kind, max, seconds } = arguments;
    let (traced, request) = match (destination, actor) {
        (_, Some(actor)) => (actor.clone(), Request::Tap { actor, kind, most: usize::from(max), ms: seconds * 1000 }),
        (Some(destination), None) => (destination.clone(), Request::Trace { destination }),
        (None, None) => unreachable!("BUG: the parser wants one of the two"),
    };
    session.show(&format!("trace {traced}"), &request).await
}
