//! `prunella forward`: listens on this host and carries each connection to a service, or stops doing so.

use std::net::SocketAddr;

use clap::Args;

use super::failure::Failure;
use super::parse;
use super::session::Session;
use crate::api::Request;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The service's name
    #[arg(value_name = "SERVICE", required_unless_present = "remove", value_parser = parse::service_name)]
    name: Option<String>,
    /// Where to listen: ADDRESS:PORT, or a port of this host alone; port 0 lets the system choose
    #[arg(required_unless_present = "remove", value_parser = parse::listen)]
    listen: Option<SocketAddr>,
    /// Stop listening there
    #[arg(long, value_name = "LISTEN", conflicts_with_all = ["name", "listen"], value_parser = parse::listen)]
    remove: Option<SocketAddr>,
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    match arguments {
        Arguments { remove: Some(listen), .. } => {
            let (doing, done) = (format!("stop listening on {listen}"), format!("no longer listening on {listen}\n"));
            session.order(&doing, &Request::Unforward { listen }, &done).await
        }
        Arguments { name: Some(name), listen: Some(listen), .. } => {
            let doing = format!("forward {listen} to {name}");
            session.show(&doing, &Request::Forward { name, listen }).await
        }
        _ => unreachable!("BUG: the parser requires name and listen unless --remove is given"),
    }
}
