//! `prunella explain`: what the node's roles heard about a thing, and what they did because of it, from its journal.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::output::Output;
use super::{parse, render};
use crate::api::node::JOURNAL_NAME;
use crate::api::recording::RoleName;
use crate::api::recording::explain::{About, ExplainOptions, SCENES_MAX, explain};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    about: What,
    /// What was recorded: a run's directory, a directory of runs, or a file [default: DIR/journal]
    #[arg(long, value_name = "JOURNAL", global = true)]
    journal: Option<PathBuf>,
    /// Only this role: policy, gossip, peer, monitor, pathfinder, planner, executor, rebalancer or ledger
    #[arg(long, value_name = "ROLE", global = true)]
    role: Option<RoleName>,
    /// At most so many inputs, the newest
    #[arg(long, value_name = "N", global = true, default_value_t = 200, value_parser = most)]
    most: usize,
}

#[derive(Debug, Subcommand)]
enum What {
    /// An incident: what it was raised upon, how it was planned for, what each step did
    Incident {
        /// Its number, as `prunella incidents` tells it
        #[arg(value_name = "ID", value_parser = parse::incident)]
        id: u64,
        /// Tell also what came this long before it began and after it ended: 500ms, 5s
        #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse::time)]
        around: Duration,
    },
    /// Another node: its link, its paths, its incidents
    Node {
        /// Its peer id, or the beginning of one, as `prunella peers` tells it
        #[arg(value_name = "PEER")]
        peer: String,
    },
    /// An actor of the node: everything that it heard
    Actor {
        /// Its name, as `prunella actors` tells it
        #[arg(value_name = "ACTOR")]
        name: String,
    },
}

pub(super) fn run(arguments: Arguments, dir: &Path, output: &mut Output) -> Result<(), Failure> {
    let Arguments { about, journal, role, most } = arguments;
    let journal = journal.unwrap_or_else(|| dir.join(JOURNAL_NAME));
    let (about, around) = match about {
        What::Incident { id, around } => (About::Incident(id), around),
        What::Node { peer } => (About::Node(peer.trim_end_matches('…').to_owned()), Duration::ZERO),
        What::Actor { name } => (About::Actor(name), Duration::ZERO),
    };
    let options = ExplainOptions { role, around, most };
    let explained = explain(&journal, &about, options).map_err(|error| Failure::new("read the journal", error))?;
    output.show_either(&explained, &render::explanation(&explained))
}

fn most(text: &str) -> Result<usize, String> {
    let most = text.parse().ok().filter(|most| (1..=SCENES_MAX).contains(most));
    most.ok_or_else(|| format!("a number from 1 to {SCENES_MAX}"))
}
