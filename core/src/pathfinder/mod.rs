//! The pathfinder role: several disjoint paths to every active destination, each proven by round trips, and a route.
//!
//! It hears links (from gossip and from this node's own peers), wishes for destinations, probe returns and path errors;
//! it asks for routes to be installed, paths to be probed, and reports what became of a destination. Invariant: traffic
//! moves off a late path at once and without anybody's agreement; only reports to the monitor accuse.

mod config;
mod damping;
mod destination;
mod lanes;
mod payload;
mod quarantine;
mod report;
mod tracked;
mod why;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use config::Config;
pub use lanes::LaneWay;
pub use report::{PathChange, PathReport, SwitchCause};
pub use tracked::{DOUBTED_FOR, Doubt, PathState, PathView};
pub use why::{LinkWhy, Verdict, Why};

use crate::limits::{DESTINATIONS_MAX, PATH_LABELS_MAX, PATHS_MAX};
use crate::paths::{Path, PathTable};
use crate::peer::{LinkReport, LinkState};
use crate::record::LinkBody;
use crate::rng::Rng;
use crate::{Instant, Label, LinkId, Machine, PeerId, Tag};
use destination::{Destination, Returned};
use tracked::Found;

/// What the role may hear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// A node's links, as it says; empty when they are no longer known.
    LinksLearned {
        /// Whose.
        origin: PeerId,
        /// All of them.
        links: Vec<LinkBody>,
    },
    /// How the link to a neighbor of this node is.
    LinkReported(LinkReport),
    /// Somebody wants to talk to a node.
    Wanted {
        /// Whom.
        destination: PeerId,
    },
    /// The datapath has traffic for a node and no route.
    TagWanted {
        /// The node's short name in frames.
        tag: Tag,
    },
    /// The destinations that traffic was sent to or received from lately, be it only to keep a session alive.
    Active {
        /// Their short names in frames.
        tags: Vec<Tag>,
    },
    /// The destinations with which users exchanged something lately.
    Busy {
        /// Which.
        destinations: Vec<PeerId>,
    },
    /// A path's probe came back.
    ProbeReturned {
        /// The path's id.
        path: u32,
        /// The probe's number.
        nonce: u64,
        /// Its round trip.
        rtt: Duration,
    },
    /// A relay said that it cannot pass on what came over a path.
    PathBroken {
        /// The path's id.
        path: u32,
    },
    /// What was sent to a destination should have been acknowledged by now and was not; told again and again while that
    /// is so.
    PayloadOverdue {
        /// Which.
        destination: PeerId,
        /// For how long nothing was acknowledged.
        silent: Duration,
    },
    /// A destination says that it has left paths over these relays, because what it sends is not acknowledged: the
    /// acknowledgments may be lost on the way from here.
    PeerUnanswered {
        /// Which.
        destination: PeerId,
        /// Over these relays its paths led; for the link between the two stands the destination.
        relays: Vec<Tag>,
    },
    /// The round trip of the link to a neighbor rises and will reach its limit within seconds.
    BreachAhead {
        /// Which neighbor.
        neighbor: PeerId,
        /// What it must not pass.
        limit: Duration,
    },
    /// As `PayloadOverdue`, for what was sent on a lane beside the first.
    LaneOverdue {
        /// To whom.
        destination: PeerId,
        /// Which lane.
        lane: u8,
        /// For how long nothing was acknowledged on it.
        silent: Duration,
    },
    /// A plan wants the path in use to a destination left for another: its probes return, and payload is lost on it.
    SwitchRequested {
        /// Which.
        destination: PeerId,
    },
    /// A plan wants other paths tried to a destination.
    RerouteRequested {
        /// Which.
        destination: PeerId,
    },
    /// A neighbor is none any more.
    PeerForgotten {
        /// Which.
        peer: PeerId,
    },
    /// A node is dealt with no more, or again.
    Quarantined {
        /// Which.
        peer: PeerId,
        /// Whether it is quarantined.
        quarantined: bool,
    },
    /// This node takes on less from now on, or everything again.
    LoadChanged {
        /// Whether it sheds load.
        sheds: bool,
    },
}

