//! The rebalancer role: exchanges a far neighbor for a near node, one in a period.
//!
//! It hears how links are, what nodes tell of theirs, and who wants to part; it proposes an exchange as an incident
//! without a fault, and the plan against it comes back step by step: dial the nearer node, measure, part from the farther
//! neighbor, see that nothing was lost. Whatever fails is taken back. Invariants: at most
//! [`NEIGHBORS_EXCHANGED_PER_PERIOD`] in a period; a neighbor is left only after a nearer one was measured; and who is
//! needed stays: the next ones in the ring of all nodes, those over whom a path in use leads, those that the operator
//! names, a random fifth of the far ones, and as many as are wanted.

mod choice;
mod exchange;
mod regions;
mod view;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use regions::{Cluster, Hint, Regions};

use crate::incident::Step;
use crate::limits::{NEIGHBORS_EXCHANGED_PER_PERIOD, NEIGHBORS_MAX};
use crate::membership::{Change, Status};
use crate::pathfinder::{PathChange, PathReport};
use crate::peer::LinkReport;
use crate::record::{LinkBody, NodeBody};
use crate::rng::Rng;
use crate::{Instant, Machine, PeerId};

use exchange::Exchange;
use view::{Known, View};

/// What the role may hear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// How a neighbor's link is.
    LinkReported(LinkReport),
    /// A neighbor is none any more.
    PeerForgotten {
        /// Which.
        peer: PeerId,
    },
    /// What a node says of itself; `None`: it is not known any more.
    NodeLearned {
        /// Which.
        peer: PeerId,
        /// What it says.
        body: Option<NodeBody>,
    },
    /// A node tells of other links than before.
    LinksLearned {
        /// Which node.
        origin: PeerId,
        /// All of them.
        links: Vec<LinkBody>,
    },
    /// The mesh has come to another verdict about a member.
    MemberChanged(Change),
    /// What became of a destination.
    PathReported(PathReport),
    /// A plan wants this done; [`Step::AddNeighbor`] or [`Step::DropNeighbor`].
    StepWanted {
        /// For which incident.
        incident: u64,
        /// What.
        step: Step,
    },
    /// A neighbor asks whether the two may part.
    PartingAsked {
        /// Which.
        peer: PeerId,
    },
    /// A neighbor that was asked to part wants to stay.
    PartingDeclined {
        /// Which.
        peer: PeerId,
    },
}

/// What the role may ask for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Effect {
    /// An exchange would be worth it; comes back as steps.
    Propose(Pair),
    /// The exchange is over: made, taken back, or never begun.
    Ended {
        /// The neighbor that was far away.
        far: PeerId,
        /// The node that was nearer.
        near: PeerId,
    },
    /// A step has had its effect.
    StepDone {
        /// For which incident.
        incident: u64,
        /// Which.
        step: Step,
    },
    /// A step was done and has not had its effect.
    StepFailed {
        /// For which incident.
        incident: u64,
        /// Which.
        step: Step,
    },
    /// A step cannot be done.
    StepRefused {
        /// For which incident.
        incident: u64,
        /// Which.
        step: Step,
        /// Why.
        reason: String,
    },
    /// Make this node a neighbor; comes back as `LinkReported`, or not.
    Add {
        /// Which.
        peer: PeerId,
    },
    /// Ask a neighbor whether the two may part; comes back as `PeerForgotten` or `PartingDeclined`, or not at all.
    AskToPart {
        /// Which.
        peer: PeerId,
    },
    /// Part from a neighbor that asked for it; comes back as `PeerForgotten`.
    LetGo {
        /// Which.
        peer: PeerId,
    },
    /// Tell a neighbor that asked to part that it is needed.
    Decline {
        /// Which.
        peer: PeerId,
    },
    /// Tell me what is known: sent once, when the role starts.
    ResyncWanted,
}

/// What an exchange would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The neighbor that is far away.
    pub far: PeerId,
    /// The node that is nearer.
    pub near: PeerId,
    /// What the link to the former costs, in microseconds of expected delivery (see [`crate::paths::cost`]).
    pub far_us: u64,
    /// What a link to the latter is expected to cost.
    pub near_us: u64,
}

/// How to rebalance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// This node.
    pub me: PeerId,
    /// Links that should be up.
    pub target: usize,
    /// The least time between two exchanges; zero: never.
    pub every: Duration,
    /// Neighbors that the operator named.
    pub configured: BTreeSet<PeerId>,
}

