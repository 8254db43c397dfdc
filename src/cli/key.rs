//! `prunella key`: this node's keys for sealing and signing.

use std::path::Path;

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::output::Output;
use crate::api::sealing::NodeKeys;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print this node's public key, one line, for `prunella seal --to` and `prunella open --from` elsewhere
    Export,
}

pub(super) fn run(arguments: &Arguments, dir: &Path, output: &mut Output) -> Result<(), Failure> {
    let Action::Export = arguments.action;
    let keys = NodeKeys::load(dir).map_err(|error| Failure::new("export the public key", error))?;
    let key = keys.public_key();
    output.show_either(&serde_json::json!({ "peer": key.peer(), "key": key.to_string() }), &format!("{key}\n"))
}
