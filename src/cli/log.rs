//! `prunella log`: what the node logs, seen and changed while it runs.

use clap::Args;

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;
use crate::api::vocabulary::LogLevel;

/// What the user gives.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  prunella log                                show what is logged, as directives of RUST_LOG
  prunella log debug                          log from debug on, until the node is started anew
  prunella log trace prunella::transport      log more of one module alone
  prunella log --reset                        log as at the start

Nothing is logged for a single frame or packet above the level trace.")]
pub(super) struct Arguments {
    /// error, warn, info, debug or trace
    #[arg(value_name = "LEVEL", value_parser = level)]
    level: Option<LogLevel>,
    /// Only in this module and those below it
    #[arg(value_name = "TARGET", requires = "level")]
    target: Option<String>,
    /// Log as at the start
    #[arg(long, conflicts_with = "level")]
    reset: bool,
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    let Arguments { level, target, reset } = arguments;
    let request = if level.is_none() && !reset { Request::Log } else { Request::LogSet { level, target } };
    session.show("look after the log", &request).await
}

fn level(text: &str) -> Result<LogLevel, String> {
    serde_json::from_value(text.into()).map_err(|_| "must be error, warn, info, debug or trace".to_owned())
}
