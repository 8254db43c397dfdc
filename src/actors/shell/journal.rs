//! The journal: what was wrong, what was done, what helped. Kept in memory for the surfaces and in the store for ever
//! after; bounded in both.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prunella_core::incident::{Incident, Outcome, Phases, Plan, Step, Subject};
use prunella_core::limits::{INCIDENT_LIFE, INCIDENTS_MAX};
use prunella_core::{Instant, PeerId};
use prunella_storage::{Batch, Store, StoreError, Tree};
use serde::{Deserialize, Serialize};

use super::incident_tally::IncidentTally;

/// One incident as it is written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number on this node.
    pub id: u64,
    /// The name of its kind.
    pub kind: String,
    /// Whom or what it concerns.
    pub subject: String,
    /// How bad it is.
    #[serde(default)]
    pub severity: String,
    /// What was seen.
    pub evidence: String,
    /// When it was noticed, in milliseconds since the Unix epoch.
    pub opened_unix_ms: u64,
    /// How long it lasted, in milliseconds; `None` while it is open.
    pub lasted_ms: Option<u64>,
    /// The incident that it follows from, if it was found to follow from one.
    #[serde(default)]
    pub follows_from: Option<u64>,
    /// How long each phase took.
    #[serde(default)]
    pub phases: PhaseTimes,
    /// What was found out, planned and tried, oldest first.
    pub actions: Vec<Note>,
}

/// How long each phase of an incident took, in microseconds. What has not happened, or cannot be told, is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseTimes {
    /// From the last sign that all was well until it was noticed.
    pub detect_us: Option<u64>,
    /// From noticing it until it was known what it follows from.
    pub analyze_us: Option<u64>,
    /// From noticing it until the last plan was made.
    pub plan_us: Option<u64>,
    /// From that plan until its last step was begun: what the steps before it cost.
    pub execute_us: Option<u64>,
    /// From there until it was measured that the incident is over.
    pub verify_us: Option<u64>,
}

/// The phase in which something was done about an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// What it follows from was found.
    Analyze,
    /// What could be done was ranked.
    Plan,
    /// Something was begun.
    Execute,
    /// It was measured whether that helped.
    Verify,
    /// A person was called.
    Escalate,
}

impl Phase {
    /// The phase's name.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Analyze => "analyze",
            Phase::Plan => "plan",
            Phase::Execute => "execute",
            Phase::Verify => "verify",
            Phase::Escalate => "escalate",
        }
    }
}

/// Something that was done about an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredNote")]
pub struct Note {
    /// How long after the incident was noticed, in microseconds.
    pub after_us: u64,
    /// In which phase.
    pub phase: Phase,
    /// What, in words.
    pub what: String,
}

/// An action as this version or an earlier one wrote it.
#[derive(Deserialize)]
#[serde(untagged)]
enum StoredNote {
    Words(String),
    Typed { after_us: u64, phase: Phase, what: String },
}

impl From<StoredNote> for Note {
    fn from(stored: StoredNote) -> Self {
        match stored {
            StoredNote::Words(what) => Self { after_us: 0, phase: Phase::Execute, what },
            StoredNote::Typed { after_us, phase, what } => Self { after_us, phase, what },
        }
    }
}

/// Incidents and outcomes.
#[derive(Debug, Default)]
pub struct Journal {
    pages: Mutex<Pages>,
    /// What is counted since the node started.
    pub tally: IncidentTally,
}

#[derive(Debug, Default)]
struct Pages {
    entries: BTreeMap<u64, Entry>,
    open: BTreeMap<u64, Incident>,
    outcomes: VecDeque<Outcome>,
    next_outcome: u64,
}

