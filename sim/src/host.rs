//! One simulated host: the process that runs on it or not, its disk, and the tables of its shell and datapath.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};

use prunella_core::frame::{FrameKey, ReplayWindow};
use prunella_core::gossip::Gate;
use prunella_core::identity::Identity;
use prunella_core::incident::{Incident, Outcome};
use prunella_core::limits::BLAME_PER_SECOND;
use prunella_core::monitor::RTT_LIMIT;
use prunella_core::node::{Adopted, Neighbor, Node, NodeConfig};
use prunella_core::pathfinder::{self, Way};
use prunella_core::policy::Document;
use prunella_core::record::{NodeBody, RecordId};
use prunella_core::rng::Rng;
use prunella_core::{Instant, Label, LinkId, PeerId, Rejected, TokenBucket, gossip, monitor};

use crate::config::{HEDGE_AFTER, LINK_PROBING, PATH_PROBING, PATHS, rebalancing};
use crate::disk::{Damage, Disk};
use crate::event::Event;
use crate::ledger::Ledger;
use crate::sampling::Carriage;

/// A host.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) identity: Identity,
    pub(crate) address: SocketAddr,
    /// How many processes have run here; events for an earlier one are dropped.
    pub(crate) life: u64,
    pub(crate) process: Option<Node>,
    /// How many faults hold the process still.
    pub(crate) paused: u32,
    /// What waits until the process goes on.
    pub(crate) deferred: Vec<Event>,
    /// When the process was last killed.
    pub(crate) killed: Instant,
    /// When the process was last started or went on: what it reports shortly after may be old.
    pub(crate) resumed: Instant,
    pub(crate) wake_at: Option<Instant>,
    /// When the roles that crashed start again.
    pub(crate) restart_at: Option<Instant>,
    pub(crate) disk: Disk,
    pub(crate) ledger: Ledger,
    /// What the store has said to be safe, or will say so at that time: version by id.
    pub(crate) acknowledged: BTreeMap<RecordId, (u64, Instant)>,
    pub(crate) links: BTreeMap<LinkId, Link>,
    pub(crate) routes: BTreeMap<PeerId, Way>,
    /// Where copies go as well.
    pub(crate) hedges: BTreeMap<PeerId, Way>,
    pub(crate) journal: Journal,
    /// The policy in force; `None`: none yet, and everything is denied.
    pub(crate) policy: Option<Document>,
    /// What its operator wrote, and what was written before: the shell may not have heard of the change yet.
    pub(crate) written: Vec<Document>,
    /// The services that its operator exposes.
    pub(crate) exposed: BTreeSet<String>,
    /// Neighbors to whom a dial is under way.
    pub(crate) dialing: BTreeSet<usize>,
    /// Rejections of which gossip may still be told.
    pub(crate) blame: TokenBucket,
    /// What was turned away, by reason.
    pub(crate) rejected: BTreeMap<Rejected, u64>,
    labels: BTreeMap<usize, Label>,
    links_ever: u64,
    skew_ms: u64,
    /// By how much the wall clock is wrong, in milliseconds.
    off_ms: i64,
    /// When the wall clock was last set.
    pub(crate) clock_set: Instant,
    rng: Rng,
}

/// Incidents and what became of repairs, as the real journal keeps them for the next monitor and planner.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) open: BTreeMap<u64, Incident>,
    /// Of open incidents, the one that each follows from.
    roots: BTreeMap<u64, u64>,
    next: u64,
    outcomes: VecDeque<Outcome>,
}

/// One end of a connection, as the datapath of a host knows it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) conn: u64,
    pub(crate) peer: usize,
    /// The neighbor's process when the link was established.
    pub(crate) peer_life: u64,
    pub(crate) label: Label,
    pub(crate) usable: bool,
    /// Whether the node with the smaller id dialed it: of two connections both ends keep that one.
    pub(crate) preferred: bool,
    /// When an echo last came back over it.
    pub(crate) answered: Instant,
    /// When the first probe since then was sent.
    pub(crate) asked: Option<Instant>,
    /// Whether frames that are no probes of the link itself passed since the last tick.
    pub(crate) carried: bool,
    pub(crate) send_key: FrameKey,
    pub(crate) receive_key: FrameKey,
    pub(crate) window: ReplayWindow,
    pub(crate) sequence: u64,
    pub(crate) carriage: Carriage,
    /// What the neighbor's messages have to pass.
    pub(crate) gate: Gate,
    /// Messages in a row that were rejected.
    pub(crate) rejected_in_row: u32,
}

