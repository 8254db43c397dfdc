//! The command line: one command per file, one parser and one renderer for it and for the shell.
//!
//! Every command is a [`Request`](crate::api::Request) or a call of the library; nothing here can do more than an embedder.

mod actor;
mod actors;
mod authority;
mod cert;
mod chaos;
mod completions;
mod config;
mod dashboard;
mod down;
mod events;
mod everywhere;
mod explain;
mod expose;
mod failure;
mod forward;
mod gossip;
mod inbox;
mod incident;
mod incidents;
mod init;
mod interruption;
mod invite;
mod join;
mod journal;
mod kernel;
mod key;
mod kill;
mod lab;
mod ledger;
mod links;
mod log;
mod members;
mod node_command;
mod open;
mod output;
mod parse;
mod paths;
mod peers;
mod ping;
mod policy;
mod progress;
mod records;
mod regions;
mod render;
mod replay;
mod reputation;
mod seal;
mod services;
mod session;
mod shared;
mod shell;
mod sim;
mod sim_attacks;
mod sim_gossip;
mod sim_scenario;
mod status;
mod store;
mod suspend;
mod token;
mod top;
mod topology;
mod trace;
mod tun;
mod up;
mod vitals;
mod watch;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, Args, Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use crate::api::client::Client;
use crate::api::memory;
use crate::api::server::SOCKET_NAME;
use crate::api::{Error, ErrorKind};
use failure::Failure;
use node_command::NodeCommand;
use output::Output;
use session::Session;
pub use sim::{FailedSeed, Simulate, Simulated, Simulation, Simulators, Watch};
pub use sim_attacks::{AttackOutcome, RunAttacks};
pub use sim_gossip::{GossipPreset, GossipProgress, GossipSpread, SimulateGossip};
pub use sim_scenario::{PlayScenario, ScenarioStory};

/// Runs the command line that the process was started with. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 denied, 130
/// interrupted.
pub fn main(simulators: Simulators) -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => cli.run(simulators),
        Err(error) => {
            // Help and version come this way as well; if nobody reads them, that is no failure.
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
    }
}

/// A self-healing, zero-trust mesh network.
#[derive(Debug, Parser)]
#[command(name = "prunella", version = VERSION, max_term_width = 120)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 denied, 130 interrupted.")]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Debug, Args)]
struct Global {
    /// The node's directory [default: $XDG_STATE_HOME/prunella or ~/.local/state/prunella]
    #[arg(long, global = true, env = "PRUNELLA_DIR", value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Have another node do it: a peer id, a beginning of one, or a name; the node in DIR asks it, and its policy decides
    #[arg(long, global = true, value_name = "NODE")]
    node: Option<String>,
    /// Ask every node of the mesh what reads, and tell who did not answer; the policy of each decides
    #[arg(long, global = true, conflicts_with = "node")]
    all: bool,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Found a mesh: create this host's node as its first
    #[command(arg = done_here())]
    Init(init::Arguments),
    /// Print a token with which one more host can join
    #[command(arg = done_here())]
    Invite(invite::Arguments),
    /// Join a mesh with a token, or as a workload that a SPIFFE agent knows
    #[command(arg = done_here())]
    Join(join::Arguments),
    /// Use the key of the mesh's authority: appoint and dismiss issuers, replace the authority
    #[command(arg = done_here())]
    Authority(authority::Arguments),
    /// Run the node until it is stopped
    #[command(arg = done_here())]
    Up(up::Arguments),
    #[command(flatten)]
    Node(NodeCommand),
    /// Talk to the running node, line by line; reads a script when standard input is not a terminal
    Shell(shell::Arguments),
    /// Run what a node's roles have heard through the core again, and compare what comes of it
    #[command(
        after_help = "A node records what its roles hear when `[journal] inputs` is true, in DIR/journal: a directory for
this run and one for the run before. Each role has files of its own. Exit code 1: effects differ, or
nothing could be compared.",
        arg = done_here()
    )]
    Replay(replay::Arguments),
    /// Tell what the node's roles heard about an incident, a node or an actor, and what each did because of it
    #[command(
        after_help = "Reads what a node with `inputs = true` under [journal] has recorded, in DIR/journal or where --journal says,