/// The role.
#[derive(Debug)]
pub struct Rebalancer {
    config: Config,
    rng: Rng,
    view: View,
    exchange: Option<Exchange>,
    /// When to look for an exchange; `None`: never.
    next: Option<Instant>,
    /// Neighbors that did not want to part: when they last said so, and how often.
    declined: BTreeMap<PeerId, (Instant, u32)>,
    /// When a neighbor was last let go because it asked.
    let_go: Option<Instant>,
    started: bool,
}

impl Rebalancer {
    /// The role, knowing nothing yet. Its first exchange is a whole period away, however often it is restarted.
    pub fn new(config: Config, seed: u64, now: Instant) -> Self {
        let mut role = Self {
            config,
            rng: Rng::from_seed(seed),
            view: View::default(),
            exchange: None,
            next: None,
            declined: BTreeMap::new(),
            let_go: None,
            started: false,
        };
        role.next = role.after_a_period(now);
        role
    }

    /// What latencies say about regions.
    pub fn regions(&self) -> Regions {
        regions::regions(&self.view, self.config.me)
    }

    /// A whole period later, and up to a fifth more, so that nodes do not act in step.
    fn after_a_period(&mut self, now: Instant) -> Option<Instant> {
        let every = self.config.every;
        let jitter = self.rng.below((every.as_millis() as usize / 5).max(1)) as u64;
        (!every.is_zero()).then(|| now + every + Duration::from_millis(jitter))
    }

    fn look(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let every = self.config.every;
        self.next = self.after_a_period(now);
        if let Some(then) = now.as_millis().checked_sub((every * MEASURED_PERIODS).as_millis() as u64) {
            self.view.forget_measured_before(Instant::from_millis(then));
        }
        let has_declined = |far: &PeerId| {
            let (at, times) = self.declined.get(far)?;
            Some(now.since(*at) < every * (DECLINED_PERIODS << times.min(&DECLINED_DOUBLINGS_MAX)))
        };
        if self.exchange.is_none()
            && let Some(pair) = choice::choose(&self.view, &self.config, |far| has_declined(far) == Some(true), now)
        {
            self.propose(pair, now, effects);
        }
    }

    fn take(&mut self, input: Input, now: Instant, effects: &mut Vec<Effect>) {
        match input {
            Input::LinkReported(report) => self.view.set_neighbor(report, now),
            Input::PeerForgotten { peer } => {
                self.declined.remove(&peer);
                self.view.forget_neighbor(&peer, now);
            }
            Input::NodeLearned { peer, body } => {
                let known = |body: NodeBody| Known { dialable: !body.addresses.is_empty(), region: body.region };
                self.view.set_node(peer, body.map(known));
            }
            Input::LinksLearned { origin, links } => self.view.set_links(origin, links),
            Input::MemberChanged(change) => self.view.set_down(change.peer, change.to == Status::Down),
            Input::PathReported(report) => match report.change {
                PathChange::Lost => drop(self.view.lost.insert(report.destination)),
                PathChange::Found | PathChange::Released => drop(self.view.lost.remove(&report.destination)),
                PathChange::Switched { .. } => {}
            },
            Input::StepWanted { incident, step } => self.on_step(incident, step, now, effects),
            Input::PartingAsked { peer } => self.on_asked(peer, now, effects),
            Input::PartingDeclined { peer } if self.declined.len() < NEIGHBORS_MAX => {
                self.on_declined(peer, now, effects);
            }
            Input::PartingDeclined { .. } => {}
        }
    }
}

impl Machine for Rebalancer {
    type Input = Input;
    type Effect = Effect;

    fn handle(&mut self, input: Input, now: Instant, effects: &mut Vec<Effect>) {
        self.take(input, now, effects);
        self.wake(now, effects);
    }

    fn wake(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if !std::mem::replace(&mut self.started, true) {
            effects.push(Effect::ResyncWanted);
        }
        self.go_on(now, effects);
        if self.next.is_some_and(|at| at <= now) {
            self.look(now, effects);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if !self.started {
            return Some(Instant::BOOT);
        }
        self.next.into_iter().chain(self.exchange.as_ref().map(|exchange| exchange.until)).min()
    }
}

/// Periods for which a neighbor that did not want to part is not asked again; doubled each further time.
const DECLINED_PERIODS: u32 = 4;
/// How often that is doubled at most.
const DECLINED_DOUBLINGS_MAX: u32 = 8;
/// Periods for which it is remembered how far away a node is that is no neighbor any more.
const MEASURED_PERIODS: u32 = 24;

const _: () = assert!(NEIGHBORS_EXCHANGED_PER_PERIOD == 1, "the role has room for one exchange at a time");

#[cfg(test)]
mod tests;
