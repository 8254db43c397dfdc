//! The monitor role: turns reports and samples into incidents, and finds what they have in common.
//!
//! It hears how links, paths, actors, the store and its own process are, and asks for incidents to be raised, cleared and
//! explained. Invariants: at most one open incident per kind and subject, and each ends when a report or a sample says
//! that the thing works again; and a process that was starved doubts itself before it accuses anybody
//! ([`detectors::Doubt`]).
//!
//! Reports come from other roles and are facts; samples come from the shell at their own pace and are judged by
//! [`detectors`], one set of them per subject. What is open is reviewed by [`crate::analysis`].

mod certificate;
mod desk;
pub mod detectors;
mod isolation;
mod ledgers;
mod review;
pub mod ring;
pub mod sample;
mod watches;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::analysis::Topology;
use crate::incident::{Evidence, Incident, IncidentKind, Subject};
use crate::ledger::Report;
use crate::limits::{ACTORS_WATCHED_MAX, DESTINATIONS_MAX, NEIGHBORS_MAX, RECORDS_MAX};
use crate::pathfinder::{PathChange, PathReport, SwitchCause};
use crate::peer::{LinkReport, LinkState};
use crate::rebalancer::Pair;
use crate::reputation::TrustReport;
use crate::{Instant, Machine, PeerId};

use desk::Desk;
use detectors::{Edge, Learned, Slot};
use review::Review;
use sample::{ActorSample, LinkSample, PathSample, ProcessSample};
use watches::{ActorWatch, Finding, LinkWatch, PathWatch, ProcessWatch, StoreWatch};
pub use watches::{LinkFigures, ProcessFigures};

/// What the role may hear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// How a neighbor's link is.
    LinkReported(LinkReport),
    /// A neighbor is not watched any more.
    PeerForgotten {
        /// Which.
        peer: PeerId,
    },
    /// Another neighbor would be nearer than one of those that there are.
    ExchangeProposed(Pair),
    /// That is over, one way or the other.
    ExchangeEnded {
        /// The neighbor that was far away.
        far: PeerId,
        /// The node that was nearer.
        near: PeerId,
    },
    /// What became of a destination.
    PathReported(PathReport),
    /// A node made itself known, or is no longer known.
    NodeLearned {
        /// Which.
        peer: PeerId,
        /// Whether it is known.
        known: bool,
        /// Its region; empty: none.
        region: String,
    },
    /// A node tells of other links than before.
    LinksLearned {
        /// Which node.
        origin: PeerId,
        /// Its neighbors, all of them.
        neighbors: Vec<PeerId>,
    },
    /// A node is believed no more, or again.
    TrustChanged(TrustReport),
    /// A node is dealt with no more, or again.
    Quarantined {
        /// Which.
        peer: PeerId,
        /// Whether it is quarantined.
        quarantined: bool,
    },
    /// An actor failed.
    ActorFailed {
        /// Its name.
        actor: String,
        /// Why.
        reason: String,
    },
    /// An actor runs again.
    ActorRestarted {
        /// Its name.
        actor: String,
    },
    /// How this process and its actors are; every 10 ms.
    ProcessSampled {
        /// The process.
        process: ProcessSample,
        /// Every actor.
        actors: Vec<ActorSample>,
    },
    /// What the links have carried; several times a second.
    LinksSampled(Vec<LinkSample>),
    /// What the sessions have sent; several times a second.
    PathsSampled(Vec<PathSample>),
    /// The store could not write; it is tried again.
    StoreFailed {
        /// What it said.
        reason: String,
    },
    /// The store has written and flushed something.
    StoreWrote {
        /// How long that took.
        took: Duration,
    },
    /// How long this node's certificate lasts; now and then.
    CertificateChecked {
        /// What is left of it.
        left: Duration,
        /// How long it lasted when it was new.
        life: Duration,
    },
    /// How this node's ledger is, or what it found of another.
    LedgerReported(Report),
}

/// What the role may ask for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Effect {
    /// An incident begins.
    Raise(Incident),
    /// An incident is over.
    Clear {
        /// Its number.
        incident: u64,
    },
    /// An open incident follows from another one.
    Explain {
        /// The number of the one that follows.
        incident: u64,
        /// The number of the one that stands for the cause.
        root: u64,
        /// The part to blame.
        culprit: Subject,
    },
    /// Tell me how all links are, and the ledgers, again: sent once, when the role starts.
    ResyncWanted,
}

/// What the role is to watch for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// This node.
    pub me: PeerId,
    /// Links that should be up, as far as there are other nodes to link to; 0: any number will do.
    pub neighbors_target: usize,
    /// The round trip that a link must not exceed: a ramp towards it is an incident before it is there.
    pub rtt_limit: Duration,
}

