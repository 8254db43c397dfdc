//! `prunella shared`: text under keys, the same on every node, written by any of them.

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  prunella shared set rollout/new-ui 25%
  prunella shared get rollout/new-ui
  prunella shared list --json
  prunella shared remove rollout/new-ui

Two nodes that write a key without knowing of each other leave a conflict: `get` shows
every value, the newest first, and the next `set` decides. A part of the mesh without a
quorum of the known nodes can read but not write. A value lasts three days longer than
the node that wrote it; setting it again from another node keeps it.")]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write a value for the whole mesh
    Set {
        /// 1 to 64 letters, digits, or any of . _ - / :
        #[arg(value_name = "KEY")]
        key: String,
        /// Text, at most 1 KiB
        #[arg(value_name = "VALUE", allow_hyphen_values = true)]
        value: String,
    },
    /// Show a value, or every value if there is a conflict
    Get {
        /// The key
        #[arg(value_name = "KEY")]
        key: String,
    },
    /// List all keys with their values and who wrote them
    List,
    /// Remove a key, whoever wrote it
    Remove {
        /// The key
        #[arg(value_name = "KEY")]
        key: String,
    },
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    match arguments.action {
        Action::Set { key, value } => {
            let (doing, done) = (format!("set {key}"), format!("{key} is set\n"));
            session.order(&doing, &Request::SharedSet { key, value }, &done).await
        }
        Action::Get { key } => session.show(&format!("get {key}"), &Request::SharedGet { key }).await,
        Action::List => session.show("list the shared keys", &Request::SharedList { after: None }).await,
        Action::Remove { key } => {
            let (doing, done) = (format!("remove {key}"), format!("{key} is removed\n"));
            session.order(&doing, &Request::SharedRemove { key }, &done).await
        }
    }
}
