//! Replaying a recording: the recorded inputs run through the core again, and the effects are compared.

use std::collections::BTreeMap;
use std::path::Path;

use prunella_core::recording::{Divergence, Outcome, Replay, RoleName, Tally};
use serde::Serialize;

use super::file::InputsFile;
use super::{Ended, Run, runs_at};
use crate::api::Error;

/// What is replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayOptions {
    /// Only this role.
    pub role: Option<RoleName>,
    /// Compare from this entry of a role's recording on; what comes before only leads there.
    pub from: u64,
}

/// What a replay has come to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReplayReport {
    /// The node that was recorded.
    pub node: String,
    /// The version of the program that recorded it.
    pub recorded_by: String,
    /// The version of the program that replayed it.
    pub replayed_by: String,
    /// When the run began, in milliseconds since the Unix epoch.
    pub run_unix_ms: u64,
    /// Each role, in the order in which roles are started.
    pub roles: Vec<RoleReplay>,
    /// The first divergence of each role; empty: all effects are the same.
    pub divergences: Vec<DivergenceInfo>,
}

/// The replay of one role.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RoleReplay {
    /// The role.
    pub role: String,
    /// How many lives of it began.
    pub lives: u64,
    /// Entries read.
    pub entries: u64,
    /// Inputs with the same effects as then.
    pub same: u64,
    /// Of these, inputs on which the role panicked, then and now.
    pub panicked: u64,
    /// Inputs that only led to where comparing began.
    pub passed: u64,
    /// Inputs that were not played, by the reason.
    pub unplayed: BTreeMap<String, u64>,
    /// Entries that the recorder had to drop.
    pub dropped: u64,
    /// The times of the first and of the last input, in nanoseconds since the node's boot.
    pub span_ns: Option<(u64, u64)>,
    /// Whether the last entry is cut off: the node was stopped while it was written.
    pub torn: bool,
}

/// An input whose effects are others than then.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DivergenceInfo {
    /// The role.
    pub role: String,
    /// The entry's number within the recording of the role, from 1.
    pub entry: u64,
    /// The name of the actor.
    pub actor: String,
    /// The number of its life.
    pub life: u64,
    /// The input's number within the life.
    pub number: u64,
    /// When it was heard, in nanoseconds since the node's boot.
    pub at_ns: u64,
    /// The input.
    pub input: String,
    /// What came out of it then.
    pub then: String,
    /// What comes out of it now.
    pub now: String,
    /// The effects now, the first of them.
    pub effects: Vec<String>,
}

impl ReplayReport {
    /// Whether at least one input was played and all effects were those of then.
    pub fn is_same(&self) -> bool {
        self.divergences.is_empty() && self.roles.iter().any(|role| role.same > 0)
    }
}

/// Replays the recording at `path`: a run's directory, a directory of runs, of which the last is taken, or a single file.
///
/// # Errors
/// [`InvalidInput`](crate::api::ErrorKind::InvalidInput) if there is no recording or it is damaged: the file, where, and what is wrong;
/// [`System`](crate::api::ErrorKind::System) if it cannot be read.
pub fn replay(path: &Path, options: ReplayOptions) -> Result<ReplayReport, Error> {
    let Run { node, program, run_unix_ms, mut files, .. } = Run::open(&runs_at(path)?[0], options.role)?;
    let mut report = ReplayReport {
        node: node.to_string(),
        recorded_by: program,
        replayed_by: env!("CARGO_PKG_VERSION").to_owned(),
        run_unix_ms,
        roles: Vec::new(),
        divergences: Vec::new(),
    };
    for files in files.chunk_by_mut(InputsFile::is_of_the_same_role) {
        let (role, divergence) = replay_role(files, options.from)?;
        report.roles.push(role);
        report.divergences.extend(divergence);
    }
    Ok(report)
}

/// Replays the files of one role until they end or the effects differ.
fn replay_role(files: &mut [InputsFile], from: u64) -> Result<(RoleReplay, Option<DivergenceInfo>), Error> {
    let role = files.first().expect("BUG: a chunk is not empty").header.role;
    let mut replay = Replay::new(role, from);
    let (torn, divergence) = match super::play(files, &mut replay, |_| {})? {
        Ended::Whole => (false, None),
        Ended::Torn => (true, None),
        Ended::Diverged(found) => (false, Some(DivergenceInfo::from(*found))),
    };
    Ok((told(role, replay.tally(), torn), divergence))
}

fn told(role: RoleName, tally: &Tally, torn: bool) -> RoleReplay {
    RoleReplay {
        role: role.name().to_owned(),
        lives: tally.lives,
        entries: tally.entries,
        same: tally.same,
        panicked: tally.panicked,
        passed: tally.passed,
        unplayed: tally.unplayed.iter().map(|(why, count)| (why.text().to_owned(), *count)).collect(),
        dropped: tally.dropped,
        span_ns: tally.span.map(|(first, last)| (first.as_nanos(), last.as_nanos())),
        torn,
    }
}

impl From<Divergence> for DivergenceInfo {
    fn from(found: Divergence) -> Self {
        Self {
            role: found.role.name().to_owned(),
            entry: found.entry,
            actor: found.actor,
            life: found.life,
            number: found.number,
            at_ns: found.at.as_nanos(),
            input: cut(found.input),
            then: found.then.map_or_else(|| "the role started".to_owned(), outcome),
            now: found.now.map_or_else(|reason| format!("it is turned away: {reason}"), outcome),
            effects: found.effects.into_iter().map(cut).collect(),
        }
    }
}

fn outcome(outcome: Outcome) -> String {
    match outcome {
        Outcome::Effects(digest) => {
            format!("{} effects, {}", digest.effects, data_encoding::HEXLOWER.encode(&digest.hash))
        }
        Outcome::Panicked => "the role panicked".to_owned(),
    }
}

/// An input may hold thousands of records; nobody reads them all.
fn cut(mut text: String) -> String {
    if let Some((at, _)) = text.char_indices().nth(TEXT_CHARACTERS_MAX) {
        text.truncate(at);
        text.push_str(" ...");
    }
    text
}

/// The longest text of an input or of an effect that is told.
const TEXT_CHARACTERS_MAX: usize = 4000;