/// What the role may ask for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Effect {
    /// Let the datapath use this way to the destination from now on; nothing comes back.
    InstallRoute {
        /// Whither.
        destination: PeerId,
        /// How.
        way: Way,
        /// Where copies go as well, while a probe of that way is overdue.
        hedge: Option<Way>,
    },
    /// Let the lanes beside the first use these ways from now on, and lanes that are not named the route; nothing comes
    /// back. Asked for only where traffic is spread.
    SpreadTraffic {
        /// Whither.
        destination: PeerId,
        /// How, in the order of the lanes.
        lanes: Vec<LaneWay>,
    },
    /// There is no way any more, for any lane; nothing comes back.
    WithdrawRoute {
        /// Whither.
        destination: PeerId,
    },
    /// Tell a destination, over the path in use now, that nothing was acknowledged on paths over these relays; nothing comes
    /// back.
    TellUnacknowledged {
        /// Whom.
        destination: PeerId,
        /// The relays of the paths that were left; for the link between the two stands this node.
        relays: Vec<PeerId>,
    },
    /// Probe a path; comes back as `ProbeReturned` or `PathBroken`, or not.
    Probe {
        /// The path.
        way: Way,
        /// The probe's number.
        nonce: u64,
    },
    /// What became of a destination.
    Report(PathReport),
    /// Tell me all links again: sent once, when the role starts.
    ResyncWanted,
}

/// How frames reach a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Way {
    /// The path's id, unique on this node.
    pub path: u32,
    /// The link to the first hop.
    pub first: LinkId,
    /// The labels that the relays look up.
    pub labels: Vec<Label>,
}

/// The role.
#[derive(Debug)]
pub struct Pathfinder {
    me: PeerId,
    /// As it was given.
    configured: Config,
    /// As it holds now.
    config: Config,
    rng: Rng,
    table: PathTable,
    neighbors: BTreeMap<PeerId, (LinkId, LinkState)>,
    quarantined: BTreeSet<PeerId>,
    destinations: BTreeMap<PeerId, Destination>,
    tags: BTreeMap<Tag, PeerId>,
    /// How many short names were left when they were last looked through.
    tags_kept: usize,
    next_path: u32,
    started: bool,
    /// When paths are looked up again; set while the topology or the links to neighbors have changed since.
    search_at: Option<Instant>,
    /// Whether links to neighbors have.
    neighbors_changed: bool,
}

impl Pathfinder {
    /// The role of the node `me`, knowing nothing yet.
    pub fn new(me: PeerId, config: Config, seed: u64) -> Self {
        let mut rng = Rng::from_seed(seed);
        // Ids of an earlier life of this role may still be under way in frames: start somewhere else.
        let next_path = (rng.next_u64() as u32) | 1;
        Self {
            me,
            configured: config,
            config,
            rng,
            table: PathTable::new(me, config.paths.clamp(1, PATHS_MAX)),
            neighbors: BTreeMap::new(),
            quarantined: BTreeSet::new(),
            destinations: BTreeMap::new(),
            tags: BTreeMap::new(),
            tags_kept: 0,
            next_path,
            started: false,
            search_at: None,
            neighbors_changed: false,
        }
    }

    /// The paths to a destination, best first: those watched if it is active, otherwise those that would be used.
    pub fn paths(&self, destination: PeerId) -> Vec<PathView> {
        match self.destinations.get(&destination) {
            Some(known) => known.views(),
            None => self.table.search(destination).into_iter().map(PathView::spare).collect(),
        }
    }

    /// The paths to a destination as [`Pathfinder::paths`] tells them, each with what speaks for it and against it.
    pub fn why(&self, destination: PeerId, now: Instant) -> Vec<(PathView, Why)> {
        let views = self.paths(destination);
        let verdicts = match self.destinations.get(&destination) {
            Some(known) => known.verdicts(now),
            None => vec![Verdict::Unwatched; views.len()],
        };
        let paths: Vec<Path> = views.iter().map(|view| view.path.clone()).collect();
        let before = |at: usize| paths[..at].iter().collect::<Vec<_>>();
        let why = |(at, (view, verdict)): (usize, (PathView, Verdict))| {
            let why = Why::of(verdict, &view.path, &before(at), self.table.topology());
            (view, why)
        };
        views.into_iter().zip(verdicts).enumerate().map(why).collect()
    }

