//! All roles of one node, run together on one thread: what the simulator runs in place of actors.
//!
//! It stands for everything that threads and supervisors do to actors: messages between roles interleave in any order
//! that keeps each sender's own ([`crate::interleaving`]), roles that are due wake in any order, and a role that crashes
//! loses its mailbox, takes down whoever stands on it, and comes back as a new machine that adopts what the shell's
//! tables hold.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::executor::Executor;
use crate::gossip::Gossip;
use crate::identity::Identity;
use crate::incident::{Incident, Outcome};
use crate::interleaving::Interleaving;
pub use crate::interleaving::Role;
use crate::ledger::Keeper;
use crate::limits::NEIGHBORS_MAX;
use crate::monitor::Monitor;
use crate::pathfinder::Pathfinder;
use crate::peer::{Peer, Probing};
use crate::planner::Planner;
use crate::policy::{Document, Policy};
use crate::rebalancer::Rebalancer;
use crate::record::NodeBody;
use crate::rng::Rng;
use crate::wiring::{Command, Route, Wire};
use crate::{
    Instant, Label, LinkId, Machine, PeerId, gossip, ledger, monitor, pathfinder, peer, planner, policy, rebalancer,
};

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
    /// How neighbors are exchanged.
    pub rebalancer: rebalancer::Config,
    /// The seed of everything that it draws.
    pub seed: u64,
}

/// What a starting role finds in the shell's tables and in its store.
#[derive(Clone, Debug, Default)]
pub struct Adopted {
    /// What the wall clock says, in milliseconds since the Unix epoch.
    pub unix_ms: u64,
    /// For gossip: the records that the store holds.
    pub stored: gossip::Loaded,
    /// For gossip: the services that this node exposes.
    pub services: Vec<String>,
    /// For policy: what may be in force, the newest first.
    pub policies: Vec<Document>,
    /// For the peer roles: the neighbors that are wanted.
    pub peers: BTreeMap<PeerId, Neighbor>,
    /// For the pathfinder: the destinations that have a route.
    pub destinations: Vec<PeerId>,
    /// For monitor and planner: the incidents that are open.
    pub incidents: Vec<Incident>,
    /// For the monitor: the number of the next incident.
    pub next_incident: u64,
    /// For the planner: what became of earlier steps, oldest first.
    pub outcomes: Vec<Outcome>,
    /// For the keeper: what the log holds, and what waits to be written.
    pub ledger: ledger::Adopted,
}

/// What the shell knows of a neighbor.
#[derive(Clone, Debug, Default)]
pub struct Neighbor {
    /// The link that lives, and this node's label for it.
    pub link: Option<(LinkId, Label)>,
    /// Where it can be dialed.
    pub addresses: Vec<SocketAddr>,
}

/// One node.
#[derive(Debug)]
pub struct Node {
    identity: Identity,
    config: NodeConfig,
    rng: Rng,
    under_way: Interleaving,
    /// Roles that do not run: what is sent to them is lost.
    down: BTreeSet<Role>,
    /// Roles that crash over the next message that they take.
    doomed: BTreeSet<Role>,
    peers: BTreeMap<PeerId, Peer>,
    gossip: Gossip,
    pathfinder: Pathfinder,
    monitor: Monitor,
    planner: Planner,
    executor: Executor,
    rebalancer: Rebalancer,
    policy: Policy,
    keeper: Keeper,
}