impl Journal {
    /// Reads what the store holds. Incidents that were open when the node stopped are closed: this node cannot know how
    /// long they lasted.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let mut pages = Pages::default();
        for (_, value) in store.scan(Tree::Incidents)? {
            if let Ok(mut entry) = serde_json::from_slice::<Entry>(&value) {
                entry.lasted_ms.get_or_insert(0);
                pages.entries.insert(entry.id, entry);
            }
        }
        for (key, value) in store.scan(Tree::Outcomes)? {
            let number = <[u8; 8]>::try_from(&key[..]).map(u64::from_be_bytes);
            if let (Ok(number), Ok(outcome)) = (number, serde_json::from_slice(&value)) {
                pages.outcomes.push_back(outcome);
                pages.next_outcome = number + 1;
            }
        }
        Ok(Self { pages: Mutex::new(pages), tally: IncidentTally::default() })
    }

    /// Every incident, newest first.
    pub fn entries(&self) -> Vec<Entry> {
        self.pages().entries.values().rev().cloned().collect()
    }

    /// One incident.
    pub(super) fn entry(&self, incident: u64) -> Option<Entry> {
        self.pages().entries.get(&incident).cloned()
    }

    /// How many incidents are open.
    pub fn open_count(&self) -> usize {
        self.pages().open.len()
    }

    /// The incidents that are open.
    pub fn open_incidents(&self) -> Vec<Incident> {
        self.pages().open.values().cloned().collect()
    }

    /// The kind of the worst open incident about a node; of two that are as bad, the older one's.
    pub(super) fn worst_about(&self, peer: &PeerId) -> Option<&'static str> {
        let pages = self.pages();
        let about = pages.open.values().filter(|incident| incident.kind.subject().peer() == Some(*peer));
        about.max_by_key(|incident| (incident.severity, Reverse(incident.id))).map(|incident| incident.kind.name())
    }

    /// The number of the next incident.
    pub fn next_id(&self) -> u64 {
        self.pages().entries.last_key_value().map_or(1, |(id, _)| id + 1)
    }

    /// What was learned, oldest first.
    pub fn outcomes(&self) -> Vec<Outcome> {
        self.pages().outcomes.iter().cloned().collect()
    }

    /// All of it, as it belongs into a new store.
    pub(super) fn everything(&self) -> Batch {
        let (pages, mut batch) = (self.pages(), Batch::new());
        for entry in pages.entries.values() {
            batch.append(&kept(entry));
        }
        let first = pages.next_outcome - pages.outcomes.len() as u64;
        for (number, outcome) in (first..).zip(&pages.outcomes) {
            batch.put(Tree::Outcomes, number.to_be_bytes(), json(outcome));
        }
        batch
    }

    /// What was done last about an incident.
    pub(super) fn last_note(&self, incident: u64) -> Option<Note> {
        self.pages().entries.get(&incident)?.actions.last().cloned()
    }

    pub(super) fn open(&self, incident: Incident, now: Instant, unix_ms: u64) -> Batch {
        let ago = now.since(incident.opened).as_millis() as u64;
        let entry = Entry {
            id: incident.id,
            kind: incident.kind.name().to_owned(),
            subject: incident.kind.subject().to_string(),
            severity: incident.severity.name().to_owned(),
            evidence: incident.evidence.to_string(),
            opened_unix_ms: unix_ms.saturating_sub(ago),
            lasted_ms: None,
            follows_from: None,
            phases: PhaseTimes { detect_us: incident.evidence.detected_after().map(micros), ..PhaseTimes::default() },
            actions: Vec::new(),
        };
        tracing::info!(
            id = entry.id,
            kind = entry.kind,
            subject = entry.subject,
            evidence = entry.evidence,
            "incident"
        );
        self.tally.opens(incident.kind.name(), incident.evidence.detected_after());
        let mut batch = kept(&entry);
        let mut pages = self.pages();
        pages.open.insert(incident.id, incident);
        pages.entries.insert(entry.id, entry);
        while let Some(oldest) = pages.superfluous(unix_ms) {
            pages.entries.remove(&oldest);
            batch.delete(Tree::Incidents, oldest.to_be_bytes());
        }
        batch
    }

    /// How long it lasted, in milliseconds, and what is to be kept of it; `None` if it is not open.
    pub(super) fn close(&self, incident: u64, now: Instant) -> Option<(u64, Batch)> {
        let mut pages = self.pages();
        let lasted = now.since(pages.open.remove(&incident)?.opened);
        self.tally.closes(lasted);
        let lasted = lasted.as_millis() as u64;
        let entry = pages.entries.get_mut(&incident)?;
        entry.lasted_ms = Some(lasted);
        tracing::info!(
            id = entry.id,
            kind = entry.kind,
            subject = entry.subject,
            lasted_ms = lasted,
            "incident is over"
        );
        Some((lasted, kept(entry)))
    }

    pub(super) fn explain(&self, incident: u64, root: u64, culprit: &Subject, now: Instant) -> Option<Batch> {
        self.change(incident, now, |entry, after_us| {
            entry.follows_from = Some(root);
            entry.phases.analyze_us = Some(after_us);
            self.tally.took("analyze", Some(after_us));
            entry.add(Phase::Analyze, after_us, format!("follows from #{root}: {}", culprit.name()));
        })
    }

    /// The ranking, with its numbers, so that a person can see why this was tried before that.
    pub(super) fn tell_plan(&self, plan: &Plan) -> Option<Batch> {
        let mut told: Vec<String> = plan.candidates.iter().map(ToString::to_string).collect();
        told.extend(plan.withheld.iter().map(|(candidate, why)| format!("not {}: {}", candidate.name(), why.name())));
        self.change(plan.incident, plan.planned, |entry, after_us| {
            self.tally.took("plan", Some(after_us));
            // What an earlier plan took says nothing of this one.
            entry.phases = PhaseTimes { plan_us: Some(after_us), execute_us: None, verify_us: None, ..entry.phases };
            entry.add(Phase::Plan, after_us, told.join("; "));
        })
    }

    pub(super) fn escalate(&self, incident: u64, plans: u32, now: Instant) -> Option<Batch> {
        self.change(incident, now, |entry, after_us| {
            let Entry { kind, subject, .. } = &*entry;
            self.tally.escalates();
            tracing::error!(id = incident, kind, subject, plans, "nothing helps: a person is needed");
            entry.add(Phase::Escalate, after_us, format!("a person is needed: {plans} plans did not help"));
        })
    }

    pub(super) fn tell_step(&self, incident: u64, step: &Step, now: Instant) -> Option<Batch> {
        self.change(incident, now, |entry, after_us| {
            entry.add(Phase::Execute, after_us, format!("{}: begun", step.name()));
        })
    }

    pub(super) fn record(&self, incident: u64, outcome: Outcome, now: Instant) -> Batch {
        let told = self.change(incident, now, |entry, after_us| {
            let what = match &outcome.refused {
                Some(reason) => format!("{}: not possible: {reason}", outcome.step),
                None => {
                    let verdict = if outcome.helped { "helped" } else { "did not help" };
                    format!("{}: {verdict} after {} ms", outcome.step, outcome.took_ms)
                }
            };
            let Phases { planned_us, executing_us, verified_us, .. } = outcome.phases;
            entry.phases.plan_us = Some(planned_us);
            entry.phases.execute_us = Some(executing_us.saturating_sub(planned_us));
            entry.phases.verify_us = verified_us.map(|verified_us| verified_us.saturating_sub(executing_us));
            self.tally.took("execute", entry.phases.execute_us);
            self.tally.took("verify", entry.phases.verify_us);
            entry.add(Phase::Verify, verified_us.unwrap_or(after_us), what);
        });
        let mut batch = told.unwrap_or_default();
        let mut pages = self.pages();
        let number = pages.next_outcome;
        batch.put(Tree::Outcomes, number.to_be_bytes(), json(&outcome));
        pages.next_outcome += 1;
        pages.outcomes.push_back(outcome);
        if pages.outcomes.len() > OUTCOMES_MAX {
            pages.outcomes.pop_front();
            batch.delete(Tree::Outcomes, (number - OUTCOMES_MAX as u64).to_be_bytes());
        }
        batch
    }

    /// Changes an entry, which is told how long after the incident was noticed that is, in microseconds.
    fn change(&self, incident: u64, now: Instant, change: impl FnOnce(&mut Entry, u64)) -> Option<Batch> {
        let mut pages = self.pages();
        let opened = pages.open.get(&incident).map(|incident| incident.opened);
        let entry = pages.entries.get_mut(&incident)?;
        // What is told of an incident that has just ended comes after all the rest.
        let after_us = opened.map(|opened| micros(now.since(opened)));
        change(entry, after_us.or(entry.lasted_ms.map(|ms| ms * 1000)).unwrap_or_default());
        Some(kept(entry))
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    /// The oldest closed incident, if it is too old to be kept, or one too many.
    fn superfluous(&self, unix_ms: u64) -> Option<u64> {
        let oldest = self.entries.values().find(|entry| !self.open.contains_key(&entry.id))?;
        let life_ms = INCIDENT_LIFE.as_millis() as u64;
        let is_old = oldest.opened_unix_ms.saturating_add(life_ms) < unix_ms;
        (is_old || self.entries.len() > INCIDENTS_MAX).then_some(oldest.id)
    }
}

