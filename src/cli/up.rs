//! `prunella up`: runs the node until it is stopped.

use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::Failure;
use crate::api::node::{self, RunOptions};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration [default: config.toml in the node's directory, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Move a damaged store aside and start with an empty one
    #[arg(long)]
    rebuild: bool,
    /// Stop when standard input ends: for programs that start nodes and must not leave any behind
    #[arg(long, hide = true)]
    exit_with_parent: bool,
}

impl Arguments {
    /// Whether another program watches over this node.
    pub(super) fn has_parent(&self) -> bool {
        self.exit_with_parent
    }
}

pub(super) async fn run(arguments: Arguments, dir: &Path) -> Result<(), Failure> {
    let options = RunOptions {
        config_file: arguments.config,
        rebuild: arguments.rebuild,
        exit_with_parent: arguments.exit_with_parent,
    };
    let ran = node::run(dir, options).await;
    ran.map_err(|error| Failure::new(format!("run the node in {}", dir.display()), error))
}
