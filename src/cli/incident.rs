//! `prunella incident`: the story of one incident.

use clap::Args;

use super::failure::Failure;
use super::parse;
use super::session::Session;
use crate::api::Request;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Its number, as `prunella incidents` tells it
    #[arg(value_name = "ID", value_parser = parse::incident)]
    id: u64,
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    let doing = format!("tell of incident #{}", arguments.id);
    session.show(&doing, &Request::Incident { id: arguments.id }).await
}
