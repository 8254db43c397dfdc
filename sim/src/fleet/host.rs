//! One host: its process, and the tables of its datapath. The only place that knows how a node is driven.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};

use prunella_core::door::Door;
use prunella_core::identity::Identity;
use prunella_core::ledger::{self, Event};
use prunella_core::monitor::RTT_LIMIT;
use prunella_core::node::{Adopted, Neighbor, Node, NodeConfig};
use prunella_core::pathfinder::{self, Way};
use prunella_core::record::NodeBody;
use prunella_core::rng::Rng;
use prunella_core::wiring::{Command, Route};
use prunella_core::{Instant, Label, LinkId, PeerId, monitor};

use super::byzantine::{Behavior, Byzantine};
use super::traffic::Traffic;
use crate::config::{HEDGE_AFTER, LINK_PROBING, PATH_PROBING, PATHS, rebalancing};

/// A host.
#[derive(Debug)]
pub(super) struct Host {
    identity: Identity,
    pub(super) address: SocketAddr,
    /// Whom it dials and by whom it is dialed.
    pub(super) neighbors: BTreeSet<usize>,
    process: Option<Node>,
    /// What its process has written into its ledger.
    pub(super) ledger: Vec<ledger::Entry>,
    /// In place of a process: somebody who attacks.
    pub(super) byzantine: Option<Box<Byzantine>>,
    pub(super) door: Door,
    /// With whom it deals no more.
    pub(super) quarantined: BTreeSet<usize>,
    pub(super) wake_at: Option<Instant>,
    pub(super) links: BTreeMap<LinkId, Link>,
    pub(super) routes: BTreeMap<PeerId, Way>,
    pub(super) traffic: Traffic,
    labels: BTreeMap<usize, Label>,
    rng: Rng,
}

/// One end of a connection, as the datapath of a host knows it. Its id is the connection's number.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) peer: usize,
    pub(super) label: Label,
    pub(super) usable: bool,
    /// Whether the node with the smaller id dialed it: of two connections both ends keep that one.
    pub(super) preferred: bool,
    /// Whether frames that are no probes of the link itself passed since the last tick.
    pub(super) carried: bool,
}

impl Host {
    /// A host on which nothing runs yet.
    pub(super) fn new(index: usize, mut rng: Rng) -> Self {
        let mut secret = [0; 32];
        for part in secret.chunks_exact_mut(8) {
            part.copy_from_slice(&rng.next_u64().to_le_bytes());
        }
        let [_, _, high, low] = (index as u32).to_be_bytes();
        Self {
            identity: Identity::from_secret(&secret),
            address: SocketAddr::from((Ipv4Addr::new(10, 0, high, low), 4600)),
            neighbors: BTreeSet::new(),
            process: None,
            ledger: Vec::new(),
            byzantine: None,
            door: Door::new(index as u64),
            quarantined: BTreeSet::new(),
            wake_at: None,
            links: BTreeMap::new(),
            routes: BTreeMap::new(),
            traffic: Traffic::default(),
            labels: BTreeMap::new(),
            rng,
        }
    }

    pub(super) fn peer_id(&self) -> PeerId {
        self.identity.peer()
    }

    pub(super) fn node(&self) -> Option<&Node> {
        self.process.as_ref()
    }

    /// Starts the process, with an empty store and these neighbors.
    pub(super) fn boot(&mut self, neighbors: &[(PeerId, SocketAddr)], now: Instant, commands: &mut Vec<Command>) {
        let config = NodeConfig {
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
            monitor: monitor::Config {
                me: self.identity.peer(),
                neighbors_target: neighbors.len(),
                rtt_limit: RTT_LIMIT,
            },
            rebalancer: rebalancing(self.identity.peer(), neighbors.len()),
            seed: self.rng.next_u64(),
        };
        let dialable =
            |(peer, address): &(PeerId, SocketAddr)| (*peer, Neighbor { link: None, addresses: vec![*address] });
        let peers = neighbors.iter().map(dialable).collect();
        // A node that starts for the first time writes down which policy it has put in force.
        let first = Event::PolicyChanged {
            policy: "0123456789abcdef".to_owned(),
            who: self.identity.peer().to_string(),
            from: "policy.toml".to_owned(),
            change: "1 rules put in force".to_owned(),
        };
        let ledger =
            ledger::Adopted { entries: Some(Vec::new()), waiting: BTreeMap::from([(0, first)]), copies: Vec::new() };
        let adopted = Adopted { unix_ms: unix_ms(now), next_incident: 1, peers, ledger, ..Adopted::default() };
        self.ledger.clear();
        self.process = Some(Node::boot(self.identity.clone(), config, adopted, now, commands));
    }

    /// Lets an attacker run here instead of a process; with these hosts it wants links.
    pub(super) fn corrupt(&mut self, behavior: Behavior, targets: Vec<usize>) {
        let rng = Rng::from_seed(self.rng.next_u64());
        self.byzantine = Some(Box::new(Byzantine::new(self.identity.clone(), behavior, targets, rng)));
    }

    /// Has a role for a neighbor that it did not know of, or finds by itself.
    pub(super) fn meet(&mut self, peer: PeerId, address: SocketAddr, now: Instant, commands: &mut Vec<Command>) {
        if let Some(node) = &mut self.process {
            node.add_peer(peer, Neighbor { link: None, addresses: vec![address] }, now, commands);
        }
    }

    /// Ends the process, at once and without a word.
    pub(super) fn kill(&mut self) {
        self.process = None;
        self.links.clear();
        self.routes.clear();
    }

    /// Gives something to the node's roles; nothing happens while it does not run.
    pub(super) fn tell(&mut self, route: Route, now: Instant, commands: &mut Vec<Command>) {
        if let Some(node) = &mut self.process {
            node.handle(route, now, commands);
        }
    }

    /// Wakes the node's roles that are due.
    pub(super) fn wake(&mut self, now: Instant, commands: &mut Vec<Command>) {
        if let Some(node) = &mut self.process {
            node.wake(now, commands);
        }
    }

    /// When the node next wants to be woken.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.process.as_ref().and_then(Node::deadline)
    }

    /// This process's label for a neighbor: random, unique, and the same for every link to it.
    pub(super) fn label(&mut self, peer: usize) -> Label {
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

    /// The newest link to a neighbor.
    pub(super) fn link_to(&self, peer: usize) -> Option<(LinkId, &Link)> {
        self.links.iter().rev().find(|(_, link)| link.peer == peer).map(|(id, link)| (*id, link))
    }

    /// The newest usable link with this label.
    pub(super) fn usable_link(&self, label: Label) -> Option<LinkId> {
        self.links.iter().rev().find(|(_, link)| link.usable && link.label == label).map(|(id, _)| *id)
    }
}

/// What every wall clock says.
pub(super) fn unix_ms(now: Instant) -> u64 {
    EPOCH_MS + now.as_millis()
}

/// When the simulated world begins, in milliseconds since the Unix epoch: in the year 2027.
const EPOCH_MS: u64 = 1_800_000_000_000;
