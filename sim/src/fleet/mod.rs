//! Hundreds to a thousand whole nodes, to measure what they cost and whom they remove.
//!
//! Every node is the [`Node`] that ships: all roles, the same wiring, signed records through the same gate. What is lean
//! is what is around it: no trace, no frame cryptography, stores that are empty, and one memory of good signatures for
//! all nodes, because checking one has no other effect. Time is virtual and all randomness comes from one seed.
//!
//! A process that a [hog](Network::hog) starves handles nothing while it is held; what arrived or was due meanwhile is
//! handled in one burst. Control messages travel on reliable, ordered streams: a lost one comes later, and so does all
//! behind it. Probes are datagrams. Handshakes take three one-way trips and are not counted as traffic.

mod byzantine;
mod event;
mod guarded;
mod host;
mod links;
mod network;
mod probes;
mod shape;
mod traffic;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use prunella_core::incident::Step;
use prunella_core::ledger::{self, Task};
use prunella_core::membership::Status;
use prunella_core::node::Node;
use prunella_core::record::VerifiedCache;
use prunella_core::rng::Rng;
use prunella_core::wire::Control;
use prunella_core::wiring::{Command, Route};
use prunella_core::{Instant, PeerId, gossip, peer};

pub use byzantine::{Behavior, Noise};
pub use guarded::{Delivery, Doors};
pub use network::{Condition, Latency, Network};
pub use shape::{grid, plane};
pub use traffic::{Count, Kind, Records, Traffic};

use event::{Event, Queue};
use host::Host;
use links::Connection;

/// Somebody came to a verdict about somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// When.
    pub at: Instant,
    /// Which node.
    pub by: usize,
    /// About which.
    pub about: usize,
    /// What it is now.
    pub status: Status,
}

/// A simulated mesh of whole nodes.
#[derive(Debug)]
pub struct Fleet {
    now: Instant,
    queue: Queue,
    network: Network,
    hosts: Vec<Host>,
    index: BTreeMap<PeerId, usize>,
    addresses: BTreeMap<SocketAddr, usize>,
    conns: BTreeMap<u64, Connection>,
    conns_ever: u64,
    known: VerifiedCache,
    verdicts: Vec<Verdict>,
    rejected: BTreeMap<String, u64>,
    /// How many links a host lets come in; `None`: any number.
    doors: Option<Doors>,
    refused: u64,
    deliveries: Vec<Delivery>,
    events: u64,
    rng: Rng,
}

impl Fleet {
    /// Hosts on which nothing runs yet, one for each of the network's.
    pub fn new(nodes: usize, network: Network, seed: u64) -> Self {
        let mut rng = Rng::from_seed(seed);
        let hosts: Vec<Host> = (0..nodes).map(|i| Host::new(i, Rng::from_seed(rng.next_u64()))).collect();
        Self {
            now: Instant::BOOT,
            queue: Queue::default(),
            network,
            index: hosts.iter().enumerate().map(|(i, host)| (host.peer_id(), i)).collect(),
            addresses: hosts.iter().enumerate().map(|(i, host)| (host.address, i)).collect(),
            hosts,
            conns: BTreeMap::new(),
            conns_ever: 0,
            known: VerifiedCache::with_room_for(KNOWN_PER_NODE * nodes),
            verdicts: Vec::new(),
            rejected: BTreeMap::new(),
            doors: None,
            refused: 0,
            deliveries: Vec::new(),
            events: 0,
            rng,
        }
    }

    /// Makes nodes neighbors: each entry says to whom that node is linked, in either direction.
    pub fn link(&mut self, links: &[BTreeSet<usize>]) {
        for (a, others) in links.iter().enumerate() {
            for b in others {
                self.hosts[a].neighbors.insert(*b);
                self.hosts[*b].neighbors.insert(a);
            }
        }
    }

    /// Lets every node choose so many neighbors by the strategy that ships, Hybrid; it has about twice as many then,
    /// less those that chose each other.
    pub fn link_by_choice(&mut self, wanted: usize) {
        let peers: Vec<PeerId> = self.hosts.iter().map(Host::peer_id).collect();
        let rtt = |a, b| self.network.latency(a, b) * 2;
        let links = shape::chosen(&peers, rtt, wanted, &mut self.rng);
        self.link(&links);
    }

    /// Starts all nodes, evenly within this time, and plans the deaths that the network knows of.
    pub fn boot(&mut self, within: Duration) {
        for host in 0..self.hosts.len() {
            let at = Duration::from_nanos(self.rng.below(within.as_nanos() as usize + 1) as u64);
            self.queue.push(self.now + at, Event::Boot { host });
        }
    }

