//! The planner role: from an incident to a plan, using what helped before.
//!
//! It hears incidents, what they follow from, and outcomes, and asks for plans to be carried out. Invariants: at most
//! [`PLANS_MAX`] plans are under way, of which one is risky; a repair that did not help waits longer each time before it
//! is tried again; never more than a stated share of the mesh is quarantined, and never so much that a quorum is lost.
//!
//! An incident that follows from another one is not planned for again while that one is being repaired.

mod budget;
mod knowledge;
mod ranking;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::incident::{Candidate, Incident, IncidentKind, Outcome, Plan, Severity, Withheld};
use crate::limits::{INCIDENTS_MAX, PLANS_MAX};
use crate::membership::quorum::Quorum;
use crate::{Instant, Machine, PeerId};

use budget::Budget;
use knowledge::Knowledge;

/// What the role may hear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// An incident begins.
    Raised(Incident),
    /// An incident is over.
    Cleared {
        /// Its number.
        incident: u64,
    },
    /// An incident follows from another one.
    Explained {
        /// Its number.
        incident: u64,
        /// The other's number.
        root: u64,
    },
    /// What became of a step; also given from the store when the role starts.
    Learned(Outcome),
    /// Every step of a plan was tried and the incident is still open.
    Exhausted {
        /// Its number.
        incident: u64,
    },
    /// A node made itself known, or is no longer known.
    NodeLearned {
        /// Which.
        peer: PeerId,
        /// Whether it is known.
        known: bool,
    },
    /// This node is cut off from the majority, or is back.
    QuorumChanged(Quorum),
    /// A node is dealt with no more, or again.
    Quarantined {
        /// Which.
        peer: PeerId,
        /// Whether it is quarantined.
        quarantined: bool,
    },
}

/// What the role may ask for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Effect {
    /// Carry this out; comes back as `Learned` for each step, and `Exhausted` if nothing helped.
    Adopt(Plan),
    /// Nothing has helped, again and again: a person is needed. Said once for each incident that users may notice
    /// ([`Severity::Major`]); nothing comes back.
    Escalate {
        /// The incident's number.
        incident: u64,
        /// How many plans were tried.
        plans: u32,
    },
}

/// The role.
#[derive(Debug, Default)]
pub struct Planner {
    open: BTreeMap<u64, Case>,
    knowledge: Knowledge,
    budget: Budget,
}

#[derive(Debug)]
struct Case {
    kind: IncidentKind,
    severity: Severity,
    detected: Instant,
    analyzed: Option<Instant>,
    root: Option<u64>,
    attempts: u32,
    escalated: bool,
    /// When to plan (again); `None` while a plan is under way.
    plan_at: Option<Instant>,
}

impl Case {
    fn new(incident: Incident, now: Instant) -> Self {
        let Incident { kind, severity, opened: detected, .. } = incident;
        Self { kind, severity, detected, analyzed: None, root: None, attempts: 0, escalated: false, plan_at: Some(now) }
    }
}

impl Planner {
    /// The role, with the incidents that were open when an earlier one ended.
    pub fn new(open: impl IntoIterator<Item = Incident>, now: Instant) -> Self {
        // The restart of an actor may have ended the earlier one: at once again would be for ever.
        let wait = |kind: &IncidentKind| match kind {
            IncidentKind::ActorStuck { .. } => RESTARTED_WAIT,
            _ => Duration::ZERO,
        };
        let adopt = |incident: Incident| (incident.id, now + wait(&incident.kind), incident);
        let open = open.into_iter().map(adopt).map(|(id, at, incident)| (id, Case::new(incident, at))).collect();
        Self { open, ..Self::default() }
    }