impl Node {
    /// Boots a node: every role starts, in the order of the supervision tree.
    pub fn boot(
        identity: Identity,
        config: NodeConfig,
        adopted: Adopted,
        now: Instant,
        commands: &mut Vec<Command>,
    ) -> Self {
        let mut rng = Rng::from_seed(config.seed);
        let mut node = Self {
            under_way: Interleaving::new(rng.next_u64()),
            down: BTreeSet::new(),
            doomed: BTreeSet::new(),
            gossip: Gossip::new(identity.clone(), rng.next_u64(), now),
            pathfinder: Pathfinder::new(identity.peer(), config.pathfinder, rng.next_u64()),
            monitor: Monitor::new(config.monitor, 1, [], now),
            planner: Planner::default(),
            executor: Executor::default(),
            // No role that is made here runs: all of them are made anew below, this one with a seed that is drawn then.
            rebalancer: Rebalancer::new(config.rebalancer.clone(), config.seed, now),
            policy: Policy::default(),
            keeper: Keeper::new(identity.clone(), now),
            peers: BTreeMap::new(),
            config,
            identity,
            rng,
        };
        node.take_down(Role::Shell);
        node.restart(adopted, now, commands);
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

    /// Its keeper role, to look at.
    pub fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// How its link to a neighbor is; `None` if it has no role for that neighbor.
    pub fn link(&self, peer: &PeerId) -> Option<peer::LinkReport> {
        self.peers.get(peer).map(Peer::report)
    }

    /// The most messages that ever waited between its roles at once.
    pub fn mail_peak(&self) -> usize {
        self.under_way.peak()
    }

    /// Whether a role runs. [`Role::Shell`] stands for all of them.
    pub fn runs(&self, role: Role) -> bool {
        if role == Role::Shell { self.down.is_empty() } else { !self.down.contains(&role) }
    }

    /// Starts the role for a neighbor, unless it is there or there are too many.
    pub fn add_peer(&mut self, peer: PeerId, neighbor: Neighbor, now: Instant, commands: &mut Vec<Command>) {
        if self.peers.len() < NEIGHBORS_MAX && peer != self.peer_id() && !self.peers.contains_key(&peer) {
            self.start_peer(peer, neighbor, now, commands);
            self.deliver(now, commands);
        }
    }

    /// Takes the role for a neighbor away.
    pub fn remove_peer(&mut self, peer: &PeerId) {
        self.peers.remove(peer);
        self.down.remove(&Role::Peer(*peer));
        self.doomed.remove(&Role::Peer(*peer));
    }

    /// Its rebalancer role, to look at.
    pub fn rebalancer(&self) -> &Rebalancer {
        &self.rebalancer
    }

    /// Gives something to whom it is for, and everything that follows from it, until only commands are left.
    pub fn handle(&mut self, route: Route, now: Instant, commands: &mut Vec<Command>) {
        self.send(Role::Shell, [route], commands);
        self.deliver(now, commands);
    }

    /// Wakes every role that is due, in any order, and lets everything that follows happen among it.
    pub fn wake(&mut self, now: Instant, commands: &mut Vec<Command>) {
        let mut due: Vec<Role> = self.deadlines().filter(|(_, at)| *at <= now).map(|(role, _)| role).collect();
        while !due.is_empty() {
            let role = due.swap_remove(self.rng.below(due.len()));
            self.step(role, None, now, commands);
            if self.rng.below(2) == 0 {
                self.deliver(now, commands);
            }
        }
        self.deliver(now, commands);
    }

    /// When the node next wants to be woken.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines().map(|(_, at)| at).min()
    }

    /// Lets a role crash over the next message that it takes. [`Role::Shell`] stands for the store's writer, on which
    /// every role stands: it crashes at once.
    pub fn crash(&mut self, role: Role) {
        if role == Role::Shell {
            self.take_down(role);
        } else {
            self.doomed.insert(role);
        }
    }

