//! The world: hosts, the network between them, one clock and one queue.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use prunella_core::node::Node;
use prunella_core::pathfinder::{self, Way};
use prunella_core::rng::Rng;
use prunella_core::wiring::{Command, Route};
use prunella_core::{Instant, PeerId, gossip, peer};

use crate::config::Config;
use crate::connections::Connection;
use crate::event::{Event, Queue};
use crate::fault::FaultReport;
use crate::host::Host;
use crate::network::Network;
use crate::report::{Failure, Report};
use crate::trace::Trace;
use crate::traffic::Pair;

/// A simulated mesh.
#[derive(Debug)]
pub struct World {
    pub(crate) seed: u64,
    pub(crate) config: Config,
    pub(crate) now: Instant,
    pub(crate) queue: Queue,
    pub(crate) rng: Rng,
    pub(crate) network: Network,
    pub(crate) hosts: Vec<Host>,
    pub(crate) index: BTreeMap<PeerId, usize>,
    addresses: BTreeMap<SocketAddr, usize>,
    pub(crate) conns: BTreeMap<u64, Connection>,
    pub(crate) conns_ever: u64,
    /// Who keeps sending to whom.
    pub(crate) wanted: BTreeSet<(usize, usize)>,
    pub(crate) pairs: Vec<Pair>,
    pub(crate) faults: Vec<FaultReport>,
    pub(crate) stormy_until: Instant,
    pub(crate) longest_gap: Duration,
    pub(crate) trace: Trace,
    failures: Vec<Failure>,
    /// Wakes at one and the same moment, to notice a node that never rests.
    spins: (Instant, u32),
}

impl World {
    /// A world in which nothing has happened yet.
    ///
    /// # Panics
    /// If the configuration asks for fewer than three nodes or more than 65,535.
    pub fn new(seed: u64, config: Config) -> Self {
        assert!((3..=65_535).contains(&config.nodes), "a ring needs three nodes, and an address has room for 65,535");
        let mut rng = Rng::from_seed(seed);
        let mut draw = || Rng::from_seed(rng.next_u64());
        let network = Network::new(draw(), config.nodes, config.chords, config.loss_permille);
        let hosts: Vec<Host> = (0..config.nodes).map(|i| Host::new(i, draw())).collect();
        let (wanted, pairs) = draw_traffic(&mut draw(), &config);
        let mut world = Self {
            seed,
            now: Instant::BOOT,
            queue: Queue::default(),
            index: hosts.iter().enumerate().map(|(i, host)| (host.peer_id(), i)).collect(),
            addresses: hosts.iter().enumerate().map(|(i, host)| (host.address, i)).collect(),
            rng,
            network,
            hosts,
            config,
            conns: BTreeMap::new(),
            conns_ever: 0,
            wanted,
            pairs,
            faults: Vec::new(),
            stormy_until: Instant::BOOT,
            longest_gap: Duration::ZERO,
            trace: Trace::default(),
            failures: Vec::new(),
            spins: (Instant::BOOT, 0),
        };
        for host in 0..world.hosts.len() {
            let at = Instant::from_millis(world.rng.below(BOOT_SPREAD_MS) as u64);
            world.queue.push(at, Event::Boot { host });
        }
        world
    }

    /// Runs the whole programme: the mesh forms, suffers, and must heal.
    pub fn run(mut self) -> Report {
        if self.run_until_healed().is_none() {
            self.fail_unhealed("the mesh did not form");
        } else {
            self.queue.push(self.now, Event::Requests);
            self.stormy_until = self.now + self.config.stormy;
            if self.config.random_faults {
                self.queue.push(self.now, Event::FaultDue);
            }
            self.run_until(self.stormy_until);
        }
        self.heal_all();
        let healed_after = self.run_until_healed();
        if healed_after.is_none() {
            self.fail_unhealed("the mesh did not heal");
        }
        self.into_report(healed_after)
    }

    /// Lets time pass.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    /// Lets time pass until everything is as it should be, and tells how long it took; `None` if patience ended first.
    pub fn run_until_healed(&mut self) -> Option<Duration> {
        let began = self.now;
        while self.now.since(began) < self.config.patience {
            self.run_for(LOOK_EVERY);
            if self.unhealed().is_empty() {
                return Some(self.now.since(began));
            }
        }
        None
    }

    /// What time it is.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// A node, to look at; `None` while its process does not run.
    pub fn node(&self, node: usize) -> Option<&Node> {
        self.hosts[node].process.as_ref()
    }

    /// The nodes to which a node is wired.
    pub fn neighbors(&self, node: usize) -> BTreeSet<usize> {
        self.network.neighbors(node)
    }

    /// Who keeps sending to whom.
    pub fn wanted(&self) -> &BTreeSet<(usize, usize)> {
        &self.wanted
    }