/// The limit of a link's round trip unless somebody knows better.
pub const RTT_LIMIT: Duration = Duration::from_millis(250);

/// The role.
#[derive(Debug)]
pub struct Monitor {
    config: Config,
    desk: Desk,
    review: Review,
    topology: Topology,
    states: BTreeMap<PeerId, LinkState>,
    known: BTreeSet<PeerId>,
    quarantined: BTreeSet<PeerId>,
    process: ProcessWatch,
    links: BTreeMap<PeerId, LinkWatch>,
    paths: BTreeMap<PeerId, PathWatch>,
    actors: BTreeMap<String, ActorWatch>,
    store: StoreWatch,
    learned: Option<Slot>,
    started: bool,
    /// When too few links become an incident; set while there are too few and none is open.
    few_at: Option<Instant>,
}

impl Monitor {
    /// The role, numbering its incidents from `next_id`, with the incidents that were open when an earlier one ended.
    pub fn new(config: Config, next_id: u64, open: impl IntoIterator<Item = Incident>, now: Instant) -> Self {
        let desk = Desk::new(next_id, open, now);
        Self {
            config,
            review: Review::new(&desk, now),
            desk,
            topology: Topology::default(),
            states: BTreeMap::new(),
            known: BTreeSet::new(),
            quarantined: BTreeSet::new(),
            process: ProcessWatch::new(),
            links: BTreeMap::new(),
            paths: BTreeMap::new(),
            actors: BTreeMap::new(),
            store: StoreWatch::new(),
            learned: None,
            started: false,
            few_at: None,
        }
    }

    /// Puts a learned detector into the slot for one; an earlier one goes.
    pub fn plug_in(&mut self, detector: Box<dyn Learned>) {
        self.learned = Some(Slot::new(detector));
    }

    /// What this process is like now, as far as it was sampled.
    pub fn process(&self) -> ProcessFigures {
        self.process.figures
    }

    /// What each link is like now.
    pub fn links(&self) -> impl Iterator<Item = (PeerId, LinkFigures)> {
        self.links.iter().map(|(peer, watch)| (*peer, watch.figures))
    }

    fn on_link_reported(&mut self, report: &LinkReport, now: Instant, effects: &mut Vec<Effect>) {
        let peer = report.peer;
        let before = self.states.insert(peer, report.state);
        self.topology.set_link(peer, report.established > 0);
        let kind = IncidentKind::LinkDown { peer };
        let loss_permille = report.loss_permille;
        match report.state {
            LinkState::Up => self.desk.clear(&kind, effects),
            // A neighbor that never answered is not an incident of the link; too few neighbors may be one.
            LinkState::Dialing if before.is_none() && report.established == 0 => {}
            LinkState::Down if report.established > 0 => {
                let silent = report.heard.map_or(Duration::ZERO, |heard| now.since(heard));
                self.desk.raise(kind, Evidence::Silence { silent, loss_permille }, now, effects);
            }
            LinkState::Dialing if report.established > 0 => {
                self.desk.raise(kind, Evidence::ConnectionEnded { loss_permille }, now, effects);
            }
            LinkState::Late | LinkState::Down | LinkState::Dialing => {}
        }
        self.count_links(now, effects);
        let limit = self.config.rtt_limit;
        let mut found = Vec::new();
        if self.links.len() < NEIGHBORS_MAX || self.links.contains_key(&peer) {
            let watch = self.links.entry(peer).or_insert_with(|| LinkWatch::new(peer, limit));
            watch.on_reported(report, &self.process.doubt, now, &mut found);
            if let Some(slot) = self.learned.as_mut().filter(|_| self.process.doubt.is_trusted(now)) {
                let edge = slot.observe(peer, &watch.figures);
                found.extend(edge.map(|edge| (IncidentKind::LinkUnusual { peer }, edge)));
            }
        }
        self.apply(found, now, effects);
    }

    fn on_peer_forgotten(&mut self, peer: PeerId, now: Instant, effects: &mut Vec<Effect>) {
        self.states.remove(&peer);
        self.links.remove(&peer);
        if let Some(slot) = &mut self.learned {
            slot.forget(&peer);
        }
        self.topology.set_link(peer, false);
        self.desk.clear_all_of(&Subject::Link(peer), effects);
        self.count_links(now, effects);
    }

    /// Links that should be up: there cannot be more than other nodes.
    fn target(&self) -> usize {
        self.config.neighbors_target.min(self.known.len())
    }