impl Entry {
    fn add(&mut self, phase: Phase, after_us: u64, what: String) {
        if self.actions.len() >= ACTIONS_MAX {
            self.actions.remove(0);
        }
        self.actions.push(Note { after_us, phase, what });
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn kept(entry: &Entry) -> Batch {
    let mut batch = Batch::new();
    batch.put(Tree::Incidents, entry.id.to_be_bytes(), json(entry));
    batch
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("BUG: plain data with string keys is JSON")
}

/// Most outcomes kept.
const OUTCOMES_MAX: usize = 512;
/// Most actions written down for one incident; the oldest make room.
const ACTIONS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use prunella_core::PeerId;
    use prunella_core::incident::{Candidate, Evidence, IncidentKind};
    use prunella_storage::MemoryStore;

    use super::*;

    fn incident(id: u64) -> Incident {
        let kind = IncidentKind::LinkDown { peer: PeerId::from_public_key([1; 32]) };
        Incident::new(
            id,
            kind,
            Evidence::Silence { silent: Duration::from_millis(1004), loss_permille: 0 },
            Instant::from_millis(10),
        )
    }

    #[test]
    fn a_story_survives_in_the_store() {
        let (journal, store) = (Journal::default(), MemoryStore::default());
        let (kind, step) = ("link-down".into(), "wait".into());
        let phases = Phases { planned_us: 40, executing_us: 90, verified_us: Some(5000), ..Phases::default() };
        let outcome = Outcome { kind, step, helped: true, took_ms: 5, refused: None, phases };
        for batch in [
            Some(journal.open(incident(1), Instant::from_millis(10), 1_800_000_000_000)),
            journal.tell_step(1, &Step::Wait, Instant::from_millis(11)),
            Some(journal.record(1, outcome.clone(), Instant::from_millis(15))),
            journal.close(1, Instant::from_millis(60)).map(|(_, batch)| batch),
        ] {
            store.apply(&batch.unwrap()).unwrap();
        }
        let again = Journal::load(&store).unwrap();
        assert_eq!(again.entries(), journal.entries());
        assert_eq!(again.entries()[0].lasted_ms, Some(50));
        let told = journal.tally.phases().map(|spread| spread.count());
        assert_eq!((told, journal.tally.lasted().count()), ([1, 0, 0, 1, 1], 1));
        assert_eq!(journal.tally.opened(), [("link-down", 1)].into());
        assert_eq!((again.outcomes(), again.next_id(), again.open_count()), (vec![outcome], 2, 0));
    }

    #[test]
    fn the_journal_is_bounded_and_forgets_closed_incidents_first() {
        let journal = Journal::default();
        journal.open(incident(0), Instant::BOOT, 1_800_000_000_000);
        for id in 1..=INCIDENTS_MAX as u64 + 5 {
            journal.open(incident(id), Instant::BOOT, 1_800_000_000_000);
            journal.close(id, Instant::BOOT);
        }
        let entries = journal.entries();
        assert_eq!(entries.len(), INCIDENTS_MAX);
        assert_eq!(entries.last().unwrap().id, 0, "the open one stays");
    }

    #[test]
    fn outcomes_of_earlier_versions_are_read() {
        let json = br#"{"kind":"link-down","step":"wait","helped":true,"took_ms":70}"#;
        let outcome: Outcome = serde_json::from_slice(json).unwrap();
        assert_eq!((outcome.took_ms, outcome.refused, outcome.phases), (70, None, Phases::default()));
    }

    fn plan() -> Plan {
        let candidate = |steps| Candidate { steps, tried: 3, helped: 0, cost: 0, risk: 0 };
        Plan {
            incident: 1,
            kind: incident(1).kind,
            candidates: vec![candidate(vec![Step::FindNeighbors]), candidate(vec![Step::Wait])],
            withheld: vec![],
            detected: Instant::from_millis(10),
            analyzed: None,
            planned: Instant::from_millis(12),
        }
    }

    #[test]
    fn a_story_tells_how_long_each_phase_took() {
        let journal = Journal::default();
        journal.open(incident(1), Instant::from_millis(10), 1_800_000_000_000);
        journal.tell_plan(&plan());
        journal.tell_step(1, &Step::Wait, Instant::from_millis(13));
        journal.explain(1, 7, &Subject::Host, Instant::from_millis(210));
        let (kind, step) = ("link-down".into(), "wait".into());
        let phases = Phases { analyzed_us: None, planned_us: 2000, executing_us: 3000, verified_us: Some(503_000) };
        let outcome = Outcome { kind, step, helped: true, took_ms: 500, refused: None, phases };
        // The end is told before the outcome.
        journal.close(1, Instant::from_millis(513));
        journal.record(1, outcome, Instant::from_millis(513));
        let entry = journal.entries().remove(0);
        let phases = PhaseTimes {
            detect_us: Some(1_004_000),
            analyze_us: Some(200_000),
            plan_us: Some(2000),
            execute_us: Some(1000),
            verify_us: Some(500_000),
        };
        assert_eq!((entry.phases, entry.follows_from, entry.severity.as_str()), (phases, Some(7), "major"));
        let told: Vec<(u64, &str)> = entry.actions.iter().map(|a| (a.after_us, a.phase.name())).collect();
        assert_eq!(told, [(2000, "plan"), (3000, "execute"), (200_000, "analyze"), (503_000, "verify")]);
    }

    #[test]
    fn another_plan_begins_its_times_anew() {
        let journal = Journal::default();
        journal.open(incident(1), Instant::from_millis(10), 1_800_000_000_000);
        let phases = Phases { planned_us: 2000, executing_us: 3000, ..Phases::default() };
        let (kind, step) = ("link-down".into(), "wait".into());
        let outcome = Outcome { kind, step, helped: false, took_ms: 2000, refused: None, phases };
        journal.record(1, outcome, Instant::from_millis(2013));
        journal.tell_plan(&Plan { planned: Instant::from_millis(4010), ..plan() });
        let told = journal.entries().remove(0).phases;
        assert_eq!((told.plan_us, told.execute_us, told.verify_us), (Some(4_000_000), None, None));
    }

    #[test]
    fn a_step_that_did_not_help_leaves_the_incident_unverified() {
        let journal = Journal::default();
        journal.open(incident(1), Instant::from_millis(10), 1_800_000_000_000);
        let phases = Phases { planned_us: 2000, executing_us: 3000, ..Phases::default() };
        let (kind, step) = ("link-down".into(), "wait".into());
        let outcome = Outcome { kind, step, helped: false, took_ms: 2000, refused: None, phases };
        journal.record(1, outcome, Instant::from_millis(2013));
        let entry = journal.entries().remove(0);
        assert_eq!((entry.phases.execute_us, entry.phases.verify_us), (Some(1000), None));
        assert_eq!(entry.actions[0].what, "wait: did not help after 2000 ms");
    }

    #[test]
    fn what_is_too_old_is_forgotten_when_something_new_begins() {
        let journal = Journal::default();
        journal.open(incident(1), Instant::BOOT, 1_800_000_000_000);
        journal.close(1, Instant::BOOT);
        journal.open(incident(2), Instant::BOOT, 1_800_000_000_000 + INCIDENT_LIFE.as_millis() as u64);
        assert_eq!(journal.entries().len(), 2);
        let batch = journal.open(incident(3), Instant::BOOT, 1_800_000_000_001 + INCIDENT_LIFE.as_millis() as u64);
        assert_eq!(journal.entries().iter().map(|entry| entry.id).collect::<Vec<_>>(), [3, 2]);
        assert_eq!(batch.len(), 2, "it is forgotten in the store as well");
    }

    #[test]
    fn outcomes_are_kept_in_their_order_and_the_oldest_make_room() {
        let (journal, store) = (Journal::default(), MemoryStore::default());
        for took_ms in 0..OUTCOMES_MAX as u64 + 10 {
            let (kind, step) = ("link-down".into(), "wait".into());
            let outcome = Outcome { kind, step, helped: true, took_ms, refused: None, phases: Phases::default() };
            store.apply(&journal.record(1, outcome, Instant::BOOT)).unwrap();
        }
        let kept = Journal::load(&store).unwrap().outcomes();
        assert_eq!(kept, journal.outcomes());
        assert_eq!((kept.len(), kept[0].took_ms), (OUTCOMES_MAX, 10));
    }

    #[test]
    fn entries_of_earlier_versions_are_read() {
        let json = br#"{"id":3,"kind":"link-down","subject":"b","evidence":"silence","opened_unix_ms":1,
            "lasted_ms":50,"actions":["wait: begun"]}"#;
        let entry: Entry = serde_json::from_slice(json).unwrap();
        assert_eq!((entry.actions[0].what.as_str(), entry.phases), ("wait: begun", PhaseTimes::default()));
        let again: Entry = serde_json::from_slice(&super::json(&entry)).unwrap();
        assert_eq!(again, entry);
    }
}