    /// What did not hold so far.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// Gives something to a node's roles, as its shell would; nothing happens while it does not run.
    pub fn tell(&mut self, host: usize, route: Route) {
        let now = self.now;
        self.trace.note(format_args!("{now} {host} hears {route:?}"));
        let mut commands = Vec::new();
        if let Some(node) = &mut self.hosts[host].process {
            node.handle(route, now, &mut commands);
            self.settle(host, commands);
        }
    }

    pub(crate) fn fail(&mut self, what: String) {
        self.trace.note(format_args!("{} failure: {what}", self.now));
        if self.failures.len() < FAILURES_MAX {
            self.failures.push(Failure { at: self.now, what });
        }
    }

    /// Starts a host's process.
    pub(crate) fn boot(&mut self, host: usize) {
        let neighbors = self.network.neighbors(host);
        let (now, mut commands) = (self.now, Vec::new());
        self.hosts[host].boot(neighbors.len(), now, &mut commands);
        self.settle(host, commands);
        for neighbor in neighbors {
            let (peer, address) = (self.hosts[neighbor].peer_id(), self.hosts[neighbor].address);
            let mut commands = Vec::new();
            if let Some(node) = &mut self.hosts[host].process {
                node.add_peer(peer, vec![address], now, &mut commands);
            }
            self.settle(host, commands);
        }
        let life = self.hosts[host].life;
        self.queue.push(now, Event::Tick { host, life });
    }

    /// Lets a process go on, with all that arrived meanwhile.
    pub(crate) fn resume(&mut self, host: usize) {
        let state = &mut self.hosts[host];
        state.paused = state.paused.saturating_sub(1);
        if state.paused == 0 {
            state.resumed = self.now;
            for event in std::mem::take(&mut state.deferred) {
                self.queue.push(self.now, event);
            }
        }
    }

    fn run_until(&mut self, until: Instant) {
        while let Some((at, event)) = self.queue.pop(until) {
            self.now = at;
            match event.host() {
                Some(host) if self.hosts[host].paused > 0 => self.hosts[host].deferred.push(event),
                _ => self.happen(event),
            }
        }
        self.now = until;
    }

    fn happen(&mut self, event: Event) {
        self.trace.note(format_args!("{} {event:?}", self.now));
        match event {
            Event::Boot { host } => self.boot(host),
            Event::Wake { host, life } => self.on_wake(host, life),
            Event::Tick { host, life } => self.on_tick(host, life),
            Event::Frame { conn, to, bytes } => self.on_frame(conn, to, bytes),
            Event::Control { conn, to } => self.on_control(conn, to),
            Event::Dial { from, life, to, until } => self.on_dial(from, life, to, until),
            Event::DialFailed { from, life, to } => self.on_dial_failed(from, life, to),
            Event::Closed { conn, at } => self.on_closed(conn, at),
            Event::Requests => self.on_requests(),
            Event::FaultDue => self.on_fault_due(),
            Event::Heal { fault } => self.heal(fault),
        }
    }

    fn on_wake(&mut self, host: usize, life: u64) {
        let state = &mut self.hosts[host];
        // An earlier wake took the place of this one, or it was deferred while the process was held still.
        if state.life != life || state.wake_at.is_none_or(|at| at > self.now) {
            return;
        }
        state.wake_at = None;
        let (now, mut commands) = (self.now, Vec::new());
        if let Some(node) = &mut state.process {
            node.wake(now, &mut commands);
            self.settle(host, commands);
        }
    }

    fn on_tick(&mut self, host: usize, life: u64) {
        if self.hosts[host].life != life || self.hosts[host].process.is_none() {
            return;
        }
        self.queue.push(self.now + TICK_EVERY, Event::Tick { host, life });
        let unix_ms = self.hosts[host].unix_ms(self.now);
        self.tell(host, Route::Gossip(gossip::Input::Clock { unix_ms }));
        let carrying = self.hosts[host]
            .links
            .iter_mut()
            .filter_map(|(id, l)| std::mem::take(&mut l.carried).then_some((*id, l.peer)));
        for (link, peer) in carrying.collect::<Vec<_>>() {
            let peer = self.hosts[peer].peer_id();
            self.tell(host, Route::Peer(peer, peer::Input::Carrying { link }));
        }
        let wanted: Vec<usize> = self.wanted.range((host, 0)..(host + 1, 0)).map(|(_, to)| *to).collect();
        for to in wanted {
            let destination = self.hosts[to].peer_id();
            self.tell(host, Route::Pathfinder(pathfinder::Input::Wanted { destination }));
        }
    }

    /// After a node was told something: its commands are carried out, its next wake is planned, and it is checked.
    fn settle(&mut self, host: usize, commands: Vec<Command>) {
        for command in commands {
            self.trace.note(format_args!("{} {host} commands {command:?}", self.now));
            self.perform(host, command);
        }
        self.plan_wake(host);
        self.check_links(host);
    }

