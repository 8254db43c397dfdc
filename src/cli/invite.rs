//! `prunella invite`: prints a token with which one more host can join.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use clap::Args;

use super::failure::{Failure, complain};
use super::output::Output;
use super::parse;
use crate::api::setup::{self, InviteOptions};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// How long the token is good: 15m, 1h, 7d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse::duration)]
    expires: Duration,
    /// Where the new host finds this node; may be given more than once [default: what the node advertises]
    #[arg(long, value_name = "ADDRESS:PORT")]
    address: Vec<SocketAddr>,
}

pub(super) fn run(arguments: Arguments, dir: &Path, output: &mut Output) -> Result<(), Failure> {
    let options = InviteOptions { life: arguments.expires, addresses: arguments.address };
    let token = setup::invite(dir, options).map_err(|error| Failure::new("make an invitation", error))?;
    output.show_either(&serde_json::json!({ "token": token }), &format!("{token}\n"))?;
    output.flush()?;
    // Only the token goes to standard output, so that `prunella invite | ssh host prunella join -` works.
    if output.is_terminal() && !output.is_json() {
        complain("On the new host: prunella join TOKEN. Whoever has the token can join: keep it secret.");
    }
    Ok(())
}