    fn links_up(&self) -> usize {
        self.states.values().filter(|state| state.is_usable()).count()
    }

    fn count_links(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if !self.topology.set_working(self.links_up()) {
            self.review.doubt(now);
        }
        if self.links_up() >= self.target() {
            self.few_at = None;
            self.desk.clear(&IncidentKind::FewNeighbors, effects);
        } else if self.few_at.is_none() && !self.desk.is_open(&IncidentKind::FewNeighbors) {
            self.few_at = Some(now + FEW_PATIENCE);
        }
    }

    fn on_path_reported(&mut self, report: PathReport, now: Instant, effects: &mut Vec<Effect>) {
        let destination = report.destination;
        let lost = IncidentKind::PathLost { destination };
        if self.paths.len() >= DESTINATIONS_MAX && !self.paths.contains_key(&destination) {
            return;
        }
        let path = self.paths.entry(destination).or_insert_with(|| PathWatch::new(destination));
        let mut found = Vec::new();
        match report.change {
            PathChange::Lost => {
                path.set_lost(true);
                self.desk.raise(lost, Evidence::NoPath, now, effects);
            }
            PathChange::Found => {
                path.set_lost(false);
                self.desk.clear(&lost, effects);
            }
            PathChange::Released => {
                self.paths.remove(&destination);
                self.topology.set_relays(destination, None);
                self.desk.clear(&lost, effects);
                self.desk.clear(&IncidentKind::PayloadLost { destination }, effects);
                self.desk.clear(&IncidentKind::PathChurn { destination }, effects);
            }
            PathChange::Switched { from, to, cause, silent } => {
                self.topology.set_relays(destination, Some(to.clone()));
                // Who moves to a better path had nothing wrong with the path that was left.
                if cause != SwitchCause::Better {
                    path.on_switched(now, &mut found);
                    // The switch was the repair: the incident is told, and ends when the new path has held for a while.
                    let kind = IncidentKind::PathSwitched { destination };
                    let evidence = Evidence::Switched { why: cause, from, to, silent };
                    self.desk.raise_for(SWITCH_HOLDS, kind, evidence, now, effects);
                }
            }
        }
        self.apply(found, now, effects);
    }

    fn on_node_learned(&mut self, peer: PeerId, known: bool, region: String, now: Instant, effects: &mut Vec<Effect>) {
        self.topology.set_region(peer, known.then_some(region));
        if known && peer != self.config.me && self.known.len() < RECORDS_MAX {
            self.known.insert(peer);
        } else if !known {
            self.known.remove(&peer);
        }
        self.count_links(now, effects);
    }

    fn on_process_sampled(
        &mut self,
        process: &ProcessSample,
        actors: &[ActorSample],
        now: Instant,
        found: &mut Vec<Finding>,
    ) {
        self.process.observe(process, now, found);
        for sample in actors {
            if !self.actors.contains_key(&sample.actor) && self.actors.len() < ACTORS_WATCHED_MAX {
                self.actors.insert(sample.actor.clone(), ActorWatch::new(now));
            }
            if let Some(watch) = self.actors.get_mut(&sample.actor) {
                watch.observe(sample, &self.process.doubt, now, found);
            }
        }
        // Who is not sampled any more will not come back.
        let gone: Vec<String> =
            self.actors.iter().filter(|(_, watch)| watch.heard < now).map(|(name, _)| name.clone()).collect();
        for actor in gone {
            self.actors.remove(&actor);
            found.push((IncidentKind::ActorStuck { actor: actor.clone() }, Edge::Well));
            found.push((IncidentKind::ActorSlow { actor }, Edge::Well));
        }
    }

    /// Another life: what held up the one before is over.
    fn on_actor_restarted(&mut self, actor: String, effects: &mut Vec<Effect>) {
        self.actors.remove(&actor);
        self.desk.clear_all_of(&Subject::Actor(actor), effects);
    }

    fn apply(&mut self, found: Vec<Finding>, now: Instant, effects: &mut Vec<Effect>) {
        for (kind, edge) in found {
            match edge {
                // Nobody will say that the clock is well again: it was set once.
                Edge::Wrong(evidence) if kind == IncidentKind::ClockJumped => {
                    self.desk.raise_for(JUMP_TOLD_FOR, kind, evidence, now, effects);
                }
                Edge::Wrong(evidence) => drop(self.desk.raise(kind, evidence, now, effects)),
                Edge::Well => self.desk.clear(&kind, effects),
            }
        }
    }

