//! `prunella up`: runs the node until it is stopped.

use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::Failure;
use crate::api::configuration::is_device_name;
use crate::api::node::{self, RunOptions};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration [default: config.toml in the node's directory, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Make an overlay interface: a TUN device through which other nodes are reached by their addresses
    #[arg(long, value_name = "DEVICE", num_args = 0..=1, default_missing_value = "prunella0", value_parser = device)]
    tun: Option<String>,
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

fn device(name: &str) -> Result<String, String> {
    let reason = || "a device's name is 1 to 15 letters, digits, `.`, `-` and `_`".to_owned();
    is_device_name(name).then(|| name.to_owned()).ok_or_else(reason)
}

pub(super) async fn run(arguments: Arguments, dir: &Path) -> Result<(), Failure> {
    let options = RunOptions {
        config_file: arguments.config,
        rebuild: arguments.rebuild,
        tun: arguments.tun,
        exit_with_parent: arguments.exit_with_parent,
    };
    let ran = node::run(dir, options).await;
    ran.map_err(|error| Failure::new(format!("run the node in {}", dir.display()), error))
}