impl Host {
    /// A host on which nothing runs yet.
    pub(crate) fn new(index: usize, mut rng: Rng) -> Self {
        let mut secret = [0; 32];
        for part in secret.chunks_exact_mut(8) {
            part.copy_from_slice(&rng.next_u64().to_le_bytes());
        }
        let [_, _, high, low] = (index as u32).to_be_bytes();
        Self {
            identity: Identity::from_secret(&secret),
            address: SocketAddr::from((Ipv4Addr::new(10, 0, high, low), 4600)),
            life: 0,
            process: None,
            paused: 0,
            deferred: Vec::new(),
            killed: Instant::BOOT,
            resumed: Instant::BOOT,
            wake_at: None,
            restart_at: None,
            disk: Disk::default(),
            ledger: Ledger::default(),
            acknowledged: BTreeMap::new(),
            links: BTreeMap::new(),
            routes: BTreeMap::new(),
            hedges: BTreeMap::new(),
            journal: Journal::default(),
            policy: None,
            written: Vec::new(),
            exposed: BTreeSet::new(),
            dialing: BTreeSet::new(),
            blame: TokenBucket::full(BLAME_PER_SECOND, Instant::BOOT),
            rejected: BTreeMap::new(),
            labels: BTreeMap::new(),
            links_ever: 0,
            skew_ms: rng.below(SKEW_MS_MAX) as u64,
            off_ms: 0,
            clock_set: Instant::BOOT,
            rng,
        }
    }

    pub(crate) fn peer_id(&self) -> PeerId {
        self.identity.peer()
    }

    /// What a new process is to do.
    pub(crate) fn node_config(&mut self, neighbors: usize) -> NodeConfig {
        NodeConfig {
            node: NodeBody {
                name: format!("node-{}", self.address.ip()),
                addresses: vec![self.address],
                ..NodeBody::default()
            },
            link_probing: LINK_PROBING,
            pathfinder: pathfinder::Config {
                paths: PATHS,
                warm: 2,
                probing: PATH_PROBING,
                hedge_after: HEDGE_AFTER,
                lanes: 1,
            },
            monitor: monitor::Config { me: self.identity.peer(), neighbors_target: neighbors, rtt_limit: RTT_LIMIT },
            rebalancer: rebalancing(self.identity.peer(), neighbors),
            seed: self.rng.next_u64(),
        }
    }

    /// What roles that start now find in the shell's tables and in the store.
    pub(crate) fn adopted(&self, peers: BTreeMap<PeerId, Neighbor>, now: Instant) -> Adopted {
        let unix_ms = self.unix_ms(now);
        let lost = self.journal.open.values().filter_map(|incident| incident.kind.lost_destination());
        Adopted {
            unix_ms,
            stored: gossip::load(&self.peer_id(), self.disk.read(), unix_ms),
            services: self.exposed.iter().cloned().collect(),
            policies: self.written.clone(),
            peers,
            destinations: self.routes.keys().copied().chain(lost).collect(),
            incidents: self.journal.open.values().cloned().collect(),
            next_incident: self.journal.next,
            outcomes: self.journal.outcomes.iter().cloned().collect(),
            ledger: self.ledger.adopted(),
        }
    }

    /// Ends the process: all that it held in memory is gone, at once and without a word.
    pub(crate) fn kill(&mut self) {
        self.process = None;
        self.wake_at = None;
        self.restart_at = None;
        self.links.clear();
        self.routes.clear();
        self.hedges.clear();
        self.journal.kill();
        self.policy = None;
        self.dialing.clear();
        self.labels.clear();
        self.deferred.clear();
    }

    /// Whether a process runs and is not held still.
    pub(crate) fn is_running(&self) -> bool {
        self.process.is_some() && self.paused == 0
    }

    /// What this host's wall clock says. Clocks of hosts differ, and may be wrong.
    pub(crate) fn unix_ms(&self, now: Instant) -> u64 {
        (EPOCH_MS + self.skew_ms + now.as_millis()).saturating_add_signed(self.off_ms)
    }

    /// Whether the wall clock is as right as clocks are.
    pub(crate) fn is_on_time(&self) -> bool {
        self.off_ms == 0
    }

    pub(crate) fn set_clock(&mut self, by_ms: i64, now: Instant) {
        self.off_ms += by_ms;
        self.clock_set = now;
    }

    pub(crate) fn reject(&mut self, reason: Rejected) {
        *self.rejected.entry(reason).or_default() += 1;
    }