    /// The network, to plan what goes wrong from now on.
    pub fn network_mut(&mut self) -> &mut Network {
        &mut self.network
    }

    /// Kills a node's process at a moment, for good.
    pub fn kill(&mut self, host: usize, at: Instant) {
        self.network.condition_mut(host).dead_from = Some(at);
        self.queue.push(at, Event::Die { host });
    }

    /// Lets time pass.
    pub fn run_for(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some((at, event)) = self.queue.pop(until) {
            self.now = at;
            match event.host().and_then(|host| self.network.held_until(host, at)) {
                Some(held) => self.queue.push(held, event),
                None => self.happen(event),
            }
        }
        self.now = until;
    }

    /// Lets time pass until all living nodes hold the same records, looking every second; `None` if `patience` is over
    /// before.
    pub fn run_until_converged(&mut self, patience: Duration) -> Option<Duration> {
        let began = self.now;
        while self.now.since(began) < patience {
            self.run_for(Duration::from_secs(1));
            if self.is_converged() {
                return Some(self.now.since(began));
            }
        }
        None
    }

    /// Whether all living nodes hold the same records.
    pub fn is_converged(&self) -> bool {
        let mut roots = self.hosts.iter().map(|host| host.node().map(|node| node.gossip().root()));
        let alive = |(host, root): (usize, _)| if self.network.is_dead(host, self.now) { None } else { Some(root) };
        let mut alive = roots.by_ref().enumerate().filter_map(alive);
        let first = alive.next().flatten();
        first.is_some() && alive.all(|root| root == first)
    }

    /// What time it is.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// A node, to look at; `None` unless it runs.
    pub fn node(&self, host: usize) -> Option<&Node> {
        self.hosts[host].node()
    }

    /// How many neighbors a node has.
    pub fn degree(&self, host: usize) -> usize {
        self.hosts[host].neighbors.len()
    }

    /// What a node has sent and received since it was last forgotten.
    pub fn traffic(&self, host: usize) -> &Traffic {
        &self.hosts[host].traffic
    }

    /// Begins to count the traffic anew.
    pub fn forget_traffic(&mut self) {
        self.hosts.iter_mut().for_each(|host| host.traffic = Traffic::default());
    }

    /// Every verdict so far, in the order in which they fell.
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// What was turned away, by reason.
    pub const fn rejected(&self) -> &BTreeMap<String, u64> {
        &self.rejected
    }

    /// How much happened so far.
    pub const fn events(&self) -> u64 {
        self.events
    }

    fn is_running(&self, host: usize) -> bool {
        self.hosts[host].node().is_some() || self.hosts[host].byzantine.is_some()
    }

    fn happen(&mut self, event: Event) {
        self.events += 1;
        match event {
            Event::Boot { host } => self.on_boot(host),
            Event::Die { host } => self.hosts[host].kill(),
            Event::Wake { host } => self.on_wake(host),
            Event::Tick { host } => self.on_tick(host),
            Event::Act { host } => self.on_act(host),
            Event::Dial { from, to, until, attempt } => self.on_dial(from, to, until, attempt),
            Event::DialFailed { from, to } => self.on_dial_failed(from, to),
            Event::Closed { at, link } => self.drop_link(at, link),
            Event::Transmit { conn, to, kind, part } => self.transmit(conn, to, kind, part),
            Event::Arrived { conn, to, number } => self.on_arrived(conn, to, number),
            Event::KeepAlive { conn } => self.on_keep_alive(conn),
            Event::Probe { to, link, nonce, sent } => self.on_probe(to, link, nonce, sent),
            Event::Echo { to, link, nonce, sent } => self.on_echo(to, link, nonce, sent),
            Event::PathEcho { to, path, nonce, sent } => self.on_path_echo(to, path, nonce, sent),
            Event::PathBroken { to, path } => {
                self.tell(to, Route::Pathfinder(prunella_core::pathfinder::Input::PathBroken { path }));
            }
        }
    }

    fn on_boot(&mut self, host: usize) {
        if self.network.is_dead(host, self.now) {
            return;
        }
        let at = |peer: &usize| (self.hosts[*peer].peer_id(), self.hosts[*peer].address);
        let neighbors: Vec<(PeerId, SocketAddr)> = self.hosts[host].neighbors.iter().map(at).collect();
        let mut commands = Vec::new();
        self.hosts[host].boot(&neighbors, self.now, &mut commands);
        self.settle(host, commands);
        self.queue.push(self.now + TICK_EVERY, Event::Tick { host });
    }

