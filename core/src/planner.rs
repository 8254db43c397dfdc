//! The planner role: from an incident to a plan, using what helped before.
//!
//! It hears incidents and outcomes, and asks for plans to be carried out. Invariant: at most [`PLANS_MAX`] plans are under way,
//! and a repair that did not help waits longer each time before it is tried again.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::incident::{Incident, IncidentKind, Outcome, Plan, Step};
use crate::limits::{INCIDENTS_MAX, PLANS_MAX};
use crate::{Instant, Machine};

/// What the role may hear.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Input {
    /// An incident begins.
    Raised(Incident),
    /// An incident is over.
    Cleared {
        /// Its number.
        incident: u64,
    },
    /// What became of a step; also given from the store when the role starts.
    Learned(Outcome),
    /// Every step of a plan was tried and the incident is still open.
    Exhausted {
        /// Its number.
        incident: u64,
    },
}

/// What the role may ask for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Effect {
    /// Carry this out; comes back as `Learned` for each step, and `Exhausted` if nothing helped.
    Adopt(Plan),
}

/// The role.
#[derive(Debug, Default)]
pub struct Planner {
    open: BTreeMap<u64, Case>,
    /// Times tried and times helped, by kind of incident and step.
    knowledge: BTreeMap<(String, String), (u32, u32)>,
}

#[derive(Debug)]
struct Case {
    kind: IncidentKind,
    attempts: u32,
    /// When to plan (again); `None` while a plan is under way.
    plan_at: Option<Instant>,
}

impl Planner {
    /// The role, with the incidents that were open when an earlier one ended.
    pub fn new(open: impl IntoIterator<Item = Incident>, now: Instant) -> Self {
        let case = |i: Incident| (i.id, Case { kind: i.kind, attempts: 0, plan_at: Some(now) });
        Self { open: open.into_iter().map(case).collect(), knowledge: BTreeMap::new() }
    }

    /// The steps for a kind of incident: what helped more often comes first, then the gentler.
    fn steps(&self, kind: &IncidentKind) -> Vec<Step> {
        let mut steps = match kind {
            IncidentKind::LinkDown { peer } => vec![Step::Wait, Step::Redial { peer: *peer }],
            IncidentKind::PathLost { destination } => {
                vec![Step::Reroute { destination: *destination }, Step::FindNeighbors]
            }
            IncidentKind::FewNeighbors => vec![Step::FindNeighbors],
            IncidentKind::ActorFailed { .. } => vec![Step::Wait],
            // The pathfinder has moved the traffic already: there is nothing left to do.
            IncidentKind::PathSwitched { .. } => vec![],
            _ => vec![],
        };
        steps.sort_by_key(|step| std::cmp::Reverse(self.success_permille(kind, step)));
        steps
    }

    /// How often a step helped, with one imagined success in two tries so that the untried are neither best nor worst
    /// (Laplace's rule of succession).
    fn success_permille(&self, kind: &IncidentKind, step: &Step) -> u32 {
        let key = (kind.name().to_owned(), step.name().to_owned());
        let (tried, helped) = self.knowledge.get(&key).copied().unwrap_or_default();
        (helped + 1) * 1000 / (tried + 2)
    }

    fn learn(&mut self, outcome: Outcome) {
        let entry = self.knowledge.entry((outcome.kind, outcome.step)).or_default();
        // Old experience fades: what helped last year need not help today.
        if entry.0 >= EXPERIENCE_MAX {
            *entry = (entry.0 / 2, entry.1 / 2);
        }
        *entry = (entry.0 + 1, entry.1 + u32::from(outcome.helped));
    }
}

impl Machine for Planner {
    type Input = Input;
    type Effect = Effect;

