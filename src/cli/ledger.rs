//! `prunella ledger`: what this node must not be able to deny, shown, verified, proven and exported.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::failure::{Failure, complain};
use super::output::Output;
use super::progress::Progress;
use super::render;
use super::session::Session;
use crate::api::ledger::{self, EventKind, LEDGER_NAME};
use crate::api::vocabulary::{LedgerLine, LedgerReport};
use crate::api::{Error, ErrorKind, Request, Response};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  prunella ledger show --last 50 --kind commanded
  prunella ledger verify
  prunella ledger prove 7 --json > entry-7.json
  prunella ledger verify --proof entry-7.json
  prunella ledger export -o ledger.jsonl

A ledger is the append-only log of what a node did and saw that matters for trust:
admissions, revocations, rules, quarantines, plans, commands. Neighbors remember its
signed head and find out when it is not what it was. docs/ledger.md has the format.")]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show how the ledger stands, and its newest entries
    Show {
        /// How many entries, at most 1000
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
        last: u16,
        /// Only entries of this kind, such as commanded, admitted or policy-changed
        #[arg(long, value_name = "KIND", value_parser = kind)]
        kind: Option<EventKind>,
    },
    /// Walk a ledger and say what is wrong with it, or check a proof in a file (exit code 1 if something is wrong)
    Verify {
        /// A ledger's directory, such as a copy of DIR/ledger [default: that of the node, running or not]
        #[arg(value_name = "LEDGER", conflicts_with = "proof")]
        place: Option<PathBuf>,
        /// Check a proof that `prove --json` has printed, with nothing else at hand
        #[arg(long, value_name = "FILE")]
        proof: Option<PathBuf>,
    },
    /// Print what proves an entry to anybody: the way to a signed head, and who has seen that head
    Prove {
        /// The entry's number
        #[arg(value_name = "INDEX")]
        index: u64,
    },
    /// Print every entry as a line of JSON
    Export {
        /// Write into this file instead of standard output
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

impl Arguments {
    /// Whether it is about files alone.
    pub(super) fn is_offline(&self) -> bool {
        matches!(self.action, Action::Verify { place: Some(_), .. } | Action::Verify { proof: Some(_), .. })
    }
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    match arguments.action {
        Action::Show { last, kind } => {
            session.show("show the ledger", &Request::Ledger { last: usize::from(last), kind }).await
        }
        Action::Verify { proof: Some(file), .. } => verify_proof(&file, session.output),
        Action::Verify { place: Some(place), .. } => verify_files(&place, session.output),
        Action::Verify { .. } => verify(session).await,
        Action::Prove { index } => session.show("prove the entry", &Request::LedgerProve { index }).await,
        Action::Export { output } => export(output.as_deref(), session).await,
    }
}

/// Has the node verify its ledger; where none runs, this walks the files.
async fn verify(session: &mut Session<'_>) -> Result<(), Failure> {
    match session.client.request(&Request::LedgerVerify).await {
        Err(error) if error.kind() == ErrorKind::NotRunning && session.client.far().is_none() => {
            let place = session.client.directory().join(LEDGER_NAME);
            verify_files(&place, session.output)
        }
        Ok(Response::LedgerVerified(report)) => judge(report, session.output),
        Ok(Response::Error { error }) | Err(error) => Err(Failure::new("verify the ledger", error)),
        Ok(other) => session.output.show(&other),
    }
}

fn verify_files(place: &Path, output: &mut Output) -> Result<(), Failure> {
    let mut progress = Progress::begin();
    let mut tell = |done: u64, all: u64| progress.tell(|| format!("verified {done} of {all} entries"));
    let report = ledger::verify(place, &mut tell).map_err(|error| Failure::new("verify the ledger", error))?;
    progress.clear();
    judge(report, output)
}

fn judge(report: LedgerReport, output: &mut Output) -> Result<(), Failure> {
    let is_sound = report.problems.is_empty();
    output.show(&Response::LedgerVerified(report))?;
    if is_sound { Ok(()) } else { Err(Failure::Told) }
}

fn verify_proof(file: &Path, output: &mut Output) -> Result<(), Failure> {
    let proof = ledger::verify_proof(file).map_err(|error| {
        // A proof that proves nothing is what was asked for, and no wrong usage.
        Failure::new("verify the proof", Error::new(ErrorKind::Identity, error.to_string()))
    })?;
    output.show(&Response::LedgerProof(Box::new(proof)))
}

/// Prints all entries that there are now: as the node reads them, or as the files are where none runs.
async fn export(to: Option<&Path>, session: &mut Session<'_>) -> Result<(), Failure> {
    let doing = |error| Failure::new("export the ledger", error);
    let mut file = to.map(Written::create).transpose().map_err(doing)?;
    let mut progress = Progress::begin();
    let (mut from, mut entries) = (0, u64::MAX);
    while from < entries {
        let (lines, all) = match session.client.request(&Request::LedgerLines { from }).await {
            Ok(Response::LedgerLines { lines, entries }) => (lines, entries),
            Err(error) if error.kind() == ErrorKind::NotRunning && from == 0 && session.client.far().is_none() => {
                return export_files(file, session, progress);
            }
            Ok(Response::Error { error }) | Err(error) => return Err(doing(error)),
            Ok(_) => return Err(doing(Error::new(ErrorKind::Internal, "the node answered something else"))),
        };
        // What is appended meanwhile is for the next export.
        entries = entries.min(all);
        if lines.is_empty() {
            break;
        }
        for line in lines.iter().take((entries - from) as usize) {
            write(line, file.as_mut(), session.output)?;
        }
        from += lines.len() as u64;
        progress.tell(|| format!("exported {from} of {entries} entries"));
    }
    finish(file, entries.min(from), progress)
}

fn export_files(mut file: Option<Written>, session: &mut Session<'_>, mut progress: Progress) -> Result<(), Failure> {
    let place = session.client.directory().join(LEDGER_NAME);
    let (mut done, mut failed) = (0u64, None);
    let walked = ledger::lines(&place, &mut |line| {
        failed = write(&line, file.as_mut(), session.output).err();
        done += 1;
        progress.tell(|| format!("exported {done} entries"));
        failed.is_none()
    });
    let entries = walked.map_err(|error| Failure::new("export the ledger", error))?;
    failed.map_or_else(|| finish(file, entries, progress), Err)
}

fn write(line: &LedgerLine, file: Option<&mut Written>, output: &mut Output) -> Result<(), Failure> {
    let text = format!("{}\n", render::ledger_line(line));
    match file {
        None => output.write(&text),
        Some(file) => file.write(&text).map_err(|error| Failure::new("export the ledger", error)),
    }
}

fn finish(file: Option<Written>, entries: u64, mut progress: Progress) -> Result<(), Failure> {
    progress.clear();
    if let Some(file) = file {
        let place = file.place.display().to_string();
        file.finish().map_err(|error| Failure::new("export the ledger", error))?;
        complain(&format!("exported {entries} entries to {place}"));
    }
    Ok(())
}

/// A file that is being written.
struct Written {
    place: PathBuf,
    file: BufWriter<File>,
}

impl Written {
    fn create(place: &Path) -> Result<Self, Error> {
        let file = File::create(place).map_err(|error| unwritten(place, &error))?;
        Ok(Self { place: place.to_owned(), file: BufWriter::new(file) })
    }

    fn write(&mut self, text: &str) -> Result<(), Error> {
        self.file.write_all(text.as_bytes()).map_err(|error| unwritten(&self.place, &error))
    }

    fn finish(mut self) -> Result<(), Error> {
        self.file.flush().map_err(|error| unwritten(&self.place, &error))
    }
}

fn unwritten(place: &Path, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::System, format!("cannot write {}: {error}", place.display()))
}

fn kind(text: &str) -> Result<EventKind, String> {
    let found = EventKind::ALL.into_iter().find(|kind| kind.name() == text);
    found.ok_or_else(|| format!("there is no such kind; there are {}", EventKind::ALL.map(EventKind::name).join(", ")))
}
