//! `prunella expose`: publishes a TCP service under a name, or takes it back.

use clap::Args;

use super::failure::Failure;
use super::parse;
use super::session::Session;
use crate::api::Request;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The service's name: a-z, 0-9 and `-`
    #[arg(required_unless_present = "remove", requires = "target", value_parser = parse::service_name)]
    name: Option<String>,
    /// Where it listens: tcp://HOST:PORT
    #[arg(required_unless_present = "remove", value_parser = parse::target)]
    target: Option<String>,
    /// Take this service back
    #[arg(long, value_name = "SERVICE", conflicts_with_all = ["name", "target"], value_parser = parse::service_name)]
    remove: Option<String>,
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    match arguments {
        Arguments { remove: Some(name), .. } => {
            let (doing, done) = (format!("take back {name}"), format!("{name} is no longer exposed\n"));
            session.order(&doing, &Request::Unexpose { name }, &done).await
        }
        Arguments { name: Some(name), target: Some(target), .. } => {
            let (doing, done) = (format!("expose {name}"), format!("{name} is exposed: {target}\n"));
            session.order(&doing, &Request::Expose { name, target }, &done).await
        }
        _ => unreachable!("BUG: the parser requires name and target unless --remove is given"),
    }
}