    /// This role's own lateness, where nobody samples it: woken long after its deadline, it did not run.
    fn doubt_own_wake(&mut self, now: Instant) {
        if let Some(due) = self.deadline().filter(|_| self.started) {
            self.process.doubt.woke(now.since(due), now);
        }
    }
}

impl Machine for Monitor {
    type Input = Input;
    type Effect = Effect;

    fn handle(&mut self, input: Input, now: Instant, effects: &mut Vec<Effect>) {
        self.doubt_own_wake(now);
        let mut found = Vec::new();
        match input {
            Input::LinkReported(report) => self.on_link_reported(&report, now, effects),
            Input::PeerForgotten { peer } => self.on_peer_forgotten(peer, now, effects),
            Input::PathReported(report) => self.on_path_reported(report, now, effects),
            Input::ExchangeProposed(Pair { far, near, far_us, near_us }) => {
                let evidence = Evidence::Farther { far, far_us, near, near_us };
                self.desk.raise(IncidentKind::FarNeighbor { far, near }, evidence, now, effects);
            }
            Input::ExchangeEnded { far, near } => self.desk.clear(&IncidentKind::FarNeighbor { far, near }, effects),
            Input::NodeLearned { peer, known, region } => self.on_node_learned(peer, known, region, now, effects),
            Input::LinksLearned { origin, neighbors } => {
                self.topology.set_links_of(origin, neighbors, now);
                self.review.want(&self.desk, now);
            }
            Input::TrustChanged(report) => self.on_trust_changed(report, now, effects),
            Input::Quarantined { peer, quarantined } => self.on_quarantined(peer, quarantined, effects),
            Input::ActorFailed { actor, reason } => {
                self.desk.raise(IncidentKind::ActorFailed { actor }, Evidence::Failed { reason }, now, effects);
            }
            Input::ActorRestarted { actor } => self.on_actor_restarted(actor, effects),
            Input::ProcessSampled { process, actors } => self.on_process_sampled(&process, &actors, now, &mut found),
            Input::LinksSampled(samples) => {
                for sample in samples {
                    if let Some(watch) = self.links.get_mut(&sample.peer) {
                        watch.observe(sample, &self.process.doubt, now, &mut found);
                    }
                }
            }
            Input::PathsSampled(samples) => {
                for sample in samples {
                    if let Some(watch) = self.paths.get_mut(&sample.destination) {
                        watch.observe(&sample, &self.process.doubt, now, &mut found);
                    }
                }
            }
            Input::StoreFailed { reason } => {
                self.desk.raise(IncidentKind::StoreFailing, Evidence::Failed { reason }, now, effects);
            }
            Input::StoreWrote { took } => {
                self.desk.clear(&IncidentKind::StoreFailing, effects);
                self.store.on_wrote(took, &self.process.doubt, now, &mut found);
            }
            Input::CertificateChecked { left, life } => self.on_certificate_checked(left, life, now, effects),
            Input::LedgerReported(report) => self.on_ledger_reported(report, now, effects),
        }
        self.apply(found, now, effects);
        self.wake_up(now, effects);
    }

    fn wake(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.doubt_own_wake(now);
        self.wake_up(now, effects);
    }

    fn deadline(&self) -> Option<Instant> {
        if !self.started {
            return Some(Instant::BOOT);
        }
        let watches = self.paths.values().map(PathWatch::deadline).chain([self.store.deadline()]);
        let others = [self.desk.deadline(), self.review.deadline(), self.few_at];
        watches.chain(others).flatten().min()
    }
}

impl Monitor {
    fn wake_up(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if !std::mem::replace(&mut self.started, true) {
            effects.push(Effect::ResyncWanted);
        }
        if self.few_at.is_some_and(|at| at <= now) {
            self.few_at = None;
            let evidence = Evidence::Links { up: self.links_up(), wanted: self.target() };
            self.desk.raise(IncidentKind::FewNeighbors, evidence, now, effects);
        }
        let mut found = Vec::new();
        self.paths.values_mut().for_each(|path| path.wake(now, &mut found));
        self.store.wake(now, &mut found);
        self.apply(found, now, effects);
        self.desk.wake(now, effects);
        self.review.run(&mut self.desk, &self.topology, now, effects);
    }
}

/// How long too few links are borne before it is an incident: links come up one after another when a node starts.
const FEW_PATIENCE: Duration = Duration::from_secs(1);
/// How long a path must hold after a switch before the incident is over.
const SWITCH_HOLDS: Duration = Duration::from_secs(1);
/// How long it is told that the clock was set.
const JUMP_TOLD_FOR: Duration = Duration::from_secs(5);

#[cfg(test)]
mod scenes;
#[cfg(test)]
mod tests;
