//! Recordings of what a node's roles heard, as files: replayed and compared, or read to explain what happened.

pub mod explain;
mod file;
pub mod replay;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use prunella_core::PeerId;
pub use prunella_core::recording::RoleName;
use prunella_core::recording::{Divergence, Header, Replay, Scene};

use super::{Error, ErrorKind};
use file::{InputsFile, Next, unreadable};

/// The recording of one run of a node.
#[derive(Debug)]
struct Run {
    node: PeerId,
    /// The version of the program that recorded it.
    program: String,
    /// When the run began, in milliseconds since the Unix epoch.
    run_unix_ms: u64,
    /// In the order of roles, then of time.
    files: Vec<InputsFile>,
}

/// How the recording of a role ended.
#[derive(Debug)]
enum Ended {
    /// With its last entry.
    Whole,
    /// In the middle of an entry: the node was stopped while it was written.
    Torn,
    /// At an input whose effects are others now.
    Diverged(Box<Divergence>),
}

impl Run {
    /// The recording in these files, or only one role's of it.
    fn open(files: &RunFiles, role: Option<RoleName>) -> Result<Self, Error> {
        let opened: Result<Vec<_>, Error> = files.paths.iter().map(|path| InputsFile::open(path)).collect();
        let mut opened = opened?;
        opened.retain(|file| role.is_none_or(|role| role == file.header.role));
        opened.sort_by_key(|file| (file.header.role, file.header.segment));
        let Some(Header { node, program, run_unix_ms, .. }) = opened.first().map(|file| file.header.clone()) else {
            let role = role.map_or(String::new(), |role| format!(" of the role {role}"));
            let text = format!("there is no recording{role} here; `journal.inputs` turns recording on");
            return Err(wrong(&files.of, &text));
        };
        if opened.iter().any(|file| (file.header.node, file.header.run_unix_ms) != (node, run_unix_ms)) {
            return Err(wrong(&files.of, "its files are of different runs; take one run at a time"));
        }
        Ok(Self { node, program, run_unix_ms, files: opened })
    }
}

/// Plays the files of one role until they end or the effects differ, and shows every input that was played.
fn play(files: &mut [InputsFile], replay: &mut Replay, mut shown: impl FnMut(Scene<'_>)) -> Result<Ended, Error> {
    let mut ended = Ended::Whole;
    for file in files {
        loop {
            match file.next()? {
                Next::Entry(entry) => {
                    if let Err(found) = replay.take(entry, &mut shown) {
                        return Ok(Ended::Diverged(found));
                    }
                }
                Next::End => break,
                Next::Torn => {
                    ended = Ended::Torn;
                    break;
                }
            }
        }
    }
    Ok(ended)
}

/// The files of one run.
#[derive(Debug)]
struct RunFiles {
    /// What was named, or what is in it.
    of: PathBuf,
    paths: Vec<PathBuf>,
}

/// The runs that are recorded at a path, the last one first: one if it is a file, or the directory of one run.
fn runs_at(path: &Path) -> Result<Vec<RunFiles>, Error> {
    let of = path.to_path_buf();
    let found = fs::metadata(path).map_err(|error| wrong(path, &error.to_string()))?;
    if !found.is_dir() {
        return Ok(vec![RunFiles { paths: vec![of.clone()], of }]);
    }
    let inputs = |dir: &Path| listed(dir, |name| name.ends_with(".inputs").then(|| name.to_owned()));
    let paths = inputs(path)?;
    let runs = listed(path, |name| name.parse::<u64>().ok())?;
    if !paths.is_empty() || runs.is_empty() {
        return Ok(vec![RunFiles { of, paths }]);
    }
    runs.into_iter().rev().map(|run| Ok(RunFiles { paths: inputs(&run)?, of: run })).collect()
}

/// What lies in a directory and has a place in this order, in it.
fn listed<K: Ord>(dir: &Path, place: impl Fn(&str) -> Option<K>) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(|error| unreadable(dir, &error))? {
        let entry = entry.map_err(|error| unreadable(dir, &error))?;
        found.extend(entry.file_name().to_str().and_then(&place).map(|key| (key, entry.path())));
        if found.len() > FILES_MAX {
            return Err(wrong(dir, "there are too many files"));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

fn wrong(path: &Path, what: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("{}: {what}", path.display()))
}

/// More files than any run has, and few enough to be open at once.
const FILES_MAX: usize = 64;