    /// Starts every role that does not run, in the order of the supervision tree, as a new machine that adopts what the
    /// shell's tables hold. What it hears first comes before anything that others send to it.
    pub fn restart(&mut self, adopted: Adopted, now: Instant, commands: &mut Vec<Command>) {
        let Adopted {
            unix_ms,
            stored,
            services,
            policies,
            peers,
            destinations,
            incidents,
            next_incident,
            outcomes,
            ledger,
        } = adopted;
        if self.down.contains(&Role::Policy) {
            self.policy = Policy::default();
            let offered = |document| Route::Policy(policy::Input::Offered(document));
            self.begin(Role::Policy, policies.into_iter().map(offered).collect(), now, commands);
        }
        if self.down.contains(&Role::Gossip) {
            self.gossip = Gossip::new(self.identity.clone(), self.rng.next_u64(), now);
            let announce = gossip::Input::Announce(self.config.node.clone());
            let mut first = vec![gossip::Input::Clock { unix_ms }, gossip::Input::Loaded(stored), announce];
            first.extend(services.into_iter().map(|name| gossip::Input::SetService { name, exposed: true }));
            self.begin(Role::Gossip, first.into_iter().map(Route::Gossip).collect(), now, commands);
        }
        for (peer, neighbor) in peers {
            if self.down.contains(&Role::Peer(peer)) || !self.peers.contains_key(&peer) {
                self.start_peer(peer, neighbor, now, commands);
            }
        }
        if self.down.contains(&Role::Monitor) {
            self.monitor = Monitor::new(self.config.monitor, next_incident, incidents.clone(), now);
            self.begin(Role::Monitor, Vec::new(), now, commands);
        }
        if self.down.contains(&Role::Pathfinder) {
            self.pathfinder = Pathfinder::new(self.peer_id(), self.config.pathfinder, self.rng.next_u64());
            let wanted = |destination| Route::Pathfinder(pathfinder::Input::Wanted { destination });
            self.begin(Role::Pathfinder, destinations.into_iter().map(wanted).collect(), now, commands);
        }
        if self.down.contains(&Role::Planner) {
            self.planner = Planner::new(incidents, now);
            let learned = |outcome| Route::Planner(planner::Input::Learned(outcome));
            self.begin(Role::Planner, outcomes.into_iter().map(learned).collect(), now, commands);
        }
        if self.down.contains(&Role::Executor) {
            self.executor = Executor::default();
            self.begin(Role::Executor, Vec::new(), now, commands);
        }
        if self.down.contains(&Role::Rebalancer) {
            self.rebalancer = Rebalancer::new(self.config.rebalancer.clone(), self.rng.next_u64(), now);
            self.begin(Role::Rebalancer, Vec::new(), now, commands);
        }
        if self.down.contains(&Role::Ledger) {
            self.keeper = Keeper::new(self.identity.clone(), now);
            let first = ledger.first(unix_ms).into_iter().map(Route::Ledger).collect();
            self.begin(Role::Ledger, first, now, commands);
        }
        self.down.clear();
        self.deliver(now, commands);
    }

    fn start_peer(&mut self, peer: PeerId, neighbor: Neighbor, now: Instant, commands: &mut Vec<Command>) {
        let role = Peer::new(peer, self.config.link_probing, self.rng.next_u64(), now);
        self.peers.insert(peer, role);
        let established = |(link, label)| Route::Peer(peer, peer::Input::LinkEstablished { link, label });
        let mut first: Vec<Route> = neighbor.link.map(established).into_iter().collect();
        first.push(Route::Peer(peer, peer::Input::AddressesLearned(neighbor.addresses)));
        self.begin(Role::Peer(peer), first, now, commands);
    }

    /// A role runs from now on; this is what stands first in its mailbox.
    fn begin(&mut self, role: Role, first: Vec<Route>, now: Instant, commands: &mut Vec<Command>) {
        self.down.remove(&role);
        for route in first {
            self.step(role, Some(route), now, commands);
        }
    }

    fn deadlines(&self) -> impl Iterator<Item = (Role, Instant)> {
        let peers = self.peers.iter().map(|(peer, role)| (Role::Peer(*peer), role.deadline()));
        let others = [
            (Role::Gossip, self.gossip.deadline()),
            (Role::Pathfinder, self.pathfinder.deadline()),
            (Role::Monitor, self.monitor.deadline()),
            (Role::Planner, self.planner.deadline()),
            (Role::Executor, self.executor.deadline()),
            (Role::Rebalancer, self.rebalancer.deadline()),
            (Role::Ledger, self.keeper.deadline()),
        ];
        let running = |(role, _): &(Role, Instant)| !self.down.contains(role);
        peers.chain(others).filter_map(|(role, at)| Some((role, at?))).filter(running)
    }

    fn send(&mut self, from: Role, routes: impl IntoIterator<Item = Route>, commands: &mut Vec<Command>) {
        for route in routes {
            match (Role::of(&route), route) {
                (_, Route::Shell(command)) => commands.push(command),
                (Some(to), route) => {
                    if self.runs(to) {
                        self.under_way.send(from, to, route);
                    }
                }
                (None, Route::Peers(input)) => {
                    for peer in self.peers.keys().filter(|peer| !self.down.contains(&Role::Peer(**peer))) {
                        self.under_way.send(from, Role::Peer(*peer), Route::Peer(*peer, input.clone()));
                    }
                }
                (None, route) => unreachable!("BUG: only the peer roles are told all at once: {route:?}"),
            }
        }
    }

