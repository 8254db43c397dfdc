//! All roles of one node, run together on one thread: what the simulator runs in place of actors.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use crate::executor::Executor;
use crate::gossip::Gossip;
use crate::identity::Identity;
use crate::limits::NEIGHBORS_MAX;
use crate::monitor::Monitor;
use crate::pathfinder::Pathfinder;
use crate::peer::{Peer, Probing};
use crate::planner::Planner;
use crate::policy::Policy;
use crate::record::{NodeBody, ProvenRecord};
use crate::rng::Rng;
use crate::wiring::{Command, Route, Wire};
use crate::{Instant, Machine, PeerId, Verified, gossip, monitor, pathfinder, peer};

/// What a node is to do.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// What it says of itself.
    pub node: NodeBody,
    /// How links are probed.
    pub link_probing: Probing,
    /// How paths are found and probed.
    pub pathfinder: pathfinder::Config,
    /// What is watched for.
    pub monitor: monitor::Config,
    /// The seed of everything that it draws.
    pub seed: u64,
}

/// One node.
#[derive(Debug)]
pub struct Node {
    identity: Identity,
    link_probing: Probing,
    rng: Rng,
    peers: BTreeMap<PeerId, Peer>,
    gossip: Gossip,
    pathfinder: Pathfinder,
    monitor: Monitor,
    planner: Planner,
    executor: Executor,
    policy: Policy,
}

impl Node {
    /// Boots a node with what its store held.
    pub fn boot(
        identity: Identity,
        config: NodeConfig,
        stored: Vec<Verified<ProvenRecord>>,
        unix_ms: u64,
        now: Instant,
        commands: &mut Vec<Command>,
    ) -> Self {
        let mut rng = Rng::from_seed(config.seed);
        let mut node = Self {
            gossip: Gossip::new(identity.clone(), rng.next_u64(), now),
            pathfinder: Pathfinder::new(identity.peer(), config.pathfinder, rng.next_u64()),
            monitor: Monitor::new(config.monitor, 1, [], now),
            planner: Planner::default(),
            executor: Executor::default(),
            policy: Policy::default(),
            peers: BTreeMap::new(),
            link_probing: config.link_probing,
            identity,
            rng,
        };
        for input in
            [gossip::Input::Clock { unix_ms }, gossip::Input::Loaded(stored), gossip::Input::Announce(config.node)]
        {
            node.handle(Route::Gossip(input), now, commands);
        }
        node
    }

    /// Who it is.
    pub fn peer_id(&self) -> PeerId {
        self.identity.peer()
    }

    /// Its gossip role, to look at.
    pub fn gossip(&self) -> &Gossip {
        &self.gossip
    }

    /// Its pathfinder role, to look at.
    pub fn pathfinder(&self) -> &Pathfinder {
        &self.pathfinder
    }

    /// How its link to a neighbor is; `None` if it has no role for that neighbor.
    pub fn link(&self, peer: &PeerId) -> Option<peer::LinkReport> {
        self.peers.get(peer).map(Peer::report)
    }

    /// Starts the role for a neighbor, unless it is there or there are too many.
    pub fn add_peer(&mut self, peer: PeerId, addresses: Vec<SocketAddr>, now: Instant, commands: &mut Vec<Command>) {
        if self.peers.len() < NEIGHBORS_MAX && peer != self.peer_id() {
            let seed = self.rng.next_u64();
            let probing = self.link_probing;
            self.peers.entry(peer).or_insert_with(|| Peer::new(peer, probing, seed, now));
            self.handle(Route::Peer(peer, peer::Input::AddressesLearned(addresses)), now, commands);
        }
    }

    /// Gives something to whom it is for, and everything that follows from it, until only commands are left.
    pub fn handle(&mut self, route: Route, now: Instant, commands: &mut Vec<Command>) {
        let mut queue = VecDeque::from([route]);
        let mut routes = Vec::new();
        while let Some(route) = queue.pop_front() {
            match route {
                Route::Peer(peer, input) => {
                    if let Some(role) = self.peers.get_mut(&peer) {
                        step(role, Some(input), now, &mut routes);
                    }
                }
                Route::Peers(input) => {
                    for role in self.peers.values_mut() {
                        step(role, Some(input.clone()), now, &mut routes);
                    }
                }
                Route::Gossip(input) => step(&mut self.gossip, Some(input), now, &mut routes),
                Route::Pathfinder(input) => step(&mut self.pathfinder, Some(input), now, &mut routes),
                Route::Monitor(input) => step(&mut self.monitor, Some(input), now, &mut routes),
                Route::Planner(input) => step(&mut self.planner, Some(input), now, &mut routes),
                Route::Executor(input) => step(&mut self.executor, Some(input), now, &mut routes),
                Route::Policy(input) => step(&mut self.policy, Some(input), now, &mut routes),
                Route::Shell(command) => commands.push(command),
            }
            queue.extend(routes.drain(..));
        }
    }

    /// Wakes every role that is due.
    pub fn wake(&mut self, now: Instant, commands: &mut Vec<Command>) {
        let mut routes = Vec::new();
        for role in self.peers.values_mut() {
            step(role, None, now, &mut routes);
        }
        step(&mut self.gossip, None, now, &mut routes);
        step(&mut self.pathfinder, None, now, &mut routes);
        step(&mut self.monitor, None, now, &mut routes);
        step(&mut self.planner, None, now, &mut routes);
        step(&mut self.executor, None, now, &mut routes);
        for route in routes {
            self.handle(route, now, commands);
        }
    }

    /// When the node next wants to be woken.
    pub fn deadline(&self) -> Option<Instant> {
        let peers = self.peers.values().filter_map(Machine::deadline).min();
        [
            peers,
            self.gossip.deadline(),
            self.pathfinder.deadline(),
            self.monitor.deadline(),
            self.planner.deadline(),
            self.executor.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

/// Runs one role once and wires what it asks for.
fn step<M: Machine<Effect: Wire>>(role: &mut M, input: Option<M::Input>, now: Instant, routes: &mut Vec<Route>) {
    let mut effects = Vec::new();
    match input {
        Some(input) => role.handle(input, now, &mut effects),
        None if role.deadline().is_some_and(|at| at <= now) => role.wake(now, &mut effects),
        None => {}
    }
    for effect in effects {
        effect.wire(routes);
    }
}
