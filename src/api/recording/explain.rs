//! Explaining from a recording: what the roles heard about one thing, and what each asked for because of it.
//!
//! The inputs are run through the core again, so that their effects are known, and those that concern the thing are
//! told in the order of time. What had no effect is told once for each kind of input, as it was last, before what had.

mod subject;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::Duration;

use prunella_core::recording::{Replay, RoleName, Scene};
use serde::Serialize;
use serde_json::Value;

use self::subject::Subject;
use super::file::InputsFile;
use super::{Ended, Run, RunFiles, runs_at, wrong};
use crate::api::Error;

/// What is to be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// An incident of the node, by its number.
    Incident(u64),
    /// Another node, by its peer id or the beginning of one.
    Node(String),
    /// An actor of the node, by its name.
    Actor(String),
}

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExplainOptions {
    /// Only this role.
    pub role: Option<RoleName>,
    /// Of an incident: this long before it began, and after it ended.
    pub around: Duration,
    /// At most so many scenes, the newest; at most [`SCENES_MAX`].
    pub most: usize,
}

/// What a recording says about a thing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The node that was recorded.
    pub node: String,
    /// The version of the program that recorded it.
    pub recorded_by: String,
    /// When the run began, in milliseconds since the Unix epoch.
    pub run_unix_ms: u64,
    /// The incident, if it is one that is explained.
    pub incident: Option<IncidentTold>,
    /// What was heard, in the order of time.
    pub scenes: Vec<SceneTold>,
    /// How many older ones there are besides.
    pub left_out: u64,
    /// What the recording does not tell, sentence by sentence.
    pub notes: Vec<String>,
}

/// An incident as the monitor raised it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IncidentTold {
    /// Its number.
    pub id: u64,
    /// The incident, as the monitor told it.
    pub raised: Value,
    /// When it began, in nanoseconds since the node's boot.
    pub opened_ns: u64,
    /// When it was over; `None`: not within this recording.
    pub cleared_ns: Option<u64>,
    /// The number of the incident that it followed from.
    pub root: Option<u64>,
}

/// One input, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SceneTold {
    /// When it was heard, in nanoseconds since the node's boot.
    pub at_ns: u64,
    /// The role.
    pub role: &'static str,
    /// The name of the actor.
    pub actor: String,
    /// The entry's number within the recording of the role, as `prunella replay --from` takes it.
    pub entry: u64,
    /// The input; of long lists what concerns the thing, and no keys and signatures. `None`: the role's timer woke it.
    pub heard: Option<Value>,
    /// How many inputs of the same kind came before this one, without an effect.
    pub like_it: u64,
    /// The effects that concern the thing, told as the input is.
    pub effects: Vec<Value>,
    /// Whether the role panicked on it.
    pub panicked: bool,
}

/// Explains a thing from the recording at `path`: a run's directory, a directory of runs, or a single file. Of several
/// runs it is the last one in which the incident began, or the last one.
///
/// # Errors
/// As [`replay`](super::replay::replay); and [`InvalidInput`](crate::api::ErrorKind::InvalidInput) if no recording has
/// the incident, or the text is no beginning of a peer id.
pub fn explain(path: &Path, about: &About, options: ExplainOptions) -> Result<Explanation, Error> {
    let runs = runs_at(path)?;
    match about {
        About::Incident(id) => {
            let mut begun = Vec::new();
            for run in &runs {
                let found = incident(run, *id)?;
                let Some(told) = found.told else {
                    begun.extend(found.begun);
                    continue;
                };
                return scenes(run, &Subject::incident(*id, &told.raised), Some(told), options);
            }
            begun.sort_unstable();
            let begun: Vec<String> = begun.iter().rev().take(IDS_TOLD).map(|id| format!("#{id}")).collect();
            let has = if begun.is_empty() { "none".to_owned() } else { begun.join(" ") };
            Err(wrong(
                path,
                &format!("incident #{id} does not begin in this recording; of those that do, the last: {has}"),
            ))
        }
        About::Node(text) if text.len() < ID_CHARACTERS_MIN || !text.chars().all(|c| c.is_ascii_alphanumeric()) => {
            Err(wrong(
                path,
                &format!("{text:?} is no peer id, nor {ID_CHARACTERS_MIN} characters or more of the beginning of one"),
            ))
        }
        About::Node(text) => scenes(&runs[0], &Subject::node(text), None, options),
        About::Actor(name) => scenes(&runs[0], &Subject::actor(name), None, options),
    }
}

/// What the monitor said of an incident, and which ones began.
#[derive(Debug, Default)]
struct Found {
    told: Option<IncidentTold>,
    begun: Vec<u64>,
}

/// Looks for an incident in what the monitor asked for.
fn incident(run: &RunFiles, id: u64) -> Result<Found, Error> {
    let mut files = Run::open(run, Some(RoleName::Monitor))?.files;
    let mut found = Found::default();
    super::play(&mut files, &mut Replay::new(RoleName::Monitor, 1), |scene| {
        if scene.has_effects() {
            scene.effects().iter().for_each(|effect| found.see(id, effect, &scene));
        }
    })?;
    Ok(found)
}

impl Found {
    fn see(&mut self, id: u64, effect: &Value, scene: &Scene<'_>) {
        let number = |kind: &str, key: &str| effect.get(kind).and_then(|inner| inner.get(key)).and_then(Value::as_u64);
        let opened_ns = scene.at().as_nanos();
        if let Some(raised) = number("Raise", "id") {
            self.begun.push(raised);
            if raised == id {
                let raised = effect["Raise"].clone();
                self.told = Some(IncidentTold { id, raised, opened_ns, cleared_ns: None, root: None });
            }
        }
        let Some(told) = &mut self.told else { return };
        if number("Clear", "incident") == Some(id) {
            told.cleared_ns = Some(opened_ns);
        }
        if number("Explain", "incident") == Some(id) {
            told.root = number("Explain", "root").filter(|root| *root != id);
        }
    }
}