    /// Every node of the topology that a path leads to, with the number of relays on the shortest one.
    pub fn reachable(&self) -> BTreeMap<PeerId, usize> {
        let mut found = BTreeMap::new();
        let mut edge: Vec<PeerId> =
            self.neighbors.iter().filter(|(_, (_, s))| s.is_usable()).map(|(p, _)| *p).collect();
        for relays in 0..=PATH_LABELS_MAX {
            edge.retain(|peer| *peer != self.me && !found.contains_key(peer));
            found.extend(edge.iter().map(|peer| (*peer, relays)));
            edge = edge.iter().flat_map(|peer| self.table.topology().neighbors(*peer)).collect();
        }
        found
    }

    fn first_link(&self, path: &Path) -> Option<LinkId> {
        self.neighbors.get(&path.first_hop()?).filter(|(_, state)| state.is_usable()).map(|(link, _)| *link)
    }

    fn want(&mut self, destination: PeerId, now: Instant, effects: &mut Vec<Effect>) {
        if destination == self.me || self.quarantined.contains(&destination) {
            return;
        }
        if let Some(known) = self.destinations.get_mut(&destination) {
            known.hurry(now);
            return;
        }
        if self.destinations.len() >= DESTINATIONS_MAX {
            self.release_oldest(effects);
        }
        self.tags.insert(destination.tag(), destination);
        self.destinations.insert(destination, Destination::new(destination, now));
        self.search_for(destination, now, effects);
    }

    fn release_oldest(&mut self, effects: &mut Vec<Effect>) {
        let oldest = self.destinations.values().min_by_key(|d| d.touched()).map(|d| d.peer());
        if let Some(peer) = oldest {
            self.release(peer, effects);
        }
    }

    fn release(&mut self, peer: PeerId, effects: &mut Vec<Effect>) {
        self.destinations.remove(&peer);
        self.table.forget(peer);
        effects.push(Effect::WithdrawRoute { destination: peer });
        effects.push(Effect::Report(PathReport { destination: peer, change: PathChange::Released }));
    }

    fn search_for(&mut self, destination: PeerId, now: Instant, effects: &mut Vec<Effect>) {
        let paths = self.table.paths(destination).to_vec();
        let topology = self.table.topology();
        let loss = |link: &[PeerId]| topology.measured(link[0], link[1]).map_or(0, |measured| measured.loss_permille);
        let found = |path: Path| {
            let loss_permille = path.hops.windows(2).map(loss).max().unwrap_or_default();
            Some(Found { first: self.first_link(&path)?, path, loss_permille })
        };
        let found = paths.into_iter().filter_map(found).collect();
        let Some(known) = self.destinations.get_mut(&destination) else { return };
        known.replace_paths(found, &mut self.next_path, now);
        known.choose(&self.config, now, effects);
    }

    fn set_neighbor(&mut self, peer: PeerId, link: Option<(LinkId, LinkState)>, now: Instant) {
        let before = match link {
            Some(link) => self.neighbors.insert(peer, link),
            None => self.neighbors.remove(&peer),
        };
        if before != link {
            self.tags.insert(peer.tag(), peer);
            // Nobody waits for a link of this node's own: what it knows first-hand counts at once.
            self.search_at = Some(now);
            self.neighbors_changed = true;
        }
    }

    fn on_links_learned(&mut self, origin: PeerId, links: &[LinkBody], now: Instant) {
        if self.table.set_links(origin, links) {
            self.tags.insert(origin.tag(), origin);
            self.search_at.get_or_insert(now + SEARCH_DELAY);
        }
    }

    fn with_path(&mut self, path: u32) -> Option<&mut Destination> {
        self.destinations.values_mut().find(|d| d.has_path(path))
    }

    fn run_due(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.search_at.is_some_and(|at| at <= now) {
            self.search_at = None;
            let mut changed = self.table.refresh();
            if std::mem::take(&mut self.neighbors_changed) {
                changed = self.destinations.keys().copied().collect();
            }
            for destination in changed {
                self.search_for(destination, now, effects);
            }
            self.forget_tags();
        }
        let idle: Vec<PeerId> =
            self.destinations.values().filter(|d| now.since(d.touched()) >= IDLE_AFTER).map(|d| d.peer()).collect();
        for peer in idle {
            self.release(peer, effects);
        }
        for destination in self.destinations.values_mut() {
            destination.wake(&self.config, &mut self.rng, now, effects);
        }
    }

