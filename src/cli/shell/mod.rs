//! `prunella shell`: the node's commands line by line, with completion, hints and history; or a script of them.

mod completion;
mod line_editor;
mod pager;
mod words;

use std::io::{self, BufRead, IsTerminal};
use std::ops::ControlFlow;
use std::path::Path;

use clap::{Args, Parser, Subcommand};
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{CompletionType, Config, Editor};
use tokio::runtime::Runtime;

use self::line_editor::LineHelper;
use super::everywhere;
use super::failure::{Failure, complain};
use super::node_command::NodeCommand;
use super::output::Output;
use super::session::Session;
use crate::api::client::Client;
use crate::api::server::SOCKET_NAME;
use crate::api::{Error, ErrorKind};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print what is longer than the screen as it is, instead of through $PAGER [default: less -FRX]
    #[arg(long)]
    no_pager: bool,
}

/// What the node can be asked, one command a line.
#[derive(Debug, Parser)]
#[command(name = "", no_binary_name = true, override_usage = "COMMAND [ARGUMENTS]")]
struct Line {
    #[command(subcommand)]
    command: ShellCommand,
    #[command(flatten)]
    global: LineGlobal,
}

/// What every line understands.
#[derive(Debug, Args)]
struct LineGlobal {
    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,
    /// Ask every node of the mesh what reads, and tell who did not answer
    #[arg(long, global = true)]
    all: bool,
}

#[derive(Debug, Subcommand)]
enum ShellCommand {
    #[command(flatten)]
    Node(Box<NodeCommand>),
    /// Leave the shell (Ctrl-D does the same)
    #[command(visible_alias = "quit")]
    Exit,
}

/// Talks to the node in `dir`, or to another one over it, until the user or the script ends.
pub(super) fn run(
    arguments: &Arguments,
    dir: &Path,
    node: Option<&str>,
    runtime: &Runtime,
    output: &mut Output,
) -> Result<(), Failure> {
    let socket = dir.join(SOCKET_NAME);
    let client = |shell| node.map_or_else(|| Client::to(&socket), |node| Client::at(&socket, node, shell));
    let mut session = Session { client: client(true), output, reads_only: false, is_paged: !arguments.no_pager };
    if io::stdin().is_terminal() {
        // What completes asks beside the shell, so that nothing that is waited for there gets into its way.
        converse(&dir.join(HISTORY_NAME), LineHelper::new(client(false), runtime), runtime, &mut session)
    } else {
        play(io::stdin().lock(), runtime, &mut session)
    }
}

fn converse(history: &Path, helper: LineHelper, runtime: &Runtime, session: &mut Session<'_>) -> Result<(), Failure> {
    let config = Config::builder().completion_type(CompletionType::List).auto_add_history(true).build();
    let mut editor: Editor<LineHelper, DefaultHistory> = Editor::with_config(config).map_err(|e| broken(&e))?;
    editor.set_helper(Some(helper));
    // There is no history the first time; and a shell without one is better than none.
    let _ = editor.load_history(history);
    if session.output.is_terminal() && !session.output.is_json() {
        session
            .output
            .write("`help` lists the commands, `help COMMAND` explains one, Tab completes, Ctrl-D leaves\n")?;
    }
    let prompt = session.client.far().map_or_else(|| "prunella> ".to_owned(), |node| format!("prunella@{node}> "));
    loop {
        session.output.flush()?;
        let line = match editor.readline(&prompt) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(broken(&error)),
        };
        match perform(&line, runtime, session) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => break,
            Err(failure @ Failure::Unwritten(_)) => return Err(failure),
            Err(failure) => {
                failure.tell(session.output);
            }
        }
    }
    if let Err(error) = editor.save_history(history) {
        complain(&format!("prunella: the history is lost: {}: {error}", history.display()));
    }
    Ok(())
}

/// The command of a line that was read before.
fn read_again(words: &[String]) -> Result<NodeCommand, Failure> {
    match Line::try_parse_from(words).map(|line| line.command) {
        Ok(ShellCommand::Node(command)) => Ok(command.printed_once()),
        other => unreachable!("BUG: {other:?} was read as the command of a node before"),
    }
}

