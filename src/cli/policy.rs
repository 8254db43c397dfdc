//! `prunella policy`: the rules in force, or reading them again.

use clap::Args;

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Read the policy file again
    #[arg(long)]
    reload: bool,
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    if arguments.reload {
        session.order("read the policy again", &Request::PolicyReload, "the rules were read again\n").await
    } else {
        session.show("show the policy", &Request::Policy).await
    }
}