    fn on_wake(&mut self, host: usize) {
        // An earlier wake took the place of this one.
        if self.hosts[host].wake_at.is_none_or(|at| at > self.now) {
            return;
        }
        self.hosts[host].wake_at = None;
        let mut commands = Vec::new();
        self.hosts[host].wake(self.now, &mut commands);
        self.settle(host, commands);
    }

    fn on_tick(&mut self, host: usize) {
        if !self.is_running(host) {
            return;
        }
        self.queue.push(self.now + TICK_EVERY, Event::Tick { host });
        let unix_ms = host::unix_ms(self.now);
        self.tell(host, Route::Gossip(gossip::Input::Clock { unix_ms }));
        self.tell(host, Route::Ledger(ledger::Input::Clock { unix_ms }));
        let links = self.hosts[host].links.iter_mut();
        let carrying: Vec<_> =
            links.filter_map(|(id, link)| std::mem::take(&mut link.carried).then_some((*id, link.peer))).collect();
        for (link, peer) in carrying {
            let peer = self.hosts[peer].peer_id();
            self.tell(host, Route::Peer(peer, peer::Input::Carrying { link }));
        }
    }

    fn tell(&mut self, host: usize, route: Route) {
        let mut commands = Vec::new();
        self.hosts[host].tell(route, self.now, &mut commands);
        self.settle(host, commands);
    }

    /// After a node was told something: its commands are carried out, and its next wake is planned.
    fn settle(&mut self, host: usize, commands: Vec<Command>) {
        for command in commands {
            self.perform(host, command);
        }
        let Some(deadline) = self.hosts[host].deadline() else { return };
        let at = deadline.max(self.now);
        if self.hosts[host].wake_at.is_none_or(|planned| at < planned) {
            self.hosts[host].wake_at = Some(at);
            self.queue.push(at, Event::Wake { host });
        }
    }

    fn perform(&mut self, host: usize, command: Command) {
        match command {
            Command::Dial { address, .. } => {
                if let Some(to) = self.addresses.get(&address) {
                    self.dial(host, *to);
                }
            }
            Command::CloseLink { link } => self.close(host, link),
            Command::ProbeLink { link, nonce } => self.probe_link(host, link, nonce),
            Command::ProbePath { way, nonce } => self.probe_path(host, &way, nonce),
            Command::SetUsable { link, usable } => {
                if let Some(link) = self.hosts[host].links.get_mut(&link) {
                    link.usable = usable;
                }
            }
            Command::SendControl { to, control } => self.send_control(host, self.index[&to], &control),
            Command::InstallRoute { destination, way, .. } => {
                self.hosts[host].routes.insert(destination, way);
            }
            Command::WithdrawRoute { destination } => {
                self.hosts[host].routes.remove(&destination);
            }
            Command::ServiceChanged { provider, name, exposed: true } if self.index.get(&provider) != Some(&host) => {
                self.deliveries.push(Delivery { at: self.now, to: host, name });
            }
            Command::FindNeighbors => self.find_neighbors(host),
            Command::Repair { step: Step::Quarantine { peer }, .. } => self.quarantine(host, peer),
            Command::MemberChanged(change) => {
                if let Some(about) = self.index.get(&change.peer).copied() {
                    self.verdicts.push(Verdict { at: self.now, by: host, about, status: change.to });
                }
            }
            Command::Ledger(Task::WriteDown(event)) => {
                self.tell(host, Route::Ledger(ledger::Input::Append { event, ticket: 0 }));
            }
            // Disks that neither fail nor forget, and take no time.
            Command::Ledger(Task::Write { entries, .. }) => {
                let size = entries.last().map_or(0, |last| last.index + 1);
                self.hosts[host].ledger.extend(entries);
                self.tell(host, Route::Ledger(ledger::Input::Stored { size }));
            }
            Command::Ledger(Task::Give { to, ledger, first, count }) => {
                let from_it = self.hosts[host].ledger.iter().skip(first as usize).take(count as usize);
                let entries = from_it.map(ledger::Entry::encode).collect();
                let control = Control::Ledger(ledger::Message::Entries { ledger, first, entries });
                self.send_control(host, self.index[&to], &control);
            }
            Command::Ledger(Task::Copy { entries }) => {
                if let Some(last) = entries.last() {
                    let copied = ledger::Copied { ledger: last.ledger, until: last.index + 1, last: last.hash() };
                    self.tell(host, Route::Ledger(ledger::Input::Copied(copied)));
                }
            }
            // Other stores are not simulated, and nothing else here depends on the rest.
            _ => {}
        }
    }
}

/// How often a shell tells its roles the wall clock and which links carry.
const TICK_EVERY: Duration = Duration::from_secs(1);
/// Good signatures remembered for each node.
const KNOWN_PER_NODE: usize = 64;
