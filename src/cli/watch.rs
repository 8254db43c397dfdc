//! `prunella watch`: asks the same again and again. Only what changes nothing is repeated.

use std::time::Duration;

use clap::{Args, Parser};

use super::failure::Failure;
use super::node_command::NodeCommand;
use super::output::unix_ms_now;
use super::parse;
use super::render::quantity::moment;
use super::session::Session;
use crate::api::{Error, ErrorKind, Response};

#[derive(Clone, Debug, Args)]
pub(super) struct Arguments {
    /// Seconds from the end of one run to the next, 0.2 to 3600
    #[arg(long, default_value = "2", value_name = "S", value_parser = parse::interval)]
    interval: Duration,
    /// How many runs [default: until it is interrupted]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// What to run, with its arguments, such as `links` or `paths b --why`
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// One run of what is watched.
#[derive(Debug, Parser)]
#[command(name = "", no_binary_name = true, disable_help_flag = true, disable_help_subcommand = true)]
struct Watched {
    #[command(subcommand)]
    command: NodeCommand,
    #[arg(long, global = true)]
    json: bool,
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    let Arguments { interval, count, command } = arguments;
    let json = session.output.is_json() || parsed(&command)?.json;
    let before = (session.output.set_json(json), session.output.set_compact(true), session.reads_only);
    session.reads_only = true;
    let watched = repeat(&command, interval, count, session).await;
    session.output.set_json(before.0);
    session.output.set_compact(before.1);
    session.reads_only = before.2;
    watched
}

async fn repeat(
    words: &[String],
    interval: Duration,
    count: Option<u32>,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    let mut last = Ok(());
    let mut number = 0;
    while count.is_none_or(|count| number < count) {
        if number > 0 {
            tokio::time::sleep(interval).await;
        }
        number += 1;
        if !session.output.is_json() {
            let clear = if session.output.is_terminal() { CLEAR } else { "" };
            session.output.write(&format!("{clear}--- {}  {}\n", moment(unix_ms_now()), words.join(" ")))?;
        }
        last = parsed(words)?.command.boxed(session).await;
        match &last {
            Err(Failure::Failed { doing, error }) if may_pass(error) => {
                if session.output.is_json() {
                    session.output.show(&Response::Error { error: error.clone() })?;
                } else {
                    session.output.write(&format!("failed to {doing}: {error}\n"))?;
                }
            }
            Err(_) => return last,
            Ok(()) => {}
        }
        session.output.flush()?;
    }
    last
}

/// The words as a command. Words are read anew for each run, as each run uses up what was read.
fn parsed(words: &[String]) -> Result<Watched, Failure> {
    let refused = |text: String| Failure::new("watch that", Error::new(ErrorKind::InvalidInput, text));
    if words.iter().any(|word| word == "--node" || word.starts_with("--node=")) {
        return Err(refused("--node stands before `watch`".to_owned()));
    }
    let watched = Watched::try_parse_from(words).map_err(|error| refused(super::shell::gist(&error)))?;
    match watched.command {
        NodeCommand::Watch(_) | NodeCommand::Top(_) => Err(refused("it repeats itself already".to_owned())),
        _ => Ok(watched),
    }
}

/// Whether the next run may well succeed.
fn may_pass(error: &Error) -> bool {
    use ErrorKind::{ConnectionFailed, NoPath, NotRunning, Overloaded, PeerNotFound, TimedOut};
    matches!(error.kind(), ConnectionFailed | NoPath | NotRunning | Overloaded | PeerNotFound | TimedOut)
}

/// Clears a terminal, and goes to its upper left corner (ECMA-48, 8.3.39 and 8.3.21).
const CLEAR: &str = "\x1b[2J\x1b[H";

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        match parsed(&words) {
            Err(Failure::Failed { error, .. }) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_no_command_or_repeats_itself_is_refused() {
        assert!(refused("dance").starts_with("unrecognized subcommand 'dance'"));
        assert_eq!(refused("watch links"), "it repeats itself already");
        assert_eq!(refused("top"), "it repeats itself already");
        assert_eq!(refused("links --node b"), "--node stands before `watch`");
        let json = parsed(&["paths", "b", "--why", "--json"].map(str::to_owned)).unwrap().json;
        assert!(json);
    }
}
