//! `prunella replay`: runs what was recorded of a node's roles through the core again.

use std::path::PathBuf;

use clap::Args;

use super::failure::Failure;
use super::output::Output;
use super::render;
use crate::api::recording::RoleName;
use crate::api::recording::replay::{ReplayOptions, replay};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What was recorded: a run's directory, a directory of runs (the last one is taken), or a file
    #[arg(value_name = "JOURNAL")]
    journal: PathBuf,
    /// Only this role: policy, gossip, peer, monitor, pathfinder, planner, executor, rebalancer or ledger
    #[arg(long, value_name = "ROLE")]
    role: Option<RoleName>,
    /// Compare from this entry of the role on; what comes before only leads there
    #[arg(long, value_name = "N", requires = "role", default_value_t = 1)]
    from: u64,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let Arguments { journal, role, from } = arguments;
    let options = ReplayOptions { role: *role, from: *from };
    let report = replay(journal, options).map_err(|error| Failure::new("replay the journal", error))?;
    output.show_either(&report, &render::replay(&report))?;
    if report.is_same() { Ok(()) } else { Err(Failure::Told) }
}
