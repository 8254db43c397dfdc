//! One plan under way.

use super::Effect;
use crate::Instant;
use crate::incident::{Candidate, Outcome, Phases, Plan, Step};

/// A plan, and how far it has come.
#[derive(Debug)]
pub(super) struct Running {
    plan: Plan,
    candidate: usize,
    step: usize,
    since: Instant,
    /// What the current candidate has done that can be taken back.
    done: Vec<Step>,
}

impl Running {
    /// A plan at its first step; `None` if there is nothing to do.
    pub(super) fn begin(mut plan: Plan, now: Instant) -> Option<Self> {
        plan.candidates.retain(|candidate| !candidate.steps.is_empty());
        let first = plan.candidates.first()?.steps[0].clone();
        Some(Self { plan, candidate: 0, step: 0, since: now, done: vec![first] })
    }

    pub(super) fn incident(&self) -> u64 {
        self.plan.incident
    }

    /// The step that is being done.
    pub(super) fn step(&self) -> &Step {
        &self.current().steps[self.step]
    }

    /// How long it may take to help.
    pub(super) fn until(&self) -> Instant {
        self.since + self.step().patience()
    }

    pub(super) fn start(&self) -> Effect {
        Effect::Do { incident: self.plan.incident, step: self.step().clone() }
    }

    /// Whether the current step prepares another one.
    pub(super) fn prepares(&self) -> bool {
        self.step + 1 < self.current().steps.len()
    }

    /// What the current step should have prepared is not tried.
    pub(super) fn give_up(&mut self) {
        self.step = self.current().steps.len() - 1;
    }

    /// Goes on to the next step, or, after taking back what did not help, to the next candidate; false if there is none.
    pub(super) fn next(&mut self, now: Instant, effects: &mut Vec<Effect>) -> bool {
        self.step += 1;
        if self.step >= self.current().steps.len() {
            self.take_back(effects);
            (self.candidate, self.step) = (self.candidate + 1, 0);
        }
        if self.candidate >= self.plan.candidates.len() {
            return false;
        }
        self.since = now;
        self.done.push(self.step().clone());
        effects.push(self.start());
        true
    }

    /// The incident is over: what was only meant for its duration ends with it.
    pub(super) fn end(mut self, effects: &mut Vec<Effect>) {
        self.done.retain(|step| matches!(step, Step::ShedLoad));
        self.take_back(effects);
    }

    pub(super) fn helped(&self, now: Instant) -> Effect {
        self.record(true, None, now)
    }

    pub(super) fn in_vain(&self, now: Instant) -> Effect {
        self.record(false, None, now)
    }

    /// It could not be done: there is nothing to take back.
    pub(super) fn refused(&mut self, reason: String, now: Instant) -> Effect {
        self.done.pop();
        self.record(false, Some(reason), now)
    }

    fn current(&self) -> &Candidate {
        &self.plan.candidates[self.candidate]
    }

    fn take_back(&mut self, effects: &mut Vec<Effect>) {
        let incident = self.plan.incident;
        let undone = self.done.drain(..).rev().filter_map(|step| step.undo());
        effects.extend(undone.map(|step| Effect::Do { incident, step }));
    }

    fn record(&self, helped: bool, refused: Option<String>, now: Instant) -> Effect {
        let after = |at: Instant| at.since(self.plan.detected).as_micros() as u64;
        let phases = Phases {
            analyzed_us: self.plan.analyzed.map(after),
            planned_us: after(self.plan.planned),
            executing_us: after(self.since),
            verified_us: helped.then(|| after(now)),
        };
        let outcome = Outcome {
            kind: self.plan.kind.name().to_owned(),
            step: self.step().name().to_owned(),
            helped,
            took_ms: now.since(self.since).as_millis() as u64,
            refused,
            phases,
        };
        Effect::Record { incident: self.plan.incident, outcome }
    }
}