and runs it through the core again; needs no running node. Inputs without an effect are told once for each
kind, as they were last before one that had an effect; long lists are cut to what concerns the thing.",
        arg = done_here()
    )]
    Explain(explain::Arguments),
    /// Make a file readable by one node alone, now and when there are quantum computers
    #[command(
        after_help = "Needs no running node. The key is agreed by X25519 and ML-KEM-768 together; this node signs by Ed25519
and ML-DSA-65, both. A file that was cut off or changed does not open.",
        arg = done_here()
    )]
    Seal(seal::Arguments),
    /// Open what was sealed for this node
    #[command(
        after_help = "Needs no running node. Nothing is written unless all of it is good. Without --from whoever sealed it
is told, but a key of theirs that is good against quantum computers is only known from --from.",
        arg = done_here()
    )]
    Open(open::Arguments),
    /// This node's keys for sealing and signing
    #[command(arg = done_here())]
    Key(key::Arguments),
    /// Make, list and revoke tokens of the HTTP API
    #[command(arg = done_here())]
    Token(token::Arguments),
    /// Print an address of the running node's dashboard that opens in a browser
    #[command(arg = done_here())]
    Dashboard(dashboard::Arguments),
    /// Print a completion script for a shell
    #[command(arg = done_here())]
    Completions(completions::Arguments),
    /// Run the core of many nodes on one thread, with seeded faults, and check what must hold
    #[command(arg = done_here())]
    Sim(sim::Arguments),
    /// Run a whole mesh on this machine: real nodes, real traffic, faults, and a report
    #[command(arg = done_here())]
    Lab(lab::Arguments),
}

impl Cli {
    fn run(self, simulators: Simulators) -> ExitCode {
        let mut output = Output::stdout(self.global.json);
        let done = self.perform(simulators, &mut output).and_then(|()| output.flush());
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failure.tell(&mut output),
        }
    }

    fn perform(self, simulators: Simulators, output: &mut Output) -> Result<(), Failure> {
        if let Some(node) = &self.global.node
            && !self.command.asks_a_node()
        {
            let text = "--node is for commands that a running node performs; this one is done here";
            return Err(Failure::new(format!("ask {node}"), Error::new(ErrorKind::InvalidInput, text)));
        }
        if self.global.all && !matches!(self.command, Command::Node(_)) {
            let text = "--all is for what running nodes are asked; this is done here";
            return Err(Failure::new("ask every node", Error::new(ErrorKind::InvalidInput, text)));
        }
        if let Command::Completions(arguments) = self.command {
            return completions::run(&arguments, output);
        }
        if let Command::Replay(arguments) = self.command {
            return replay::run(&arguments, output);
        }
        if let Command::Sim(arguments) = self.command {
            return sim::run(&arguments, simulators, output);
        }
        if let Command::Lab(arguments) = self.command {
            return run_lab(arguments);
        }
        if let Command::Node(NodeCommand::Chaos(arguments)) = &self.command
            && let Some(soak) = arguments.soak()
        {
            return run_soak(soak.clone());
        }
        if let Command::Node(NodeCommand::Policy(arguments)) = &self.command
            && let Some(offline) = arguments.offline()
        {
            return policy::offline(offline, output);
        }
        // All that follow may hold keys or tokens. A program that starts nodes and must not leave any behind looks into
        // them: the lab counts what they hold.
        memory::keep_secret(matches!(&self.command, Command::Up(arguments) if arguments.has_parent()));
        let dir = self.global.dir.map_or_else(default_dir, Ok)?;
        let runtime = runtime(&self.command)?;
        let done = match self.command {
            Command::Init(arguments) => init::run(arguments, &dir, output),
            Command::Invite(arguments) => invite::run(arguments, &dir, output),
            Command::Join(arguments) => runtime.block_on(join::run(arguments, &dir, output)),
            Command::Authority(arguments) => runtime.block_on(authority::run(arguments, &dir, output)),
            Command::Up(arguments) => runtime.block_on(up::run(arguments, &dir)),
            Command::Node(command) => {
                ask_node(command, (&dir, self.global.node.as_deref()), self.global.all, &runtime, output)
            }
            Command::Shell(arguments) => shell::run(&arguments, &dir, self.global.node.as_deref(), &runtime, output),
            Command::Seal(arguments) => seal::run(arguments, &dir, output),
            Command::Open(arguments) => open::run(arguments, &dir, output),
            Command::Key(arguments) => key::run(&arguments, &dir, output),
            Command::Token(arguments) => token::run(arguments, &dir, output),
            Command::Explain(arguments) => explain::run(arguments, &dir, output),
            Command::Dashboard(arguments) => runtime.block_on(dashboard::run(arguments, &dir, output)),
            Command::Sim(_) | Command::Lab(_) | Command::Replay(_) | Command::Completions(_) => {
                unreachable!("BUG: what needs no directory was done above")
            }
        };
        // A thread may still wait for standard input, which only its other end can close: nobody waits for that.
        runtime.shutdown_background();
        done
    }
}

