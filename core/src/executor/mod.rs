//! The executor role: carries plans out, a step at a time, and sees whether each helped.
//!
//! It hears plans, refusals and the end of incidents, and asks for steps to be done. Invariants: a step has helped only
//! if the incident was cleared by measurement within the step's patience, or if its own effect was measured; otherwise what
//! can be taken back is taken back, and the next candidate is tried; and every outcome says when each phase was over.

mod running;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::incident::{Outcome, Plan, Step};
use crate::limits::PLANS_MAX;
use crate::{Instant, Machine};

use running::Running;

/// What the role may hear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// Carry this out.
    Adopted(Plan),
    /// An incident is over.
    Cleared {
        /// Its number.
        incident: u64,
    },
    /// A step has had its effect, by measurement; one that is not the current one is ignored. The plan goes on to what
    /// the step prepares; after the last one it waits for the end of the incident.
    StepDone {
        /// For which incident.
        incident: u64,
        /// Which.
        step: Step,
    },
    /// A step was done and did not have its effect; one that is not the current one is ignored.
    StepFailed {
        /// For which incident.
        incident: u64,
        /// Which.
        step: Step,
    },
    /// A step that was asked for cannot be done; one that is not the current one is ignored.
    StepRefused {
        /// For which incident.
        incident: u64,
        /// Which.
        step: Step,
        /// Why.
        reason: String,
    },
}

/// What the role may ask for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Effect {
    /// Do this now; whether it helped is seen from the incident. Comes back as `StepRefused` if it cannot be done.
    Do {
        /// For which incident, so that its story can be told.
        incident: u64,
        /// What.
        step: Step,
    },
    /// What became of a step; it is kept, and the planner learns from it.
    Record {
        /// For which incident.
        incident: u64,
        /// What became of it.
        outcome: Outcome,
    },
    /// Nothing of the plan helped.
    Exhausted {
        /// Which incident is still open.
        incident: u64,
    },
}

/// The role.
#[derive(Debug, Default)]
pub struct Executor {
    running: BTreeMap<u64, Running>,
    /// Incidents that ended lately: a plan for one of these comes too late and is not begun.
    over: VecDeque<u64>,
}

impl Executor {
    /// The current step of a plan has not helped: the next one, or the end.
    fn go_on(&mut self, mut running: Running, now: Instant, effects: &mut Vec<Effect>) {
        let incident = running.incident();
        if running.next(now, effects) {
            self.running.insert(incident, running);
        } else {
            effects.push(Effect::Exhausted { incident });
        }
    }

    fn on_cleared(&mut self, incident: u64, now: Instant, effects: &mut Vec<Effect>) {
        if self.over.len() >= OVER_MAX {
            self.over.pop_front();
        }
        self.over.push_back(incident);
        if let Some(running) = self.running.remove(&incident) {
            effects.push(running.helped(now));
            running.end(effects);
        }
    }

    /// Takes out the plan for an incident whose current step this is.
    fn take(&mut self, incident: u64, step: &Step) -> Option<Running> {
        self.running.get(&incident).filter(|running| running.step() == step)?;
        self.running.remove(&incident)
    }

    fn on_done(&mut self, incident: u64, step: &Step, now: Instant, effects: &mut Vec<Effect>) {
        let Some(mut running) = self.take(incident, step) else { return };
        if running.prepares() {
            effects.push(running.helped(now));
            running.next(now, effects);
        }
        self.running.insert(incident, running);
    }

    fn on_failed(&mut self, incident: u64, step: &Step, now: Instant, effects: &mut Vec<Effect>) {
        let Some(mut running) = self.take(incident, step) else { return };
        effects.push(running.in_vain(now));
        running.give_up();
        self.go_on(running, now, effects);
    }

    fn on_refused(&mut self, incident: u64, step: &Step, reason: String, now: Instant, effects: &mut Vec<Effect>) {
        let Some(mut running) = self.take(incident, step) else { return };
        effects.push(running.refused(reason, now));
        running.give_up();
        self.go_on(running, now, effects);
    }
}

impl Machine for Executor {
    type Input = Input;
    type Effect = Effect;

    fn handle(&mut self, input: Input, now: Instant, effects: &mut Vec<Effect>) {
        match input {
            Input::Adopted(plan) if self.over.contains(&plan.incident) => {}
            Input::Adopted(plan) => {
                let incident = plan.incident;
                match Running::begin(plan, now).filter(|_| self.running.len() < PLANS_MAX) {
                    Some(running) => {
                        effects.push(running.start());
                        self.running.insert(incident, running);
                    }
                    None => effects.push(Effect::Exhausted { incident }),
                }
            }
            Input::Cleared { incident } => self.on_cleared(incident, now, effects),
            Input::StepDone { incident, step } => self.on_done(incident, &step, now, effects),
            Input::StepFailed { incident, step } => self.on_failed(incident, &step, now, effects),
            Input::StepRefused { incident, step, reason } => self.on_refused(incident, &step, reason, now, effects),
        }
        self.wake(now, effects);
    }

    fn wake(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let due: Vec<u64> = self.running.iter().filter(|(_, r)| r.until() <= now).map(|(id, _)| *id).collect();
        for incident in due {
            let Some(mut running) = self.running.remove(&incident) else { continue };
            effects.push(running.in_vain(now));
            if running.step().is_verified() {
                running.give_up();
            }
            self.go_on(running, now, effects);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.running.values().map(Running::until).min()
    }
}

/// Ended incidents that are remembered: more than can end while a plan is on its way from the planner.
const OVER_MAX: usize = 4 * PLANS_MAX;

#[cfg(test)]
mod tests;
