//! `prunella fault`: drops packets to or from a neighbor, or nothing any more.

use clap::{ArgGroup, Args};

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("direction").args(["sent", "received", "clear"]).required(true).multiple(true)))]
pub(super) struct Arguments {
    /// The neighbor: its name, its peer id, or a beginning of it
    #[arg(value_name = "NODE", required_unless_present = "clear")]
    neighbor: Option<String>,
    /// Drop what is sent to it
    #[arg(long)]
    sent: bool,
    /// Drop what comes from it
    #[arg(long)]
    received: bool,
    /// Drop nothing any more, to or from anybody
    #[arg(long, conflicts_with_all = ["neighbor", "sent", "received"])]
    clear: bool,
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    let Some(neighbor) = arguments.neighbor else {
        return session.order("clear the faults", &Request::ClearFaults, "nothing is dropped any more\n").await;
    };
    let what = match (arguments.sent, arguments.received) {
        (true, true) => "everything to and from",
        (true, false) => "everything to",
        _ => "everything from",
    };
    let (doing, done) = (format!("drop {what} {neighbor}"), format!("{what} {neighbor} is dropped\n"));
    let request = Request::Fault { neighbor, drop_sent: arguments.sent, drop_received: arguments.received };
    session.order(&doing, &request, &done).await
}