    /// Lets messages arrive until none is under way.
    fn deliver(&mut self, now: Instant, commands: &mut Vec<Command>) {
        while let Some(route) = self.under_way.next() {
            let to = Role::of(&route).expect("BUG: what is under way has one receiver");
            if self.doomed.remove(&to) {
                self.take_down(to);
            } else if self.runs(to) {
                self.step(to, Some(route), now, commands);
            }
        }
    }

    /// Runs one role once, on a message or because it is due, and wires what it asks for.
    fn step(&mut self, role: Role, route: Option<Route>, now: Instant, commands: &mut Vec<Command>) {
        let mut routes = Vec::new();
        match (role, route) {
            (Role::Peer(peer), route) => {
                if let Some(machine) = self.peers.get_mut(&peer) {
                    let input = route.map(|route| match route {
                        Route::Peer(_, input) => input,
                        other => unreachable!("BUG: a peer role is not told of {other:?}"),
                    });
                    run(machine, input, now, &mut routes);
                }
            }
            (Role::Gossip, None) => run(&mut self.gossip, None, now, &mut routes),
            (Role::Pathfinder, None) => run(&mut self.pathfinder, None, now, &mut routes),
            (Role::Monitor, None) => run(&mut self.monitor, None, now, &mut routes),
            (Role::Planner, None) => run(&mut self.planner, None, now, &mut routes),
            (Role::Executor, None) => run(&mut self.executor, None, now, &mut routes),
            (Role::Rebalancer, None) => run(&mut self.rebalancer, None, now, &mut routes),
            (Role::Ledger, None) => run(&mut self.keeper, None, now, &mut routes),
            (_, Some(Route::Gossip(input))) => run(&mut self.gossip, Some(input), now, &mut routes),
            (_, Some(Route::Pathfinder(input))) => run(&mut self.pathfinder, Some(input), now, &mut routes),
            (_, Some(Route::Monitor(input))) => run(&mut self.monitor, Some(input), now, &mut routes),
            (_, Some(Route::Planner(input))) => run(&mut self.planner, Some(input), now, &mut routes),
            (_, Some(Route::Executor(input))) => run(&mut self.executor, Some(input), now, &mut routes),
            (_, Some(Route::Rebalancer(input))) => run(&mut self.rebalancer, Some(input), now, &mut routes),
            (_, Some(Route::Ledger(input))) => run(&mut self.keeper, Some(input), now, &mut routes),
            (_, Some(Route::Policy(input))) => run(&mut self.policy, Some(input), now, &mut routes),
            (role, route) => unreachable!("BUG: {role:?} is not told of {route:?}"),
        }
        self.send(role, routes, commands);
    }

    /// A role is gone, and with it its mailbox and whoever stands on it: `src/supervision/tree.rs` draws the tree.
    fn take_down(&mut self, role: Role) {
        const HEALING: [Role; 5] = [Role::Monitor, Role::Pathfinder, Role::Planner, Role::Executor, Role::Rebalancer];
        let healing = |first: usize| HEALING[first..].iter().copied();
        let peers = self.peers.keys().map(|peer| Role::Peer(*peer));
        match role {
            Role::Peer(_) => self.down.extend([role]),
            // The last of the tree: nobody stands on it, and it stands on all but the peers and the healing loop.
            Role::Ledger => self.down.extend([role]),
            Role::Monitor => self.down.extend(healing(0)),
            Role::Pathfinder => self.down.extend(healing(1)),
            Role::Planner => self.down.extend(healing(2)),
            Role::Executor => self.down.extend(healing(3)),
            Role::Rebalancer => self.down.extend(healing(4)),
            Role::Gossip => self.down.extend(peers.chain(healing(0)).chain([Role::Gossip, Role::Ledger])),
            Role::Policy | Role::Shell => {
                let below = [Role::Gossip, Role::Policy, Role::Ledger];
                self.down.extend(peers.chain(healing(0)).chain(below));
            }
        }
        self.doomed.retain(|role| !self.down.contains(role));
    }
}

/// Runs one role once and wires what it asks for.
fn run<M: Machine<Effect: Wire>>(role: &mut M, input: Option<M::Input>, now: Instant, routes: &mut Vec<Route>) {
    let mut effects = Vec::new();
    match input {
        Some(input) => role.handle(input, now, &mut effects),
        None => role.wake(now, &mut effects),
    }
    for effect in effects {
        effect.wire(routes);
    }
}