impl Command {
    /// Whether it is a running node that does it, all of it.
    fn asks_a_node(&self) -> bool {
        match self {
            Command::Node(NodeCommand::Chaos(arguments)) => arguments.soak().is_none(),
            Command::Node(NodeCommand::Policy(arguments)) => arguments.offline().is_none(),
            Command::Node(NodeCommand::Ledger(arguments)) => !arguments.is_offline(),
            Command::Node(_) | Command::Shell(_) => true,
            _ => false,
        }
    }
}

/// Has the node in `dir` do it, or another one over it, or every node.
fn ask_node(
    command: NodeCommand,
    (dir, node): (&Path, Option<&str>),
    all: bool,
    runtime: &Runtime,
    output: &mut Output,
) -> Result<(), Failure> {
    let socket = dir.join(SOCKET_NAME);
    let client = node.map_or_else(|| Client::to(&socket), |node| Client::at(&socket, node, false));
    let mut session = Session { client, output, reads_only: false, is_paged: false };
    if all {
        runtime.block_on(everywhere::run(&reread, &mut session))
    } else {
        runtime.block_on(command.run(&mut session))
    }
}

/// The command of this very process once more.
fn reread() -> Result<NodeCommand, Failure> {
    match Cli::parse().command {
        Command::Node(command) => Ok(command),
        other => unreachable!("BUG: {other:?} was read as the command of a node before"),
    }
}

/// The lab has its own directory, and says itself what did not hold.
fn run_lab(arguments: lab::Arguments) -> Result<(), Failure> {
    let runtime = system_runtime(&mut Builder::new_multi_thread())?;
    ending(runtime.block_on(lab::run(arguments)).map_err(|error| Failure::new("run the lab", error))?)
}

/// As [`run_lab`].
fn run_soak(arguments: lab::SoakArguments) -> Result<(), Failure> {
    let runtime = system_runtime(&mut Builder::new_multi_thread())?;
    ending(runtime.block_on(lab::soak(arguments)).map_err(|error| Failure::new("soak a mesh", error))?)
}

fn ending(ending: lab::Ending) -> Result<(), Failure> {
    match ending {
        lab::Ending::Kept => Ok(()),
        lab::Ending::Broken => Err(Failure::Told),
        lab::Ending::Interrupted => Err(Failure::Interrupted),
    }
}

/// In place of `--node` for commands that are done here: it is understood, so that it can be refused by name, and not shown.
fn done_here() -> Arg {
    Arg::new("node").long("node").global(true).value_name("NODE").hide(true)
}

/// A node uses all processors; whoever merely asks one needs a single thread.
fn runtime(command: &Command) -> Result<Runtime, Failure> {
    let mut builder = match command {
        Command::Up(_) => Builder::new_multi_thread(),
        _ => Builder::new_current_thread(),
    };
    system_runtime(&mut builder)
}