    /// Short names are kept for nodes that are known; the table must not outgrow the mesh by far. It is not looked through
    /// at every change of the topology: while a large mesh forms, that would be most of the work.
    fn forget_tags(&mut self) {
        if self.tags.len() <= 2 * self.tags_kept {
            return;
        }
        let known: BTreeSet<PeerId> = self.table.topology().nodes().collect();
        let (destinations, neighbors) = (&self.destinations, &self.neighbors);
        self.tags.retain(|_, p| known.contains(p) || destinations.contains_key(p) || neighbors.contains_key(p));
        self.tags_kept = self.tags.len();
    }

    fn on_active(&mut self, tags: &[Tag], now: Instant, effects: &mut Vec<Effect>) {
        for peer in tags.iter().filter_map(|tag| self.tags.get(tag).copied()).collect::<Vec<_>>() {
            match self.destinations.get_mut(&peer) {
                Some(known) => known.touch(now),
                None => self.want(peer, now, effects),
            }
        }
    }
}

impl Machine for Pathfinder {
    type Input = Input;
    type Effect = Effect;

    fn handle(&mut self, input: Input, now: Instant, effects: &mut Vec<Effect>) {
        match input {
            Input::LinksLearned { origin, .. } if self.quarantined.contains(&origin) => {}
            Input::LinksLearned { origin, links } => self.on_links_learned(origin, &links, now),
            Input::LinkReported(LinkReport { peer, link, state, .. }) => {
                self.set_neighbor(peer, link.map(|(link, _)| (link, state)), now);
            }
            Input::PeerForgotten { peer } => self.set_neighbor(peer, None, now),
            Input::Wanted { destination } => self.want(destination, now, effects),
            Input::TagWanted { tag } => {
                if let Some(peer) = self.tags.get(&tag) {
                    self.want(*peer, now, effects);
                }
            }
            Input::Active { tags } => self.on_active(&tags, now, effects),
            Input::Busy { destinations } => destinations.into_iter().for_each(|to| self.want(to, now, effects)),
            Input::ProbeReturned { path, nonce, rtt } => {
                let config = self.config;
                if let Some(destination) = self.with_path(path) {
                    destination.on_probe_returned(Returned { path, nonce, rtt }, &config, now, effects);
                }
            }
            Input::PathBroken { path } => {
                let config = self.config;
                if let Some(destination) = self.with_path(path) {
                    destination.on_broken(path, &config, now, effects);
                }
            }
            Input::PayloadOverdue { destination, silent } => {
                let config = self.config;
                if let Some(destination) = self.destinations.get_mut(&destination) {
                    destination.on_payload_overdue(silent, &config, now, effects);
                }
            }
            Input::LaneOverdue { destination, lane, silent } => {
                let config = self.config;
                if let Some(destination) = self.destinations.get_mut(&destination) {
                    destination.on_lane_overdue(lane, silent, &config, now, effects);
                }
            }
            Input::PeerUnanswered { destination, relays } => {
                if let Some(destination) = self.destinations.get_mut(&destination) {
                    destination.on_unanswered(&relays, now, effects);
                }
            }
            Input::BreachAhead { neighbor, limit } => {
                for destination in self.destinations.values_mut() {
                    destination.on_breach_ahead(neighbor, limit, now, effects);
                }
            }
            Input::SwitchRequested { destination } => {
                let config = self.config;
                if let Some(destination) = self.destinations.get_mut(&destination) {
                    destination.on_switch_requested(&config, now, effects);
                }
            }
            Input::RerouteRequested { destination } => self.search_for(destination, now, effects),
            Input::Quarantined { peer, quarantined } => self.on_quarantined(peer, quarantined, now, effects),
            Input::LoadChanged { sheds } => {
                self.config = if sheds { self.configured.shedding() } else { self.configured };
            }
        }
        self.wake(now, effects);
    }

    fn wake(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if !self.started {
            self.started = true;
            effects.push(Effect::ResyncWanted);
        }
        self.run_due(now, effects);
    }

    fn deadline(&self) -> Option<Instant> {
        if !self.started {
            return Some(Instant::BOOT);
        }
        let config = &self.config;
        let destinations = self.destinations.values().map(|d| d.deadline(config).min(d.touched() + IDLE_AFTER)).min();
        [self.search_at, destinations].into_iter().flatten().min()
    }
}

/// How long changes of the topology are gathered before paths are searched again.
const SEARCH_DELAY: Duration = Duration::from_millis(10);
/// How long a destination is kept after the last traffic.
const IDLE_AFTER: Duration = Duration::from_secs(60);

#[cfg(test)]
mod loops;
#[cfg(test)]
mod spread;
#[cfg(test)]
mod tests;
