//! What the user may say to the lab.

use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};

use super::faults::FaultKind;

/// What the user said.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Nodes to start, 4 to 16
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(4..=16))]
    pub(super) nodes: u16,
    /// How often each fault is injected
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) runs: u32,
    /// Replays the lab's choices: the content sent, the relays and links that fail [default: random]
    #[arg(long, value_name = "S")]
    pub(super) seed: Option<u64>,
    /// The faults to inject, separated by commas [default: kill-node to gray-relay]
    #[arg(long, value_name = "KIND,...", value_delimiter = ',')]
    pub(super) faults: Vec<FaultKind>,
    /// Reach this HTTP service through the mesh instead of the lab's own file server
    #[arg(long, value_name = "tcp://HOST:PORT", value_parser = Service::parse)]
    pub(super) service: Option<Service>,
    /// Rate limit of the bulk stream, in megabits per second
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) bulk_mbit: u32,
    /// A key of every node's configuration and its value, for example probe.hedge_after_ms=0; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub(super) set: Vec<toml::Table>,
    /// Leave the mesh running at the end, and say how to open a shell on each node
    #[arg(long)]
    pub(super) keep: bool,
    /// Write the report as JSON to this file; `-` is the standard output
    #[arg(id = "report", long = "json", value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Where the nodes live; must be empty or absent [default: a fresh temporary directory]
    #[arg(id = "home", long = "dir", value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
    #[command(flatten)]
    shared: Shared,
}

/// Takes the places of the options that all commands share, so that after `lab` `--json` names a file, and so that
/// `--dir` before it (or the variable that stands for it), which names a node's directory, does not name the lab's.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Shared {
    #[arg(id = "json", long = "shared-json", hide = true)]
    json: bool,
    #[arg(id = "dir", long = "shared-dir", hide = true)]
    _dir: Option<PathBuf>,
}

impl Shared {
    /// Whether `--json` stood where it means the standard output.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }
}

/// What a mesh of the lab's is started with.
#[derive(Clone, Debug, Default)]
pub(super) struct Setup {
    pub(super) nodes: u16,
    pub(super) seed: Option<u64>,
    pub(super) service: Option<Service>,
    pub(super) bulk_mbit: u32,
    pub(super) set: Vec<toml::Table>,
    pub(super) dir: Option<PathBuf>,
}

impl Arguments {
    /// What the mesh is started with.
    pub(super) fn setup(&self) -> Setup {
        Setup {
            nodes: self.nodes,
            seed: self.seed,
            service: self.service.clone(),
            bulk_mbit: self.bulk_mbit,
            set: self.set.clone(),
            dir: self.dir.clone(),
        }
    }

    /// Whether the standard output is for JSON: `lab --json -`, or `--json lab` as with any command.
    pub(super) fn is_json_shown(&self) -> bool {
        self.shared.json || self.json.as_deref() == Some(Path::new("-"))
    }

    /// The file for the JSON.
    pub(super) fn json_file(&self) -> Option<&Path> {
        self.json.as_deref().filter(|file| *file != Path::new("-"))
    }

    /// The faults to inject, in the order of the report, each once.
    pub(super) fn fault_kinds(&self) -> Vec<FaultKind> {
        let wanted = |kind: &FaultKind| match self.faults.as_slice() {
            [] => kind.is_default(),
            chosen => chosen.contains(kind),
        };
        FaultKind::ALL.into_iter().filter(wanted).collect()
    }
}

fn setting(text: &str) -> Result<toml::Table, String> {
    text.parse().map_err(|_| "must be KEY=VALUE as in config.toml, with the section before the key".to_owned())
}

/// A TCP service of the user's, written `tcp://HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Service {
    authority: String,
}

impl Service {
    /// The service at `authority`, a `HOST:PORT`.
    pub(super) fn at(authority: impl Into<String>) -> Self {
        Self { authority: authority.into() }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let authority = text.strip_prefix("tcp://").ok_or("must begin with tcp://")?.trim_end_matches('/');
        let (host, port) = authority.rsplit_once(':').ok_or("must end with :PORT")?;
        match port.parse::<u16>() {
            Ok(1..) if !host.is_empty() => Ok(Self::at(authority)),
            _ => Err("must be tcp://HOST:PORT".to_owned()),
        }
    }

    /// `HOST:PORT`.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// `tcp://HOST:PORT`.
    pub(super) fn target(&self) -> String {
        format!("tcp://{}", self.authority)
    }

    /// The first address that the host name stands for (asks the system's resolver, so it may block).
    pub(super) fn resolve(&self) -> std::io::Result<std::net::SocketAddr> {
        let mut addresses = self.authority.to_socket_addrs()?;
        addresses.next().ok_or_else(|| std::io::Error::other(format!("{} has no address", self.authority)))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        lab: Arguments,
    }

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Line::try_parse_from(std::iter::once("lab").chain(line.split_whitespace())).map(|line| line.lab)
    }

    #[test]
    fn without_arguments_every_fault_is_injected_three_times_into_five_nodes() {
        let lab = parse("").unwrap();
        assert_eq!((lab.nodes, lab.runs, lab.bulk_mbit), (5, 3, 100));
        assert_eq!(lab.fault_kinds(), FaultKind::ALL[..13]);
    }

    #[test]
    fn faults_are_chosen_by_name_and_injected_once_each() {
        let lab = parse("--faults kill-actor,cut-link,kill-actor").unwrap();
        assert_eq!(lab.fault_kinds(), [FaultKind::CutLink, FaultKind::KillActor]);
        assert_eq!(parse("--faults gray-relay").unwrap().fault_kinds(), [FaultKind::GrayRelay]);
        assert!(parse("--faults meteor").is_err());
    }

    #[test]
    fn the_json_goes_to_a_file_or_to_the_standard_output() {
        let targets = |line| {
            let lab = parse(line).unwrap();
            (lab.is_json_shown(), lab.json_file().map(Path::to_path_buf))
        };
        assert_eq!(targets(""), (false, None));
        assert_eq!(targets("--json -"), (true, None));
        assert_eq!(targets("--json report.json"), (false, Some("report.json".into())));
    }

    #[test]
    fn a_setting_is_written_as_in_the_configuration() {
        let lab = parse("--set probe.hedge_after_ms=0 --set region=\"eu\"").unwrap();
        assert_eq!(lab.set[0]["probe"]["hedge_after_ms"], 0.into());
        assert_eq!(lab.set[1]["region"], "eu".into());
        assert!(parse("--set probe").is_err());
    }

    #[test]
    fn impossible_numbers_of_nodes_are_refused() {
        assert!(parse("--nodes 3").is_err());
        assert!(parse("--nodes 17").is_err());
        assert_eq!(parse("--nodes 16").unwrap().nodes, 16);
    }

    #[test]
    fn a_service_is_a_host_and_a_port() {
        assert_eq!(Service::parse("tcp://localhost:80"), Ok(Service::at("localhost:80")));
        assert_eq!(Service::parse("tcp://[::1]:8080/").unwrap().target(), "tcp://[::1]:8080");
        for wrong in ["localhost:80", "tcp://localhost", "tcp://:80", "tcp://localhost:0", "tcp://localhost:x"] {
            assert!(Service::parse(wrong).is_err(), "{wrong}");
        }
    }
}