/// Everything in a run that concerns the subject.
fn scenes(
    run: &RunFiles,
    subject: &Subject,
    incident: Option<IncidentTold>,
    options: ExplainOptions,
) -> Result<Explanation, Error> {
    let Run { node, program, run_unix_ms, mut files } = Run::open(run, options.role)?;
    let around = options.around.as_nanos() as u64;
    let when = incident.as_ref().map_or(0..=u64::MAX, |told| {
        let end = told.cleared_ns.map_or(u64::MAX, |end| end.saturating_add(around));
        told.opened_ns.saturating_sub(around)..=end
    });
    let most = options.most.min(SCENES_MAX);
    let (mut told, mut left_out, mut notes) = (Vec::new(), 0, Vec::new());
    for files in files.chunk_by_mut(InputsFile::is_of_the_same_role) {
        let role = files.first().expect("BUG: a chunk is not empty").header.role;
        let mut replay = Replay::new(role, 1);
        let mut told_of_role = Telling::new(most);
        let ended = super::play(files, &mut replay, |scene| {
            if when.contains(&scene.at().as_nanos()) {
                told_of_role.see(&scene, subject);
            }
        })?;
        told_of_role.tell_quiet();
        left_out += told_of_role.left_out;
        told.extend(told_of_role.kept);
        notes.extend(noted(role, &replay, &ended));
    }
    told.sort_by_key(|scene| scene.at_ns);
    let surplus = told.len().saturating_sub(most);
    told.drain(..surplus);
    left_out += surplus as u64;
    let (node, recorded_by) = (node.to_string(), program);
    Ok(Explanation { node, recorded_by, run_unix_ms, incident, scenes: told, left_out, notes })
}

/// What the recording of a role does not tell.
fn noted(role: RoleName, replay: &Replay, ended: &Ended) -> Vec<String> {
    let tally = replay.tally();
    let mut notes: Vec<String> = tally
        .unplayed
        .iter()
        .map(|(why, count)| format!("{role}: {count} inputs were not played: {}", why.text()))
        .collect();
    if tally.dropped > 0 {
        notes.push(format!("{role}: there is a gap: the recorder dropped {} entries", tally.dropped));
    }
    if let Ended::Diverged(found) = ended {
        let entry = found.entry;
        notes.push(format!("{role}: its effects are others now from entry {entry} on, so nothing after it is told"));
    }
    notes
}

/// What is told of one role.
struct Telling {
    most: usize,
    kept: VecDeque<SceneTold>,
    left_out: u64,
    /// What had no effect since the last that had, by actor and kind.
    quiet: BTreeMap<(String, String), SceneTold>,
}

impl Telling {
    fn new(most: usize) -> Self {
        Self { most, kept: VecDeque::new(), left_out: 0, quiet: BTreeMap::new() }
    }

    fn see(&mut self, scene: &Scene<'_>, subject: &Subject) {
        let is_about_actor = subject.is_actor(scene.actor);
        let heard = scene.heard();
        let all = if scene.has_effects() { scene.effects() } else { Vec::new() };
        let effects = all.into_iter().filter(|effect| is_about_actor || subject.is_in(effect));
        let effects: Vec<Value> = effects.map(|effect| subject.gist(effect)).collect();
        let is_heard = is_about_actor || heard.as_ref().is_some_and(|heard| subject.is_in(heard));
        let is_quiet = effects.is_empty() && !scene.has_panicked();
        // An actor that was woken for nothing has nothing to tell.
        if is_quiet && (heard.is_none() || !is_heard) {
            return;
        }
        let (at_ns, role, actor, entry) =
            (scene.at().as_nanos(), scene.role.name(), scene.actor.to_owned(), scene.entry);
        let heard = heard.map(|heard| subject.gist(heard));
        let panicked = scene.has_panicked();
        let kind = heard.as_ref().map_or_else(String::new, kind);
        let mut told = SceneTold { at_ns, role, actor: actor.clone(), entry, heard, like_it: 0, effects, panicked };
        if !is_quiet {
            self.tell_quiet();
            self.keep(told);
            return;
        }
        if let Some(before) = self.quiet.get(&(actor.clone(), kind.clone())) {
            told.like_it = before.like_it + 1;
        }
        if self.quiet.len() < QUIET_MAX || told.like_it > 0 {
            self.quiet.insert((actor, kind), told);
        }
    }

    fn tell_quiet(&mut self) {
        let mut quiet: Vec<SceneTold> = std::mem::take(&mut self.quiet).into_values().collect();
        quiet.sort_by_key(|scene| scene.at_ns);
        quiet.into_iter().for_each(|scene| self.keep(scene));
    }

    fn keep(&mut self, scene: SceneTold) {
        if self.kept.len() >= self.most {
            self.kept.pop_front();
            self.left_out += 1;
        }
        self.kept.push_back(scene);
    }
}

/// The kind of an input: the name of its variant.
fn kind(heard: &Value) -> String {
    match heard {
        Value::Object(fields) => fields.keys().next().cloned().unwrap_or_default(),
        Value::String(text) => text.clone(),
        _ => String::new(),
    }
}

/// The most scenes that are told.
pub const SCENES_MAX: usize = 10_000;
/// Kinds of inputs without effect, by actor, that are kept for the next that has one; more are left out.
const QUIET_MAX: usize = 1_024;
/// Incidents that are named when there is not the one that was asked for.
const IDS_TOLD: usize = 8;
/// Fewer characters of a peer id may be anybody's.
const ID_CHARACTERS_MIN: usize = 6;

#[cfg(test)]
mod tests;