    /// How long the store takes to flush one write.
    pub(crate) fn flush_takes(&mut self) -> std::time::Duration {
        std::time::Duration::from_micros(500 + self.rng.below(FLUSH_SPREAD_US) as u64)
    }

    /// What the disk is like when the process has been killed. Only an undamaged one must still hold what it has said to
    /// be safe.
    pub(crate) fn damage(&mut self, damage: Damage, now: Instant) {
        self.disk.kill(damage, &mut self.rng);
        self.ledger.kill(damage, self.identity.peer(), &mut self.rng, now);
        self.killed = now;
        self.acknowledged.retain(|_, (_, done)| damage == Damage::None && *done <= now);
    }

    /// This process's label for a neighbor: random, unique, and the same for every link to it.
    pub(crate) fn label(&mut self, peer: usize) -> Label {
        if let Some(label) = self.labels.get(&peer) {
            return *label;
        }
        let label = loop {
            let label = Label(self.rng.next_u64() as u16);
            if label.0 != 0 && self.labels.values().all(|taken| *taken != label) {
                break label;
            }
        };
        self.labels.insert(peer, label);
        label
    }

    /// The label that this host, if it confuses them, tells in place of the right one.
    pub(crate) fn wrong_label(&self, peer: usize) -> Option<Label> {
        let labels: Vec<(usize, Label)> = self.labels.iter().map(|(p, l)| (*p, *l)).collect();
        let at = labels.iter().position(|(p, _)| *p == peer)?;
        Some(labels[labels.len() - 1 - at].1)
    }

    pub(crate) fn next_link(&mut self) -> LinkId {
        self.links_ever += 1;
        LinkId(self.links_ever)
    }

    /// The link that belongs to a connection.
    pub(crate) fn link_of(&self, conn: u64) -> Option<LinkId> {
        self.links.iter().find(|(_, link)| link.conn == conn).map(|(id, _)| *id)
    }

    /// The link to a neighbor.
    pub(crate) fn link_to(&self, peer: usize) -> Option<(LinkId, &Link)> {
        self.links.iter().rev().find(|(_, link)| link.peer == peer).map(|(id, link)| (*id, link))
    }

    /// The newest usable link with this label.
    pub(crate) fn usable_link(&self, label: Label) -> Option<LinkId> {
        self.links.iter().rev().find(|(_, link)| link.usable && link.label == label).map(|(id, _)| *id)
    }
}

impl Journal {
    pub(crate) fn open(&mut self, incident: Incident) {
        self.next = self.next.max(incident.id + 1);
        self.open.insert(incident.id, incident);
    }

    pub(crate) fn explain(&mut self, incident: u64, root: u64) {
        self.roots.insert(incident, root);
    }

    /// Takes out what is over.
    pub(crate) fn close(&mut self, incident: u64) -> Option<Incident> {
        self.roots.remove(&incident);
        self.open.remove(&incident)
    }

    /// The open incidents that follow from another one.
    pub(crate) fn following(&self, root: u64) -> impl Iterator<Item = &Incident> {
        let following = self.roots.iter().filter(move |(_, of)| **of == root);
        following.filter_map(|(incident, _)| self.open.get(incident))
    }

    pub(crate) fn record(&mut self, outcome: Outcome) {
        self.outcomes.push_back(outcome);
        if self.outcomes.len() > OUTCOMES_MAX {
            self.outcomes.pop_front();
        }
    }

    /// A new process closes what was open: it cannot know how long it lasted.
    fn kill(&mut self) {
        self.open.clear();
        self.roots.clear();
    }
}

impl Default for Journal {
    fn default() -> Self {
        Self { open: BTreeMap::new(), roots: BTreeMap::new(), next: 1, outcomes: VecDeque::new() }
    }
}

/// The true time of the simulated world, in milliseconds since the Unix epoch: it begins in the year 2027.
pub(crate) fn true_unix_ms(now: Instant) -> u64 {
    EPOCH_MS + now.as_millis()
}

/// When the simulated world begins, in milliseconds since the Unix epoch.
const EPOCH_MS: u64 = 1_800_000_000_000;
/// How far the clocks of two hosts may be apart, in milliseconds.
pub(crate) const SKEW_MS_MAX: usize = 2000;
/// Outcomes that a journal keeps.
const OUTCOMES_MAX: usize = 512;
/// How much longer a flush may take, in microseconds.
const FLUSH_SPREAD_US: usize = 20_000;
