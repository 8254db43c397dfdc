//! The world: hosts, the network between them, one clock and one queue.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use prunella_core::node::Node;
use prunella_core::record::VerifiedCache;
use prunella_core::rng::Rng;
use prunella_core::{Instant, PeerId};

use crate::config::Config;
use crate::connections::Connection;
use crate::event::{Event, Queue};
use crate::fault::FaultReport;
use crate::host::Host;
use crate::lie::Liar;
use crate::mix::Mix;
use crate::network::Network;
use crate::news::{News, Story};
use crate::progress::{Phase, Progress};
use crate::records::Registry;
use crate::report::{Failure, Report};
use crate::trace::Trace;
use crate::traffic::Pair;
use crate::weather::Weather;

/// A simulated mesh.
#[derive(Debug)]
pub struct World {
    pub(crate) seed: u64,
    pub(crate) config: Config,
    pub(crate) now: Instant,
    pub(crate) queue: Queue,
    pub(crate) rng: Rng,
    pub(crate) network: Network,
    /// Datagrams that were ever sent; their numbers.
    pub(crate) datagrams: u64,
    /// Datagrams that clogs hold back, by number.
    pub(crate) held: BTreeMap<u64, Event>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) index: BTreeMap<PeerId, usize>,
    pub(crate) addresses: BTreeMap<SocketAddr, usize>,
    pub(crate) conns: BTreeMap<u64, Connection>,
    pub(crate) conns_ever: u64,
    /// Who keeps sending to whom.
    pub(crate) wanted: BTreeSet<(usize, usize)>,
    pub(crate) pairs: Vec<Pair>,
    pub(crate) registry: Registry,
    /// Signatures found good by anybody. A check of one depends on nothing else, so that one memory for all hosts comes
    /// to what one for each would.
    pub(crate) known: VerifiedCache,
    pub(crate) liars: Vec<Liar>,
    pub(crate) lies_told: u64,
    pub(crate) faults: Vec<FaultReport>,
    pub(crate) stormy_until: Instant,
    pub(crate) longest_gap: Duration,
    pub(crate) trace: Trace,
    /// What happened, for somebody who reads it; only while it is wanted.
    pub(crate) story: Option<Story>,
    failures: Vec<Failure>,
    /// Whether whoever looks on has seen enough.
    pub(crate) broken_off: bool,
    /// Wakes at one and the same moment, to notice a node that never rests.
    pub(crate) spins: (Instant, u32),
}

impl World {
    /// A world in which nothing has happened yet.
    ///
    /// # Panics
    /// If the configuration asks for fewer than three nodes or more than 65,535.
    pub fn new(seed: u64, config: Config) -> Self {
        assert!((3..=65_535).contains(&config.nodes), "a mesh needs three nodes, and an address has room for 65,535");
        let mut rng = Rng::from_seed(seed);
        let mut draw = || Rng::from_seed(rng.next_u64());
        // The mesh forms in calm weather; the storm comes later.
        let calm = Weather { reach: config.weather.reach, spread: config.weather.spread, ..Weather::CALM };
        let network = Network::new(draw(), config.topology, config.nodes, calm);
        let mut hosts: Vec<Host> = (0..config.nodes).map(|i| Host::new(i, draw())).collect();
        let (wanted, pairs) = draw_traffic(&mut draw(), &config);
        let liars = draw_liars(&mut draw(), &config, &network);
        let mut rules = draw();
        for host in &mut hosts {
            host.write_rules(&mut rules, &config);
        }
        let mut world = Self {
            seed,
            now: Instant::BOOT,
            queue: Queue::default(),
            index: hosts.iter().enumerate().map(|(i, host)| (host.peer_id(), i)).collect(),
            addresses: hosts.iter().enumerate().map(|(i, host)| (host.address, i)).collect(),
            registry: Registry::new(hosts.len()),
            known: VerifiedCache::default(),
            rng,
            network,
            datagrams: 0,
            held: BTreeMap::new(),
            hosts,
            config,
            conns: BTreeMap::new(),
            conns_ever: 0,
            wanted,
            pairs,
            liars,
            lies_told: 0,
            faults: Vec::new(),
            stormy_until: Instant::BOOT,
            longest_gap: Duration::ZERO,
            trace: Trace::default(),
            story: None,
            failures: Vec::new(),
            broken_off: false,
            spins: (Instant::BOOT, 0),
        };
        for host in 0..world.hosts.len() {
            let at = Instant::from_millis(world.rng.below(BOOT_SPREAD_MS) as u64);
            world.queue.push(at, Event::Boot { host });
        }
        world
    }

    /// Runs the whole program: the mesh forms, suffers, and must heal. It ends early when something does not hold, and
    /// when `goes_on` says no, as in [`World::run_watched`].
    pub fn run(self, goes_on: &mut dyn FnMut() -> bool) -> Report {
        self.run_watched(&mut |_| goes_on())
    }

    /// As [`World::run`], under the eyes of somebody who hears of its progress at least every simulated second. As soon
    /// as `goes_on` says no, the run is broken off where it is, which is no failure.
    pub fn run_watched(mut self, goes_on: &mut dyn FnMut(Progress) -> bool) -> Report {
        if self.heal_watched(Phase::Forming, goes_on).is_some() {
            self.storm(goes_on);
        } else if !self.broken_off {
            self.fail_unhealed("the mesh did not form");
        }
        self.calm();
        let bears = self.failures.is_empty() && !self.broken_off;
        let healed_after = if bears { self.heal_watched(Phase::Healing, goes_on) } else { None };
        if healed_after.is_none() && self.failures.is_empty() && !self.broken_off {
            self.fail_unhealed("the mesh did not heal");
        }
        if self.config.mourning && self.failures.is_empty() && !self.broken_off {
            self.mourn(goes_on);
        }
        self.into_report(healed_after)
    }

