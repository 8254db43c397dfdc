//! The executor role: carries plans out, a step at a time, and sees whether each helped.
//!
//! It hears plans and the end of incidents, and asks for steps to be done. Invariant: a step has helped only if the
//! incident was cleared by measurement within the step's patience; otherwise the next one is tried.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::incident::{Outcome, Plan, Step};
use crate::limits::PLANS_MAX;
use crate::{Instant, Machine};

/// What the role may hear.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Input {
    /// Carry this out.
    Adopted(Plan),
    /// An incident is over.
    Cleared {
        /// Its number.
        incident: u64,
    },
}

/// What the role may ask for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Effect {
    /// Do this now; whether it helped is seen from the incident.
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

#[derive(Debug)]
struct Running {
    plan: Plan,
    step: usize,
    since: Instant,
}

impl Running {
    fn until(&self) -> Instant {
        self.since + self.plan.steps[self.step].patience()
    }

    fn outcome(&self, helped: bool, now: Instant) -> Effect {
        let outcome = Outcome {
            kind: self.plan.kind.name().to_owned(),
            step: self.plan.steps[self.step].name().to_owned(),
            helped,
            took_ms: now.since(self.since).as_millis() as u64,
        };
        Effect::Record { incident: self.plan.incident, outcome }
    }

    fn start(&self) -> Effect {
        Effect::Do { incident: self.plan.incident, step: self.plan.steps[self.step].clone() }
    }
}

impl Machine for Executor {
    type Input = Input;
    type Effect = Effect;

    fn handle(&mut self, input: Input, now: Instant, effects: &mut Vec<Effect>) {
        match input {
            Input::Adopted(plan) if self.over.contains(&plan.incident) => {}
            Input::Adopted(plan) if plan.steps.is_empty() || self.running.len() >= PLANS_MAX => {
                effects.push(Effect::Exhausted { incident: plan.incident });
            }
            Input::Adopted(plan) => {
                let running = Running { plan, step: 0, since: now };
                effects.push(running.start());
                self.running.insert(running.plan.incident, running);
            }
            Input::Cleared { incident } => {
                if self.over.len() >= OVER_MAX {
                    self.over.pop_front();
                }
                self.over.push_back(incident);
                if let Some(running) = self.running.remove(&incident) {
                    effects.push(running.outcome(true, now));
                }
            }
        }
        self.wake(now, effects);
    }

    fn wake(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let due: Vec<u64> = self.running.iter().filter(|(_, r)| r.until() <= now).map(|(id, _)| *id).collect();
        for incident in due {
            let Some(mut running) = self.running.remove(&incident) else { continue };
            effects.push(running.outcome(false, now));
            running.step += 1;
            running.since = now;
            if running.step < running.plan.steps.len() {
                effects.push(running.start());
                self.running.insert(incident, running);
            } else {
                effects.push(Effect::Exhausted { incident });
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.running.values().map(Running::until).min()
    }
}

/// Ended incidents that are remembered: more than can end while a plan is on its way from the planner.
const OVER_MAX: usize = 4 * PLANS_MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PeerId;
    use crate::incident::IncidentKind;

    fn plan() -> Plan {
        let peer = PeerId::from_public_key([1; 32]);
        let steps = vec![Step::Wait, Step::Redial { peer }];
        Plan { incident: 1, kind: IncidentKind::LinkDown { peer }, steps }
    }

    #[test]
    fn a_step_that_does_not_help_is_followed_by_the_next() {
        let (mut executor, mut effects) = (Executor::default(), Vec::new());
        executor.handle(Input::Adopted(plan()), Instant::BOOT, &mut effects);
        assert!(matches!(&effects[..], [Effect::Do { step: Step::Wait, .. }]));
        effects.clear();
        executor.wake(executor.deadline().unwrap(), &mut effects);
        assert!(
            matches!(&effects[..], [Effect::Record { outcome, .. }, Effect::Do { step: Step::Redial { .. }, .. }] if !outcome.helped),
            "{effects:?}"
        );
        effects.clear();
        executor.wake(executor.deadline().unwrap(), &mut effects);
        assert!(matches!(&effects[..], [Effect::Record { .. }, Effect::Exhausted { incident: 1 }]), "{effects:?}");
        assert_eq!(executor.deadline(), None);
    }

    #[test]
    fn a_step_has_helped_when_the_incident_is_over() {
        let (mut executor, mut effects) = (Executor::default(), Vec::new());
        executor.handle(Input::Adopted(plan()), Instant::BOOT, &mut effects);
        effects.clear();
        executor.handle(Input::Cleared { incident: 1 }, Instant::from_millis(70), &mut effects);
        let outcome = Outcome { kind: "link-down".into(), step: "wait".into(), helped: true, took_ms: 70 };
        assert_eq!(effects, [Effect::Record { incident: 1, outcome }]);
    }

    #[test]
    fn a_plan_for_an_incident_that_is_over_is_not_begun() {
        let (mut executor, mut effects) = (Executor::default(), Vec::new());
        executor.handle(Input::Cleared { incident: 1 }, Instant::BOOT, &mut effects);
        executor.handle(Input::Adopted(plan()), Instant::BOOT, &mut effects);
        assert_eq!((effects, executor.deadline()), (vec![], None));
    }
}