    fn on_exhausted(&mut self, incident: u64, now: Instant, effects: &mut Vec<Effect>) {
        self.budget.end(incident);
        let Some(case) = self.open.get_mut(&incident) else { return };
        let wait = RETRY_MIN * 2u32.saturating_pow(case.attempts.min(8));
        case.plan_at = Some(now + wait.min(RETRY_MAX));
        let is_grave = case.severity >= Severity::Major && case.attempts >= ESCALATE_AFTER;
        if is_grave && !std::mem::replace(&mut case.escalated, true) {
            effects.push(Effect::Escalate { incident, plans: case.attempts });
        }
    }

    /// Incidents that may be planned for now or later, with the time for it.
    fn waiting(&self) -> impl Iterator<Item = (u64, Instant)> {
        let is_held = |case: &Case| {
            let root = case.root.and_then(|root| self.open.get(&root));
            root.is_some_and(|root| root.plan_at.is_none() || root.attempts == 0)
        };
        self.open
            .iter()
            .filter(move |(_, case)| case.attempts == 0 || !is_held(case))
            .filter_map(|(id, case)| Some((*id, case.plan_at?)))
    }

    fn free_plans(&self) -> usize {
        PLANS_MAX.saturating_sub(self.open.values().filter(|case| case.plan_at.is_none()).count())
    }

    fn plan(&mut self, incident: u64, now: Instant) -> Option<Plan> {
        let case = self.open.get_mut(&incident)?;
        let ranked = ranking::rank(&case.kind, &self.knowledge);
        let mut candidates: Vec<Candidate> = Vec::new();
        let mut withheld: Vec<(Candidate, Withheld)> = Vec::new();
        for candidate in ranked {
            match self.budget.allows(&candidate, incident) {
                Ok(()) => candidates.push(candidate),
                Err(why) => withheld.push((candidate, why)),
            }
        }
        case.attempts += 1;
        if candidates.is_empty() && withheld.is_empty() {
            self.open.remove(&incident);
            return None;
        }
        let (kind, detected, analyzed) = (case.kind.clone(), case.detected, case.analyzed);
        case.plan_at = None;
        self.budget.begin(incident, &candidates);
        Some(Plan { incident, kind, candidates, withheld, detected, analyzed, planned: now })
    }
}

impl Machine for Planner {
    type Input = Input;
    type Effect = Effect;

    fn handle(&mut self, input: Input, now: Instant, effects: &mut Vec<Effect>) {
        match input {
            Input::Raised(incident) if self.open.len() < INCIDENTS_MAX => {
                self.open.insert(incident.id, Case::new(incident, now));
            }
            Input::Raised(_) => {}
            Input::Cleared { incident } => {
                self.budget.end(incident);
                self.open.remove(&incident);
            }
            Input::Explained { incident, root } => {
                if let Some(case) = self.open.get_mut(&incident).filter(|_| incident != root) {
                    case.root = Some(root);
                    case.analyzed.get_or_insert(now);
                }
            }
            Input::Learned(outcome) => self.knowledge.learn(outcome),
            Input::Exhausted { incident } => self.on_exhausted(incident, now, effects),
            Input::NodeLearned { peer, known } => self.budget.set_known(peer, known),
            Input::QuorumChanged(quorum) => self.budget.set_quorum(quorum),
            Input::Quarantined { peer, quarantined } => self.budget.set_quarantined(peer, quarantined),
        }
        self.wake(now, effects);
    }

    fn wake(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let due = self.waiting().filter(|(_, at)| *at <= now).map(|(id, _)| id);
        let due: Vec<u64> = due.take(self.free_plans()).collect();
        for incident in due {
            effects.extend(self.plan(incident, now).map(Effect::Adopt));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if self.free_plans() == 0 { None } else { self.waiting().map(|(_, at)| at).min() }
    }
}

/// First wait before an incident is planned again.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// How long an actor that was found stuck by an earlier self is given: by then the monitor has confirmed it, or closed it.
const RESTARTED_WAIT: Duration = Duration::from_secs(8);
/// Longest wait before an incident is planned again.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// Plans in vain after which a person is called. What users do not notice calls nobody out of bed.
const ESCALATE_AFTER: u32 = 3;

#[cfg(test)]
mod tests;
