//! One exchange under way: dial the nearer node, measure, part from the farther one, see that nothing was lost.

use std::collections::BTreeSet;
use std::time::Duration;

use super::choice::{Needed, farther, needed, needs, wanted};
use super::view::cost_at_most;
use super::{Effect, Pair, Rebalancer};
use crate::incident::Step;
use crate::{Instant, PeerId};

/// An exchange, and how far it has come.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) pair: Pair,
    pub(super) phase: Phase,
    /// When the phase is over, whatever has become of it.
    pub(super) until: Instant,
}

/// The phases of an exchange, in order; undoing can follow any of the last three.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It was proposed, and waits for a plan.
    Proposed,
    /// The nearer node is dialed and measured.
    Adding(u64),
    /// The nearer node is a neighbor, and as near as was hoped.
    Added,
    /// The farther neighbor was asked to part.
    Leaving(u64),
    /// It has left; destinations that were lost before that are not to blame on it.
    Proving(u64, BTreeSet<PeerId>),
    /// The plan is taken back: the farther one first has to be there again, if it is to be.
    Undoing {
        /// Whether the nearer one is to go.
        parts: bool,
    },
}

impl Rebalancer {
    pub(super) fn propose(&mut self, pair: Pair, now: Instant, effects: &mut Vec<Effect>) {
        self.exchange = Some(Exchange { pair, phase: Phase::Proposed, until: now + PLANNED_WITHIN });
        effects.push(Effect::Propose(pair));
    }

    /// A plan wants this done.
    pub(super) fn on_step(&mut self, incident: u64, step: Step, now: Instant, effects: &mut Vec<Effect>) {
        let Some(exchange) = self.exchange.clone() else { return refuse(incident, step, NOT_UNDER_WAY, effects) };
        let Pair { far, near, .. } = exchange.pair;
        let phase = match (&exchange.phase, &step) {
            (Phase::Proposed, Step::AddNeighbor { peer }) if *peer == near => {
                effects.push(Effect::Add { peer: near });
                Phase::Adding(incident)
            }
            (Phase::Added, Step::DropNeighbor { peer }) if *peer == far => {
                if let Some(why) = self.reason_to_stay(&far, now) {
                    return refuse(incident, step, why, effects);
                }
                effects.push(Effect::AskToPart { peer: far });
                Phase::Leaving(incident)
            }
            (Phase::Leaving(_) | Phase::Proving(..) | Phase::Undoing { .. }, Step::AddNeighbor { peer })
                if *peer == far =>
            {
                effects.push(Effect::Add { peer: far });
                Phase::Undoing { parts: false }
            }
            (_, Step::DropNeighbor { peer }) if *peer == near => {
                if !self.view.is_usable(&near) {
                    self.view.remember(near, u64::MAX, now);
                }
                Phase::Undoing { parts: true }
            }
            _ => return refuse(incident, step, NOT_UNDER_WAY, effects),
        };
        self.enter(phase, now + PHASE_MAX);
        self.go_on(now, effects);
    }