/// Performs a script; its first failure ends it.
fn play(script: impl BufRead, runtime: &Runtime, session: &mut Session<'_>) -> Result<(), Failure> {
    for (number, line) in script.lines().enumerate() {
        let unreadable = |error: io::Error| Error::new(ErrorKind::InvalidInput, error.to_string());
        let line = line.map_err(|error| Failure::new("read the script", unreadable(error)))?;
        match perform(&line, runtime, session) {
            Ok(ControlFlow::Continue(())) => session.output.flush()?,
            Ok(ControlFlow::Break(())) => break,
            Err(Failure::Failed { doing, error }) => {
                return Err(Failure::new(format!("{doing} (line {} of the script)", number + 1), error));
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

fn perform(line: &str, runtime: &Runtime, session: &mut Session<'_>) -> Result<ControlFlow<()>, Failure> {
    let misread = |text: String| Failure::new("understand the line", Error::new(ErrorKind::InvalidInput, text));
    let words = words::split(line).map_err(|error| misread(error.to_string()))?;
    if words.is_empty() {
        return Ok(ControlFlow::Continue(()));
    }
    let Line { command, global } = match Line::try_parse_from(&words) {
        Ok(line) => line,
        Err(error) if error.use_stderr() => return Err(misread(gist(&error))),
        Err(help) => return session.output.write(&help.render().to_string()).map(ControlFlow::Continue),
    };
    let ShellCommand::Node(command) = command else { return Ok(ControlFlow::Break(())) };
    let json_before = session.output.is_json();
    session.output.set_json(json_before || global.json);
    let is_watched = session.output.is_terminal() && io::stdin().is_terminal() && !session.output.is_json();
    let command = if is_watched { *command } else { command.printed_once() };
    let is_paged = is_watched && session.is_paged;
    if is_paged {
        session.output.collect();
    }
    let done = runtime.block_on(async {
        tokio::select! {
            done = async {
                let reread = || read_again(&words);
                if global.all { everywhere::run(&reread, session).await } else { command.run(session).await }
            } => done,
            // At the prompt Ctrl-C is a key; here it gives up waiting for the node.
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    });
    session.output.set_json(json_before);
    if is_paged {
        let collected = session.output.collected();
        // What came before it is seen before it.
        session.output.flush()?;
        if let Some(text) = pager::show(collected) {
            session.output.write(&text)?;
        }
    }
    done.map(ControlFlow::Continue)
}

/// A parser's error on one line, without the usage that follows it.
pub(super) fn gist(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty() && !line.starts_with("For more")).collect();
    let gist = lines.join(" ");
    gist.strip_prefix("error: ").unwrap_or(&gist).to_owned()
}

fn broken(error: &ReadlineError) -> Failure {
    Failure::new("read from the terminal", Error::new(ErrorKind::System, error.to_string()))
}

/// The history's name in the node's directory; only its owner may read it.
const HISTORY_NAME: &str = "shell_history";

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use clap::CommandFactory;
    use tokio::sync::watch;

    use super::*;
    use crate::api::server::{Answer, Caller, Handler, Server};
    use crate::api::vocabulary::PolicyInfo;
    use crate::api::{Request, Response};

    struct Pong;

    impl Handler for Pong {
        fn handle(&self, request: Request, _: Caller) -> Answer<'_> {
            Box::pin(async move {
                match request {
                    Request::Policy => {
                        Response::Policy(PolicyInfo { source: "memory".into(), ..PolicyInfo::default() })
                    }
                    Request::PolicyReload => Response::Done,
                    _ => Response::Error { error: Error::new(ErrorKind::Denied, "not here") },
                }
            })
        }
    }

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What the script wrote, and how it ended.
    fn played(script: &str) -> (String, Result<(), Failure>) {
        let runtime = Runtime::new().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join(SOCKET_NAME);
        let (_stop, stopping) = watch::channel(false);
        let server = runtime.block_on(Server::bind(&socket)).unwrap();
        runtime.spawn(server.run(Arc::new(Pong), stopping));
        let paper = Paper::default();
        let mut output = Output::to(Box::new(paper.clone()), false);
        let mut session =
            Session { client: Client::to(&socket), output: &mut output, reads_only: false, is_paged: false };
        let ended = play(script.as_bytes(), &runtime, &mut session);
        output.flush().unwrap();
        let written = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        (written, ended)
    }

    #[test]
    fn the_parser_is_consistent() {
        Line::command().debug_assert();
    }

    #[test]
    fn a_script_is_performed_line_by_line_until_exit() {
        let (written, ended) = played("# a comment\n\npolicy --reload\npolicy --reload --json\npolicy\nexit\npeers\n");
        ended.unwrap();
        let expected = "the rules were read again\n{\n  \"response\": \"done\"\n}\nfrom memory ()\nwhat no rule allows is denied; a deny wins, wherever it stands\n";
        assert_eq!(written, expected);
    }

    #[test]
    fn a_script_ends_with_its_first_failure() {
        let (written, ended) = played("policy\npeers\npolicy\n");
        assert_eq!(written.matches("from memory").count(), 1);
        let Err(Failure::Failed { doing, error }) = ended else { panic!("it did not fail") };
        assert_eq!(doing, "list the peers (line 2 of the script)");
        assert_eq!(error.kind(), ErrorKind::Denied);
    }

    #[test]
    fn a_wrong_line_is_told_on_one_line() {
        let (_, ended) = played("pong x\n");
        let Err(Failure::Failed { error, .. }) = ended else { panic!("it did not fail") };
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().starts_with("unrecognized subcommand 'pong'"), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }

    #[test]
    fn help_is_no_failure() {
        let (written, ended) = played("help\nhelp ping\n");
        ended.unwrap();
        assert!(written.contains("incidents") && written.contains("--count"), "{written}");
    }
}