    fn storm(&mut self, goes_on: &mut dyn FnMut(Progress) -> bool) {
        self.network.set_weather(self.config.weather);
        self.queue.push(self.now, Event::Requests);
        let began = self.now;
        self.stormy_until = self.now + self.config.stormy;
        if self.config.mix != Mix::NOTHING {
            self.queue.push(self.now, Event::FaultDue);
        }
        if self.config.churn {
            self.queue.push(self.now, Event::Churn);
        }
        for liar in 0..self.liars.len() {
            let host = self.liars[liar].host;
            self.queue.push(self.now, Event::Lie { host });
        }
        while self.now < self.stormy_until && self.failures.is_empty() && self.goes_on(Phase::Storm, began, goes_on) {
            self.run_until(self.stormy_until.min(self.now + Duration::from_secs(1)));
        }
        self.stormy_until = self.now;
    }

    /// Asks whoever looks on; a no breaks the run off.
    pub(crate) fn goes_on(&mut self, phase: Phase, began: Instant, goes_on: &mut dyn FnMut(Progress) -> bool) -> bool {
        self.broken_off |= !goes_on(Progress { phase, passed: self.now.since(began) });
        !self.broken_off
    }

    /// The storm is over: faults end, the network loses nothing any more, and nobody lies.
    pub fn calm(&mut self) {
        self.network.calm();
        self.hurry();
        self.heal_all();
    }

    /// Lets time pass.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    /// Lets time pass until everything is as it should be, and tells how long it took; `None` if patience ended first.
    pub fn run_until_healed(&mut self) -> Option<Duration> {
        self.heal_watched(Phase::Healing, &mut |_| true)
    }

    /// As [`World::run_until_healed`]; `None` as well when it is broken off.
    pub(crate) fn heal_watched(&mut self, phase: Phase, goes_on: &mut dyn FnMut(Progress) -> bool) -> Option<Duration> {
        let began = self.now;
        while self.now.since(began) < self.config.patience && self.goes_on(phase, began, goes_on) {
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

    /// Makes a node keep sending to another, and the other answer.
    pub fn want(&mut self, from: usize, to: usize) {
        self.wanted.extend([(from, to), (to, from)]);
    }

    /// What did not hold so far.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    pub(crate) fn fail(&mut self, what: String) {
        self.spread_news(News::Failure { what: what.clone() });
        if self.failures.len() < FAILURES_MAX {
            self.failures.push(Failure { at: self.now, what });
        }
    }

    pub(crate) fn run_until(&mut self, until: Instant) {
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
        event.trace(self.now, &mut self.trace);
        match event {
            Event::Boot { host } => self.boot(host),
            Event::Wake { host, life } => self.on_wake(host, life),
            Event::Tick { host, life } => self.on_tick(host, life),
            Event::Sample { host, life, due } => self.on_sample(host, life, due),
            Event::Frame { conn, to, bytes, copy } => self.on_frame(conn, to, bytes, copy),
            Event::Control { conn, to } => self.on_control(conn, to),
            Event::Dial { from, life, to, until } => self.on_dial(from, life, to, until),
            Event::DialFailed { from, life, to } => self.on_dial_failed(from, life, to),
            Event::Closed { conn, at } => self.on_closed(conn, at),
            Event::Flush { host, life, since } => self.on_flush(host, life, since),
            Event::LedgerFlush { host, life } => self.on_ledger_flush(host, life),
            Event::Restart { host, life } => self.on_restart(host, life),
            Event::Requests => self.on_requests(),
            Event::Churn => self.on_churn(),
            Event::Lie { host } => self.on_lie(host),
            Event::FaultDue => self.on_fault_due(),
            Event::Heal { fault } => self.heal(fault),
        }
    }

    pub(crate) fn fail_unhealed(&mut self, what: &str) {
        for wrong in self.unhealed() {
            self.fail(format!("{what}: {wrong}"));
        }
    }

    fn into_report(self, healed_after: Option<Duration>) -> Report {
        let mut rejected = BTreeMap::new();
        for (reason, count) in self.hosts.iter().flat_map(|host| &host.rejected) {
            *rejected.entry(*reason).or_default() += count;
        }
        Report {
            seed: self.seed,
            virtual_time: self.now.since(Instant::BOOT),
            events: self.trace.noted(),
            trace_hash: self.trace.hash(),
            lies: self.lies_told,
            rejected,
            faults: self.faults,
            failures: self.failures,
            broken_off: self.broken_off,
            longest_gap: self.longest_gap,
            healed_after,
            config: self.config,
            replay: None,
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

/// Draws who lies. The honest ones stay in reach of each other: nobody can make a liar pass on what it hears.
fn draw_liars(rng: &mut Rng, config: &Config, network: &Network) -> Vec<Liar> {
    let mut hosts: Vec<usize> = (0..config.nodes).collect();
    let mut liars = BTreeSet::new();
    while liars.len() < config.liars.min(config.nodes - 2) && !hosts.is_empty() {
        let host = hosts.swap_remove(rng.below(hosts.len()));
        liars.insert(host);
        if !network.is_whole_without(&liars) {
            liars.remove(&host);
        }
    }
    liars.into_iter().map(|host| Liar::new(host, Rng::from_seed(rng.next_u64()))).collect()
}

/// Nodes start within this time, in milliseconds.
const BOOT_SPREAD_MS: usize = 500;
/// How often it is looked whether all is well again.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Most pairs whose answers are timed.
const PAIRS_MAX: usize = 4;
/// Most failures kept of one run.
const FAILURES_MAX: usize = 12;
