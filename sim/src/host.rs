//! One simulated host: the process that runs on it or not, its disk, and the tables of its datapath.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use prunella_core::frame::{FrameKey, ReplayWindow};
use prunella_core::identity::Identity;
use prunella_core::incident::Incident;
use prunella_core::node::{Node, NodeConfig};
use prunella_core::pathfinder::{self, Way};
use prunella_core::record::{NodeBody, ProvenRecord, RecordId, SignedRecord, VerifiedCache};
use prunella_core::rng::Rng;
use prunella_core::wiring::Command;
use prunella_core::{Instant, Label, LinkId, PeerId, Verified, monitor};

use crate::config::{LINK_PROBING, PATH_PROBING, PATHS};
use crate::event::Event;

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
    /// When the process was last started or went on: what it reports shortly after may be old.
    pub(crate) resumed: Instant,
    pub(crate) wake_at: Option<Instant>,
    /// The disk: survives the process.
    pub(crate) records: BTreeMap<RecordId, SignedRecord>,
    pub(crate) links: BTreeMap<LinkId, Link>,
    pub(crate) routes: BTreeMap<PeerId, Way>,
    pub(crate) incidents: BTreeMap<u64, Incident>,
    /// What the process has verified.
    pub(crate) known: VerifiedCache,
    labels: BTreeMap<usize, Label>,
    links_ever: u64,
    skew_ms: u64,
    rng: Rng,
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
            resumed: Instant::BOOT,
            wake_at: None,
            records: BTreeMap::new(),
            links: BTreeMap::new(),
            routes: BTreeMap::new(),
            incidents: BTreeMap::new(),
            known: VerifiedCache::default(),
            labels: BTreeMap::new(),
            links_ever: 0,
            skew_ms: rng.below(SKEW_MS_MAX) as u64,
            rng,
        }
    }

    pub(crate) fn peer_id(&self) -> PeerId {
        self.identity.peer()
    }

    /// Starts a process with what the disk holds.
    pub(crate) fn boot(&mut self, neighbors: usize, now: Instant, commands: &mut Vec<Command>) {
        self.life += 1;
        self.resumed = now;
        self.known = VerifiedCache::default();
        let unix_ms = self.unix_ms(now);
        let config = NodeConfig {
            node: NodeBody {
                name: format!("node-{}", self.address.ip()),
                addresses: vec![self.address],
                region: String::new(),
            },
            link_probing: LINK_PROBING,
            pathfinder: pathfinder::Config { paths: PATHS, warm: 2, probing: PATH_PROBING },
            monitor: monitor::Config { me: self.identity.peer(), neighbors_target: neighbors },
            seed: self.rng.next_u64(),
        };
        let stored: Vec<Verified<ProvenRecord>> =
            self.records.values().filter_map(|signed| signed.clone().verify(unix_ms).ok()).collect();
        self.process = Some(Node::boot(self.identity.clone(), config, stored, unix_ms, now, commands));
    }

    /// Ends the process: all that it held in memory is gone, at once and without a word.
    pub(crate) fn kill(&mut self) {
        self.process = None;
        self.wake_at = None;
        self.links.clear();
        self.routes.clear();
        self.incidents.clear();
        self.labels.clear();
        self.deferred.clear();
    }

    /// Whether a process runs and is not held still.
    pub(crate) fn is_running(&self) -> bool {
        self.process.is_some() && self.paused == 0
    }

    /// What this host's wall clock says. Clocks of hosts differ.
    pub(crate) fn unix_ms(&self, now: Instant) -> u64 {
        EPOCH_MS + self.skew_ms + now.as_millis()
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

/// When the simulated world begins, in milliseconds since the Unix epoch: in the year 2027.
const EPOCH_MS: u64 = 1_800_000_000_000;
/// How far the clocks of two hosts may be apart, in milliseconds.
const SKEW_MS_MAX: usize = 2000;