    fn handle(&mut self, input: Input, now: Instant, effects: &mut Vec<Effect>) {
        match input {
            Input::Raised(incident) if self.open.len() < INCIDENTS_MAX => {
                let case = Case { kind: incident.kind, attempts: 0, plan_at: Some(now) };
                self.open.insert(incident.id, case);
            }
            Input::Raised(_) => {}
            Input::Cleared { incident } => {
                self.open.remove(&incident);
            }
            Input::Learned(outcome) => self.learn(outcome),
            Input::Exhausted { incident } => {
                if let Some(case) = self.open.get_mut(&incident) {
                    let wait = RETRY_MIN * 2u32.saturating_pow(case.attempts.min(8));
                    case.plan_at = Some(now + wait.min(RETRY_MAX));
                }
            }
        }
        self.wake(now, effects);
    }

    fn wake(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let under_way = self.open.values().filter(|case| case.plan_at.is_none()).count();
        let due: Vec<u64> = self
            .open
            .iter()
            .filter(|(_, case)| case.plan_at.is_some_and(|at| at <= now))
            .map(|(id, _)| *id)
            .take(PLANS_MAX.saturating_sub(under_way))
            .collect();
        for incident in due {
            let kind = self.open[&incident].kind.clone();
            let steps = self.steps(&kind);
            if let Some(case) = self.open.get_mut(&incident) {
                case.plan_at = None;
                case.attempts += 1;
            }
            if steps.is_empty() {
                self.open.remove(&incident);
            } else {
                effects.push(Effect::Adopt(Plan { incident, kind, steps }));
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let under_way = self.open.values().filter(|case| case.plan_at.is_none()).count();
        if under_way >= PLANS_MAX { None } else { self.open.values().filter_map(|case| case.plan_at).min() }
    }
}

/// First wait before an incident is planned again.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// Longest wait before an incident is planned again.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// Tries after which experience is halved.
const EXPERIENCE_MAX: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PeerId;

    fn link_down(id: u64) -> Incident {
        let kind = IncidentKind::LinkDown { peer: PeerId::from_public_key([1; 32]) };
        Incident::new(id, kind, crate::incident::Evidence::Adopted, Instant::BOOT)
    }

    fn feed(planner: &mut Planner, input: Input, ms: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        planner.handle(input, Instant::from_millis(ms), &mut effects);
        effects
    }

    fn first_step(effects: &[Effect]) -> &'static str {
        let [Effect::Adopt(plan)] = effects else { panic!("{effects:?}") };
        plan.steps[0].name()
    }

    #[test]
    fn the_gentler_step_comes_first_until_experience_says_otherwise() {
        let mut planner = Planner::default();
        assert_eq!(first_step(&feed(&mut planner, Input::Raised(link_down(1)), 0)), "wait");
        for _ in 0..3 {
            let outcome = Outcome { kind: "link-down".into(), step: "wait".into(), helped: false, took_ms: 2000 };
            feed(&mut planner, Input::Learned(outcome), 1);
        }
        assert_eq!(first_step(&feed(&mut planner, Input::Raised(link_down(2)), 2)), "redial");
    }

    #[test]
    fn what_did_not_help_is_tried_again_later_and_later() {
        let mut planner = Planner::default();
        feed(&mut planner, Input::Raised(link_down(1)), 0);
        let (mut now, mut waits) = (Instant::BOOT, Vec::new());
        for _ in 0..10 {
            let mut effects = Vec::new();
            planner.handle(Input::Exhausted { incident: 1 }, now, &mut effects);
            assert_eq!(effects, []);
            let next = planner.deadline().unwrap();
            waits.push(next.since(now));
            now = next;
            planner.wake(now, &mut effects);
            assert_eq!(effects.len(), 1);
        }
        assert!(waits.is_sorted() && waits[9] == RETRY_MAX, "{waits:?}");
    }

    #[test]
    fn plans_under_way_are_bounded() {
        let mut planner = Planner::default();
        let plans: usize = (0..40).map(|id| feed(&mut planner, Input::Raised(link_down(id)), 0).len()).sum();
        assert_eq!(plans, PLANS_MAX);
        assert_eq!(feed(&mut planner, Input::Cleared { incident: 0 }, 1).len(), 1);
    }
}