    fn plan_wake(&mut self, host: usize) {
        let state = &mut self.hosts[host];
        let Some(deadline) = state.process.as_ref().and_then(Node::deadline) else { return };
        let mut at = deadline.max(self.now);
        if at == self.now {
            self.spins = if self.spins.0 == at { (at, self.spins.1 + 1) } else { (at, 1) };
            if self.spins.1 > SPINS_MAX {
                at = at + Duration::from_millis(1);
            }
        }
        if state.wake_at.is_none_or(|planned| at < planned) {
            state.wake_at = Some(at);
            self.queue.push(at, Event::Wake { host, life: state.life });
        }
        if self.spins.1 == SPINS_MAX + 1 {
            self.spins.1 += 1;
            self.fail(format!("node {host} wants to be woken again and again at the same moment"));
        }
    }

    fn perform(&mut self, host: usize, command: Command) {
        match command {
            Command::Dial { peer: _, address } => match self.addresses.get(&address) {
                Some(to) => self.dial(host, *to),
                None => self.fail(format!("node {host} dials {address}, where nobody is")),
            },
            Command::CloseLink { link } => self.close(host, link),
            Command::ProbeLink { link, nonce } => {
                self.send_probe(host, &Way { path: 0, first: link, labels: Vec::new() }, nonce);
            }
            Command::ProbePath { way, nonce } => self.send_probe(host, &way, nonce),
            Command::SetUsable { link, usable } => {
                if let Some(link) = self.hosts[host].links.get_mut(&link) {
                    link.usable = usable;
                }
                self.check_routes();
            }
            Command::SendControl { to, control } => self.send_control(host, self.index[&to], &control),
            Command::PersistRecord { id, signed } => {
                self.hosts[host].records.insert(id, signed);
            }
            Command::ForgetRecord { id } => {
                self.hosts[host].records.remove(&id);
            }
            Command::InstallRoute { destination, way } => {
                self.hosts[host].routes.insert(destination, way);
                self.check_routes();
            }
            Command::WithdrawRoute { destination } => {
                self.hosts[host].routes.remove(&destination);
            }
            Command::OpenIncident(incident) => {
                self.hosts[host].incidents.insert(incident.id, incident);
            }
            Command::CloseIncident { incident } => {
                self.hosts[host].incidents.remove(&incident);
            }
            // They are in the trace; nothing in the simulated world depends on them.
            Command::NodeChanged { .. }
            | Command::ServiceChanged { .. }
            | Command::MemberChanged(_)
            | Command::PartitionChanged { .. }
            | Command::SharedChanged { .. }
            | Command::AnswerShared { .. }
            | Command::EnforcePolicy(_)
            | Command::TellRefusedPolicy { .. }
            | Command::TellStep { .. }
            | Command::RecordOutcome { .. }
            | Command::FindNeighbors => {}
        }
    }

    fn fail_unhealed(&mut self, what: &str) {
        for wrong in self.unhealed() {
            self.fail(format!("{what}: {wrong}"));
        }
    }

    fn into_report(self, healed_after: Option<Duration>) -> Report {
        Report {
            seed: self.seed,
            nodes: self.hosts.len(),
            stormy: self.config.stormy,
            virtual_seconds: self.now.as_millis() / 1000,
            events: self.trace.noted(),
            trace_hash: self.trace.hash(),
            faults: self.faults,
            failures: self.failures,
            longest_gap: self.longest_gap,
            healed_after,
        }
    }
}

/// Who keeps sending to whom, and the pairs among them whose answers are timed.
fn draw_traffic(rng: &mut Rng, config: &Config) -> (BTreeSet<(usize, usize)>, Vec<Pair>) {
    let mut wanted = BTreeSet::new();
    let mut pairs = Vec::new();
    for from in 0..config.nodes {
        for _ in 0..config.wanted {
            let to = (from + 1 + rng.below(config.nodes - 1)) % config.nodes;
            if wanted.insert((from, to)) && pairs.len() < PAIRS_MAX {
                pairs.push(Pair::new(from, to));
            }
        }
    }
    // Whoever is asked must find the way back.
    wanted.extend(pairs.iter().map(Pair::ends).map(|(client, server)| (server, client)));
    (wanted, pairs)
}

/// Nodes start within this time, in milliseconds.
const BOOT_SPREAD_MS: usize = 500;
/// How often a shell tells its roles the wall clock and the wanted destinations.
const TICK_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether all is well again.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Most pairs whose answers are timed.
const PAIRS_MAX: usize = 4;
/// Most failures kept of one run.
const FAILURES_MAX: usize = 12;
/// Wakes at one moment after which a node is said not to rest.
const SPINS_MAX: u32 = 10_000;
