//! `prunella seal`: makes a file readable by one node alone.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::{Failure, complain};
use super::output::Output;
use super::progress::Progress;
use crate::api::sealing::{self, Files, NodeKeys, PublicKey, SealReport};
use crate::api::{Error, ErrorKind};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// For whom: a file with the public key that `prunella key export` printed there
    #[arg(long, value_name = "RECIPIENT")]
    to: PathBuf,
    /// Do not sign: nobody can tell who sealed it, and no node need live on this host
    #[arg(long)]
    anonymous: bool,
    #[command(flatten)]
    paths: Paths,
}

/// From where and to where, as `seal` and `open` take it.
#[derive(Debug, Args)]
pub(super) struct Paths {
    /// What is read [default: standard input]
    #[arg(value_name = "IN")]
    input: Option<PathBuf>,
    /// What is written, in the place of what is there [default: standard output]
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
}

impl Paths {
    /// As files; `-` stands for standard input and output.
    pub(super) fn files(self) -> Files {
        let named = |path: Option<PathBuf>| path.filter(|path| path.as_os_str() != "-");
        Files { input: named(self.input), output: named(self.output) }
    }
}

pub(super) fn run(arguments: Arguments, dir: &Path, output: &mut Output) -> Result<(), Failure> {
    let doing = |error| Failure::new("seal", error);
    let files = arguments.paths.files();
    check_output(&files, output).map_err(doing)?;
    if files.output.is_none() && io::stdout().is_terminal() {
        let text = "sealed data is not for a terminal: give `-o FILE`, or `-o - | ...`";
        return Err(doing(Error::new(ErrorKind::InvalidInput, text)));
    }
    let to = PublicKey::read(&arguments.to).map_err(doing)?;
    let from = if arguments.anonymous {
        None
    } else {
        let hint = |error: Error| Error::new(error.kind(), format!("{error}; or give --anonymous, to sign nothing"));
        Some(NodeKeys::load(dir).map_err(hint).map_err(doing)?)
    };
    let mut shown = Shown::begin("sealed", &files);
    let report = sealing::seal_file(files, &to, from.as_ref(), &mut |bytes| shown.tell(bytes)).map_err(doing)?;
    shown.progress.clear();
    let signed = if report.sender.is_some() { "signed by this node" } else { "not signed" };
    tell(&report, &format!("sealed {} bytes for {}, {signed}", report.bytes, report.recipient), output)
}

/// Where data is the output, there is no place for a report in JSON.
pub(super) fn check_output(files: &Files, output: &Output) -> Result<(), Error> {
    if output.is_json() && files.output.is_none() {
        return Err(Error::new(ErrorKind::InvalidInput, "--json prints a report, so the data needs `-o FILE`"));
    }
    Ok(())
}

/// Tells what was done: where the data is not, which is standard error if the data went to standard output.
pub(super) fn tell(report: &SealReport, line: &str, output: &mut Output) -> Result<(), Failure> {
    if report.output.is_some() {
        return output.show_either(report, &format!("{line}\n"));
    }
    complain(line);
    Ok(())
}

/// How far it has come, of a file with its share.
pub(super) struct Shown {
    pub(super) progress: Progress,
    verb: &'static str,
    total: Option<u64>,
}

impl Shown {
    pub(super) fn begin(verb: &'static str, files: &Files) -> Self {
        let total = files.input.as_ref().and_then(|path| path.metadata().ok()).filter(|data| data.is_file());
        Self { progress: Progress::begin(), verb, total: total.map(|data| data.len()).filter(|bytes| *bytes > 0) }
    }

    pub(super) fn tell(&mut self, bytes: u64) {
        let (verb, total) = (self.verb, self.total);
        self.progress.tell(|| {
            let mib = bytes >> 20;
            match total {
                Some(total) => format!("{verb} {mib} of {} MiB ({} %)", total >> 20, bytes.min(total) * 100 / total),
                None => format!("{verb} {mib} MiB"),
            }
        });
    }
}