    /// Why the farther neighbor must not be left now after all.
    fn reason_to_stay(&self, far: &PeerId, now: Instant) -> Option<&'static str> {
        let left = self.view.usable().saturating_sub(usize::from(self.view.is_usable(far)));
        match needed(&self.view, &self.config, far, now) {
            Some(needed) => Some(needed.name()),
            None if left < wanted(&self.view, &self.config) => Some(Needed::Few.name()),
            None => None,
        }
    }

    /// Sees what has become of the phase; to be asked after everything that is heard.
    pub(super) fn go_on(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let Some(Exchange { pair: Pair { far, near, .. }, phase, until }) = self.exchange.clone() else { return };
        let is_over = until <= now;
        match phase {
            Phase::Adding(incident) if self.view.neighbors.get(&near).and_then(cost_at_most).is_some() => {
                self.measure(incident, near, far, now, effects);
            }
            Phase::Leaving(incident) if !self.view.neighbors.contains_key(&far) => {
                let phase = Phase::Proving(incident, self.view.lost.clone());
                self.enter(phase, now + PROVING);
            }
            Phase::Proving(incident, lost) => {
                let step = Step::DropNeighbor { peer: far };
                let few = self.view.usable() < wanted(&self.view, &self.config);
                if few || !self.view.is_usable(&near) || !self.view.lost.is_subset(&lost) {
                    self.fail(incident, step, now, effects);
                } else if is_over {
                    self.end(effects);
                }
            }
            Phase::Undoing { parts: true } if self.view.is_usable(&far) || is_over => {
                let alone = !self.view.is_usable(&far) && self.view.is_usable(&near);
                if !alone && needs(&self.view, &self.config, &near, now).is_none_or(|why| why == Needed::Fifth) {
                    effects.push(Effect::AskToPart { peer: near });
                }
                self.end(effects);
            }
            _ if is_over => self.end(effects),
            _ => {}
        }
    }

    /// Whether the nearer node is as near as was hoped.
    fn measure(&mut self, incident: u64, near: PeerId, far: PeerId, now: Instant, effects: &mut Vec<Effect>) {
        let Some(near_us) = self.view.neighbors.get(&near).and_then(cost_at_most) else { return };
        self.view.remember(near, near_us, now);
        // Who has left meanwhile need not be asked, and there is nothing to take back: the other has its place.
        if !self.view.neighbors.contains_key(&far) {
            return self.end(effects);
        }
        let step = Step::AddNeighbor { peer: near };
        let links = self.view.usable().saturating_sub(1);
        let holds = farther(&self.view, &self.config, near_us, links, now).iter().any(|(_, peer)| *peer == far);
        if holds {
            self.enter(Phase::Added, now + PHASE_MAX);
            effects.push(Effect::StepDone { incident, step });
        } else {
            self.fail(incident, step, now, effects);
        }
    }

    /// Said once: what follows are the steps that take it back.
    fn fail(&mut self, incident: u64, step: Step, now: Instant, effects: &mut Vec<Effect>) {
        self.enter(Phase::Undoing { parts: false }, now + PHASE_MAX);
        effects.push(Effect::StepFailed { incident, step });
    }

    fn enter(&mut self, phase: Phase, until: Instant) {
        if let Some(exchange) = &mut self.exchange {
            (exchange.phase, exchange.until) = (phase, until);
        }
    }

    /// The farther neighbor does not want to part.
    pub(super) fn on_declined(&mut self, peer: PeerId, now: Instant, effects: &mut Vec<Effect>) {
        let times = self.declined.get(&peer).map_or(0, |(_, times)| times + 1);
        self.declined.insert(peer, (now, times));
        if let Some(Exchange { pair, phase: Phase::Leaving(incident), .. }) = self.exchange.clone()
            && pair.far == peer
        {
            self.fail(incident, Step::DropNeighbor { peer }, now, effects);
        }
    }

    /// A neighbor asks to part.
    pub(super) fn on_asked(&mut self, peer: PeerId, now: Instant, effects: &mut Vec<Effect>) {
        if !self.view.neighbors.contains_key(&peer) {
            return;
        }
        let on_trial = self.view.is_on_trial(&peer, now);
        let is_wanted = self.exchange.as_ref().is_some_and(|Exchange { pair, phase, .. }| {
            pair.near == peer && !matches!(phase, Phase::Proposed | Phase::Undoing { .. })
        });
        let is_early = !on_trial && self.let_go.is_some_and(|at| now.since(at) < self.config.every);
        let needed = needs(&self.view, &self.config, &peer, now).filter(|why| *why != Needed::Fifth || !on_trial);
        if self.config.every.is_zero() || is_wanted || is_early || needed.is_some() {
            return effects.push(Effect::Decline { peer });
        }
        // Who was tried and goes again has taken nobody's place.
        if !on_trial {
            self.let_go = Some(now);
        }
        effects.push(Effect::LetGo { peer });
    }

    /// The exchange is over, whether or not it was made.
    fn end(&mut self, effects: &mut Vec<Effect>) {
        if let Some(Exchange { pair: Pair { far, near, .. }, .. }) = self.exchange.take() {
            effects.push(Effect::Ended { far, near });
        }
    }
}

fn refuse(incident: u64, step: Step, reason: &str, effects: &mut Vec<Effect>) {
    effects.push(Effect::StepRefused { incident, step, reason: reason.to_owned() });
}

/// Said of a step of an exchange that nobody knows: its role was restarted meanwhile.
const NOT_UNDER_WAY: &str = "no such exchange is under way";
/// How long a proposal waits for a plan.
const PLANNED_WITHIN: Duration = Duration::from_secs(30);
/// How long a phase may last at most: longer than the patience of any step.
const PHASE_MAX: Duration = Duration::from_secs(30);
/// How long nothing must be lost after a neighbor has left.
const PROVING: Duration = Duration::from_secs(10);

const _: () = assert!(
    Step::DropNeighbor { peer: PeerId::from_public_key([0; 32]) }.patience().as_nanos() < PHASE_MAX.as_nanos(),
    "a plan loses its patience first"
);
const _: () = assert!(
    PROVING.as_nanos() < Step::DropNeighbor { peer: PeerId::from_public_key([0; 32]) }.patience().as_nanos(),
    "it is over before the patience is"
);
