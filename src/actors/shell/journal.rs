//! The journal: what was wrong, what was done, what helped. Kept in memory for the surfaces and in the store for ever
//! after; bounded in both.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use prunella_core::Instant;
use prunella_core::incident::{Incident, Outcome, Plan, Step, Subject};
use prunella_core::limits::INCIDENTS_MAX;
use prunella_storage::{Batch, Store, StoreError, Tree};
use serde::{Deserialize, Serialize};

/// One incident as it is written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number on this node.
    pub id: u64,
    /// The name of its kind.
    pub kind: String,
    /// Whom or what it concerns.
    pub subject: String,
    /// What was seen.
    pub evidence: String,
    /// When it was noticed, in milliseconds since the Unix epoch.
    pub opened_unix_ms: u64,
    /// How long it lasted, in milliseconds; `None` while it is open.
    pub lasted_ms: Option<u64>,
    /// What was tried, oldest first.
    pub actions: Vec<String>,
}

/// Incidents and outcomes.
#[derive(Debug, Default)]
pub struct Journal {
    pages: Mutex<Pages>,
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
        for (_, value) in store.scan(Tree::Outcomes)? {
            if let Ok(outcome) = serde_json::from_slice(&value) {
                pages.outcomes.push_back(outcome);
                pages.next_outcome += 1;
            }
        }
        Ok(Self { pages: Mutex::new(pages) })
    }

    /// Every incident, newest first.
    pub fn entries(&self) -> Vec<Entry> {
        self.pages().entries.values().rev().cloned().collect()
    }

    /// How many incidents are open.
    pub fn open_count(&self) -> usize {
        self.pages().open.len()
    }

    /// The incidents that are open.
    pub fn open_incidents(&self) -> Vec<Incident> {
        self.pages().open.values().cloned().collect()
    }

    /// The number of the next incident.
    pub fn next_id(&self) -> u64 {
        self.pages().entries.last_key_value().map_or(1, |(id, _)| id + 1)
    }

    /// What was learned, oldest first.
    pub fn outcomes(&self) -> Vec<Outcome> {
        self.pages().outcomes.iter().cloned().collect()
    }

    pub(super) fn open(&self, incident: Incident, now: Instant, unix_ms: u64) -> Batch {
        let ago = now.since(incident.opened).as_millis() as u64;
        let entry = Entry {
            id: incident.id,
            kind: incident.kind.name().to_owned(),
            subject: incident.kind.subject().to_string(),
            evidence: incident.evidence.to_string(),
            opened_unix_ms: unix_ms.saturating_sub(ago),
            lasted_ms: None,
            actions: Vec::new(),
        };
        tracing::info!(
            id = entry.id,
            kind = entry.kind,
            subject = entry.subject,
            evidence = entry.evidence,
            "incident"
        );
        let mut batch = kept(&entry);
        let mut pages = self.pages();
        pages.open.insert(incident.id, incident);
        pages.entries.insert(entry.id, entry);
        while pages.entries.len() > INCIDENTS_MAX {
            let oldest = pages.entries.keys().find(|id| !pages.open.contains_key(id)).copied();
            let Some(oldest) = oldest else { break };
            pages.entries.remove(&oldest);
            batch.delete(Tree::Incidents, oldest.to_be_bytes());
        }
        batch
    }

    pub(super) fn close(&self, incident: u64, now: Instant) -> Option<Batch> {
        let mut pages = self.pages();
        let lasted = now.since(pages.open.remove(&incident)?.opened).as_millis() as u64;
        let entry = pages.entries.get_mut(&incident)?;
        entry.lasted_ms = Some(lasted);
        tracing::info!(
            id = entry.id,
            kind = entry.kind,
            subject = entry.subject,
            lasted_ms = lasted,
            "incident is over"
        );
        Some(kept(entry))
    }

    pub(super) fn explain(&self, incident: u64, root: u64, culprit: &Subject) -> Option<Batch> {
        self.write(incident, format!("follows from #{root}: {}", culprit.name()))
    }

    /// The ranking, with its numbers, so that a person can see why this was tried before that.
    pub(super) fn tell_plan(&self, plan: &Plan) -> Option<Batch> {
        let mut told: Vec<String> = plan.candidates.iter().map(ToString::to_string).collect();
        told.extend(plan.withheld.iter().map(|(candidate, why)| format!("not {}: {}", candidate.name(), why.name())));
        self.write(plan.incident, format!("plan: {}", told.join("; ")))
    }

    pub(super) fn escalate(&self, incident: u64, plans: u32) -> Option<Batch> {
        let told = self.pages().entries.get(&incident).map(|entry| (entry.kind.clone(), entry.subject.clone()));
        let (kind, subject) = told?;
        tracing::error!(id = incident, kind, subject, plans, "nothing helps: a person is needed");
        self.write(incident, format!("a person is needed: {plans} plans did not help"))
    }

    pub(super) fn tell_step(&self, incident: u64, step: &Step) -> Option<Batch> {
        self.write(incident, format!("{}: begun", step.name()))
    }

    pub(super) fn record(&self, incident: u64, outcome: Outcome) -> Batch {
        let text = match &outcome.refused {
            Some(reason) => format!("{}: not possible: {reason}", outcome.step),
            None => {
                let verdict = if outcome.helped { "helped" } else { "did not help" };
                format!("{}: {verdict} after {} ms", outcome.step, outcome.took_ms)
            }
        };
        let mut batch = self.write(incident, text).unwrap_or_default();
        let mut pages = self.pages();
        let slot = pages.next_outcome % OUTCOMES_MAX;
        batch.put(Tree::Outcomes, slot.to_be_bytes(), json(&outcome));
        pages.next_outcome += 1;
        pages.outcomes.push_back(outcome);
        if pages.outcomes.len() as u64 > OUTCOMES_MAX {
            pages.outcomes.pop_front();
        }
        batch
    }

    fn write(&self, incident: u64, action: String) -> Option<Batch> {
        let mut pages = self.pages();
        let entry = pages.entries.get_mut(&incident)?;
        if entry.actions.len() >= ACTIONS_MAX {
            entry.actions.remove(0);
        }
        entry.actions.push(action);
        Some(kept(entry))
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
const OUTCOMES_MAX: u64 = 512;
/// Most actions written down for one incident; the oldest make room.
const ACTIONS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use prunella_core::PeerId;
    use prunella_core::incident::{Evidence, IncidentKind, Phases};
    use prunella_storage::MemoryStore;

    use super::*;

    fn incident(id: u64) -> Incident {
        let kind = IncidentKind::LinkDown { peer: PeerId::from_public_key([1; 32]) };
        Incident::new(id, kind, Evidence::Silence { loss_permille: 0 }, Instant::from_millis(10))
    }

    #[test]
    fn a_story_survives_in_the_store() {
        let (journal, store) = (Journal::default(), MemoryStore::default());
        let (kind, step) = ("link-down".into(), "wait".into());
        let phases = Phases { planned_us: 40, executing_us: 90, verified_us: Some(5000), ..Phases::default() };
        let outcome = Outcome { kind, step, helped: true, took_ms: 5, refused: None, phases };
        for batch in [
            Some(journal.open(incident(1), Instant::from_millis(10), 1_800_000_000_000)),
            journal.tell_step(1, &Step::Wait),
            Some(journal.record(1, outcome.clone())),
            journal.close(1, Instant::from_millis(60)),
        ] {
            store.apply(&batch.unwrap()).unwrap();
        }
        let again = Journal::load(&store).unwrap();
        assert_eq!(again.entries(), journal.entries());
        assert_eq!(again.entries()[0].lasted_ms, Some(50));
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
}
