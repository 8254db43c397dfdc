//! `prunella records`: the signed records that the node holds, or the whole of one.

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;
use crate::api::vocabulary::RECORD_KINDS;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  prunella records n1
  prunella records --kind links
  prunella records n1/links --json
  prunella records n1/service/web")]
pub(super) struct Arguments {
    /// Only those of this node; or the whole of one record, as NODE/KIND or NODE/KIND/KEY
    #[arg(value_name = "NODE")]
    which: Option<String>,
    /// Only those of this kind
    #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(RECORD_KINDS))]
    kind: Option<String>,
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    let Arguments { which, kind } = arguments;
    match which {
        Some(id) if id.contains('/') => session.show(&format!("tell the record {id}"), &Request::Record { id }).await,
        node => session.show("list the records", &Request::Records { node, kind, after: None }).await,
    }
}