fn system_runtime(builder: &mut Builder) -> Result<Runtime, Failure> {
    builder.enable_all().build().map_err(|error: io::Error| {
        Failure::new("start", Error::new(ErrorKind::System, format!("the system gives no threads or files: {error}")))
    })
}

fn default_dir() -> Result<PathBuf, Failure> {
    dir_from(std::env::var_os("XDG_STATE_HOME"), std::env::var_os("HOME")).ok_or_else(|| {
        let text = "neither --dir nor PRUNELLA_DIR nor HOME says where the node lives; give --dir DIR";
        Failure::new("find the node's directory", Error::new(ErrorKind::InvalidInput, text))
    })
}

/// The XDG base directory specification: a relative `XDG_STATE_HOME` is to be ignored.
fn dir_from(state_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let state = state_home.map(PathBuf::from).filter(|path| path.is_absolute());
    let home = home.map(PathBuf::from).filter(|path| path.is_absolute());
    Some(state.or_else(|| Some(home?.join(".local/state")))?.join("prunella"))
}

/// The version, and what the program was built with beside what every build has.
const VERSION: &str =
    if cfg!(feature = "ebpf") { concat!(env!("CARGO_PKG_VERSION"), " (ebpf)") } else { env!("CARGO_PKG_VERSION") };

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_parser_is_consistent() {
        Cli::command().debug_assert();
    }

    /// One command line at least for each command.
    const MANUAL: &[&str] = &[
        "prunella init",
        "prunella init --certificates ml-dsa-65",
        "prunella init --name a --trust-domain mesh.example --listen 0.0.0.0:4600 --advertise 192.0.2.1:4600",
        "prunella invite --expires 90m --address 192.0.2.1:4600 --address 192.0.2.2:4600",
        "prunella join token --name b --listen [::]:4600 --dir /d",
        "prunella --dir /d up --config /c.toml --rebuild",
        "prunella status --json",
        "prunella peers",
        "prunella links",
        "prunella gossip",
        "prunella records",
        "prunella records n1 --kind service",
        "prunella records n1/service/web --json",
        "prunella store --json",
        "prunella journal",
        "prunella paths b",
        "prunella actors",
        "prunella tree",
        "prunella actors --sort time --most 5",
        "prunella top --interval 0.5",
        "prunella --node b top",
        "prunella --json watch --interval 1 --count 3 paths b --why",
        "prunella trace --actor gossip --kind link-reported --max 7 --seconds 9",
        "prunella services",
        "prunella incidents",
        "prunella incident 7",
        "prunella ping b --count 3",
        "prunella trace b",
        "prunella expose web tcp://127.0.0.1:8080",
        "prunella expose --remove web",
        "prunella forward web 127.0.0.1:9000",
        "prunella forward web 9000",
        "prunella forward --remove 127.0.0.1:9000",
        "prunella shared set rollout/new-ui 25%",
        "prunella shared set offset -3",
        "prunella shared get rollout/new-ui --json",
        "prunella shared list",
        "prunella shared remove rollout/new-ui",
        "prunella policy",
        "prunella policy --reload",
        "prunella policy check policy.toml --cedar --json",
        "prunella policy show",
        "prunella policy set policy.toml --version 7",
        "prunella policy unset",
        "prunella policy explain --from bob --action ping",
        "prunella policy test policy.toml",
        "prunella policy explain p.cedar --from lentaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa --action connect \
         --service web --fact region=eu --fact reputation=0.4",
        "prunella kill gossip",
        "prunella restart gossip",
        "prunella suspend gossip --seconds 60",
        "prunella resume gossip",
        "prunella inbox gossip --most 3",
        "prunella ledger show",
        "prunella ledger show --last 50 --kind commanded --json",
        "prunella ledger verify",
        "prunella ledger verify /backup/ledger --json",
        "prunella ledger verify --proof entry-7.json",
        "prunella ledger prove 7",
        "prunella ledger export",
        "prunella ledger export -o ledger.jsonl",
        "prunella chaos link b --drop 100%",
        "prunella chaos link b --sent --delay 50ms --jitter 10ms --drop 0.5% --for 5s --seed 7",
        "prunella chaos link b --received --duplicate 10% --reorder 10% --throttle 64000",
        "prunella chaos link b --gray --for 500ms",
        "prunella chaos actor gossip --how stall --for 2s",
        "prunella chaos actor gossip --how slow --each 5ms",
        "prunella chaos cpu-hog --threads 4 --for 5s",
        "prunella chaos clock --offset -3600",
        "prunella chaos disk --slow 200ms",
        "prunella chaos disk --full --for 1s",
        "prunella chaos disk --stopped",
        "prunella chaos certificate",
        "prunella chaos status --json",
        "prunella chaos clear",
        "prunella chaos soak --minutes 10",
        "prunella chaos soak --seconds 5 --seed 7 --nodes 7 --json soak.json",
        "prunella down",
        "prunella shell",
        "prunella shell --no-pager",
        "prunella shell --node b",
        "prunella --node b links --json",
        "prunella peers --node lenta",
        "prunella replay /d/journal",
        "prunella replay /d/journal/1 --role monitor --from 1000 --json",
        "prunella completions bash",
        "prunella key export --json",
        "prunella seal --to b.key",
        "prunella seal --to b.key --anonymous report.pdf -o report.sealed",
        "prunella open report.sealed --from a.key -o report.pdf --json",
        "prunella open",
        "prunella sim --seeds 3 --nodes 5 --seconds 10",
        "prunella sim --seed 7",
        "prunella sim --seed 7 --nodes 1000 --minutes 10080 --json",
        "prunella sim --seeds 1000000 --first-seed 0 --nodes 3 --seconds 0",
        "prunella sim --gossip list",
        "prunella sim --gossip 1k --seed 3",
        "prunella members",
        "prunella reputation b",
        "prunella lab",
        "prunella lab --nodes 7 --runs 1 --seed 3 --faults kill-node,one-way --bulk-mbit 50 --keep",
        "prunella lab --json report.json --dir /d --service tcp://127.0.0.1:8080",
        "prunella cert list",
        "prunella cert show b --json",
        "prunella cert rotate",
        "prunella cert audit",
        "prunella cert smoke b",
        "prunella cert revoke b --reason stolen",
        "prunella cert reinstate lenta",
        "prunella authority show --json",
        "prunella authority request",
        "prunella authority appoint KEYS --key /stick/authority.key",
        "prunella authority accept -",
        "prunella authority dismiss lentaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "prunella authority succeed --key /stick/authority.key --new-key /stick/next.key",
        "prunella authority retire 0a1b",
    ];

    #[test]
    fn every_command_line_of_the_manual_parses() {
        // Too long to be listed: a peer id, and 1952 bytes in base64.
        let keys = format!("lentaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.{}", "A".repeat(2603));
        for line in MANUAL {
            assert!(parse(&line.replace("KEYS", &keys)).is_ok(), "{line}");
        }
    }

    #[test]
    fn the_option_for_another_node_is_shown_where_it_works_and_understood_everywhere() {
        let keys = format!("lentaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.{}", "A".repeat(2603));
        let mut asks: std::collections::BTreeMap<String, (bool, String)> = std::collections::BTreeMap::new();
        for line in MANUAL
            .iter()
            .map(|line| line.replace("KEYS", &keys))
            .filter(|line| !line.contains("--node") && !line.starts_with("prunella --"))
        {
            let asked = parse(&format!("{line} --node b")).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(asked.global.node.as_deref(), Some("b"), "{line}");
            let (path, help) = help_of(&line);
            asks.entry(path).or_insert((false, help)).0 |= asked.command.asks_a_node();
        }
        assert!(asks.len() > 30, "{}", asks.len());
        for (path, (asks, help)) in asks {
            assert_eq!(help.contains("--node "), asks, "{path}: {help}");
        }
    }

    /// The innermost command of a line, with those around it, and its help.
    fn help_of(line: &str) -> (String, String) {
        let mut root = Cli::command();
        root.build();
        let (mut command, mut path) = (&mut root, Vec::new());
        for word in line.split(' ').skip(1) {
            if command.find_subcommand(word).is_none() {
                break;
            }
            command = command.find_subcommand_mut(word).expect("BUG: it was found");
            path.push(word.to_owned());
        }
        (path.join(" "), command.render_long_help().to_string())
    }

    /// Command lines that mean nothing.
    const WRONG: &[&str] = &[
        "prunella",
        "prunella dance",
        "prunella invite --expires soon",
        "prunella init --trust-domain Mesh",
        "prunella init --certificates rsa",
        "prunella init --name two/words",
        "prunella ping",
        "prunella trace",
        "prunella trace b --actor gossip",
        "prunella trace b --max 7",
        "prunella actors --sort name",
        "prunella actors --most 5",
        "prunella records --kind rumor",
        "prunella top --interval 0",
        "prunella watch",
        "prunella watch --count 0 links",
        "prunella ping b --count 0",
        "prunella ledger",
        "prunella ledger show --kind gossip",
        "prunella ledger show --last 0",
        "prunella ledger prove",
        "prunella ledger verify /backup/ledger --proof entry-7.json",
        "prunella expose web",
        "prunella expose web udp://127.0.0.1:53",
        "prunella expose web tcp://127.0.0.1:80 --remove web",
        "prunella expose Web tcp://127.0.0.1:80",
        "prunella forward web",
        "prunella shared",
        "prunella shared set color",
        "prunella shared drop color",
        "prunella policy check",
        "prunella policy --reload check policy.toml",
        "prunella policy set",
        "prunella policy set p.toml --version latest",
        "prunella policy explain p.toml --from lentaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa --action dance",
        "prunella kill gossip --how panic",
        "prunella restart",
        "prunella suspend gossip --seconds 61",
        "prunella suspend gossip --seconds 0",
        "prunella inbox gossip --most 33",
        "prunella chaos",
        "prunella chaos link b",
        "prunella chaos link b --drop 101%",
        "prunella chaos link b --drop 0.01%",
        "prunella chaos link b --delay 50",
        "prunella chaos link b --gray --for 0s",
        "prunella chaos actor gossip --how gently",
        "prunella chaos disk",
        "prunella chaos disk --full --slow 1s",
        "prunella chaos disk --full --stopped",
        "prunella chaos cpu-hog --threads 65",
        "prunella chaos soak",
        "prunella chaos soak --minutes 0",
        "prunella chaos soak --minutes 1 --seconds 1",
        "prunella replay",
        "prunella replay /d --role nobody",
        "prunella replay /d --from 7",
        "prunella completions cmd",
        "prunella key",
        "prunella seal report.pdf",
        "prunella open --to b.key",
        "prunella sim --seed 1 --seeds 2",
        "prunella sim --seeds 0",
        "prunella sim --seeds 1000001",
        "prunella sim --nodes 0",
        "prunella sim --nodes 1001",
        "prunella sim --seconds 604801",
        "prunella sim --minutes 10081",
        "prunella sim --seconds 1 --minutes 1",
        "prunella sim --gossip 1k --nodes 5",
        "prunella lab --nodes 3",
        "prunella lab --json",
        "prunella lab --service 127.0.0.1:8080",
    ];

    #[test]
    fn wrong_usage_is_refused_with_exit_code_two() {
        for line in WRONG {
            assert_eq!(parse(line).expect_err(line).exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn the_directory_follows_the_xdg_specification() {
        let dir = |state: Option<&str>, home: Option<&str>| dir_from(state.map(Into::into), home.map(Into::into));
        assert_eq!(dir(Some("/s"), Some("/h")), Some("/s/prunella".into()));
        assert_eq!(dir(Some("s"), Some("/h")), Some("/h/.local/state/prunella".into()));
        assert_eq!(dir(None, Some("/h")), Some("/h/.local/state/prunella".into()));
        assert_eq!(dir(None, None), None);
    }
}
