//! `prunella incident`: the story of one incident.

use clap::Args;

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Its number, as `prunella incidents` tells it
    #[arg(value_name = "ID", value_parser = number)]
    id: u64,
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    let doing = format!("tell of incident #{}", arguments.id);
    session.show(&doing, &Request::Incident { id: arguments.id }).await
}

/// A number with or without the sign that it is told with.
fn number(text: &str) -> Result<u64, String> {
    text.trim_start_matches('#').parse().map_err(|_| "not a number".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_may_be_given_as_it_is_told() {
        assert_eq!((number("7"), number("#7")), (Ok(7), Ok(7)));
        assert!(number("seven").is_err() && number("-1").is_err());
    }
}
