//! `prunella up`: runs the node until it is stopped.

use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::Failure;
use crate::api::node;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration [default: prunella.toml in the node's directory, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Move a damaged store aside and start with an empty one
    #[arg(long)]
    rebuild: bool,
}

pub(super) async fn run(arguments: Arguments, dir: &Path) -> Result<(), Failure> {
    let ran = node::run(dir, arguments.config.as_deref(), arguments.rebuild).await;
    ran.map_err(|error| Failure::new(format!("run the node in {}", dir.display()), error))
}
