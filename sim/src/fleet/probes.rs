//! Probes and frames' ways: hop by hop through the label tables of the relays.

use std::time::Duration;

use prunella_core::pathfinder::{self, Way};
use prunella_core::wiring::Route;
use prunella_core::{Instant, Label, LinkId, PeerId, peer};

use super::Fleet;
use super::event::Event;
use super::traffic::Kind;

/// Where a frame ends up.
struct Walk {
    at: usize,
    /// The hosts before it, the sender first.
    behind: Vec<usize>,
    takes: Duration,
    /// No link with the wanted label was usable there.
    broken: bool,
}

impl Fleet {
    /// Whether `from` knows a way along which a frame would reach `to` now, by the labels and links that the relays
    /// have; loss and latency are not asked.
    pub fn can_talk(&self, from: usize, to: usize) -> bool {
        let Some(node) = self.hosts[from].node() else { return false };
        let destination = self.hosts[to].peer_id();
        node.pathfinder().paths(destination).first().is_some_and(|view| {
            let first = view.path.hops.get(1).and_then(|hop| self.index.get(hop));
            let link = first.and_then(|first| self.hosts[from].link_to(*first)).filter(|(_, link)| link.usable);
            link.is_some_and(|(link, _)| self.follow(from, link, &view.path.labels) == Some(to))
        })
    }

    /// Whether a frame would arrive now over the route that `from` has installed to `to`.
    pub fn route_leads(&self, from: usize, to: usize) -> bool {
        let Some(way) = self.hosts[from].routes.get(&self.hosts[to].peer_id()) else { return false };
        self.hosts[from].links.get(&way.first).is_some_and(|link| link.usable)
            && self.follow(from, way.first, &way.labels) == Some(to)
    }

    fn follow(&self, from: usize, first: LinkId, labels: &[Label]) -> Option<usize> {
        let mut at = self.hosts[from].links.get(&first)?.peer;
        for label in labels {
            let link = self.hosts[at].usable_link(*label)?;
            at = self.hosts[at].links[&link].peer;
        }
        self.is_running(at).then_some(at)
    }

    pub(super) fn probe_link(&mut self, from: usize, link: LinkId, nonce: u64) {
        let sent = self.now;
        if let Some(peer) = self.hosts[from].links.get(&link).map(|link| link.peer)
            && let Some(takes) = self.datagram(from, peer, Kind::Probe, self.now)
        {
            self.queue.push(self.now + takes, Event::Probe { to: peer, link, nonce, sent });
        }
    }

    pub(super) fn on_probe(&mut self, at: usize, link: LinkId, nonce: u64, sent: Instant) {
        // A process that has closed the link has no key for it.
        if let Some(peer) = self.hosts[at].links.get(&link).map(|link| link.peer)
            && let Some(takes) = self.datagram(at, peer, Kind::Echo, self.now)
        {
            self.queue.push(self.now + takes, Event::Echo { to: peer, link, nonce, sent });
        }
    }

    pub(super) fn on_echo(&mut self, at: usize, link: LinkId, nonce: u64, sent: Instant) {
        let rtt = self.now.since(sent);
        if let Some(peer) = self.hosts[at].links.get(&link).map(|link| self.hosts[link.peer].peer_id()) {
            self.tell(at, Route::Peer(peer, peer::Input::ProbeReturned { link, nonce, rtt }));
        }
    }

    /// Sends a probe along a path. What becomes of it on its way there and back is decided now, by the tables as they
    /// are now.
    pub(super) fn probe_path(&mut self, from: usize, way: &Way, nonce: u64) {
        let Some(walk) = self.walk(from, way) else { return };
        let (mut takes, mut at) = (walk.takes, walk.at);
        for host in walk.behind.into_iter().rev() {
            let Some(hop) = self.hop(at, host, self.now + takes) else { return };
            (takes, at) = (takes + hop, host);
        }
        let (path, sent) = (way.path, self.now);
        let event = if walk.broken {
            Event::PathBroken { to: from, path }
        } else {
            Event::PathEcho { to: from, path, nonce, sent }
        };
        self.queue.push(self.now + takes, event);
    }

    pub(super) fn on_path_echo(&mut self, at: usize, path: u32, nonce: u64, sent: Instant) {
        let rtt = self.now.since(sent);
        self.tell(at, Route::Pathfinder(pathfinder::Input::ProbeReturned { path, nonce, rtt }));
    }

    /// Wants ways to these destinations, as programs on that host would.
    pub fn want(&mut self, from: usize, to: usize) {
        let destination: PeerId = self.hosts[to].peer_id();
        self.tell(from, Route::Pathfinder(pathfinder::Input::Wanted { destination }));
    }

    /// Follows a path's labels; `None` if the frame is lost on its way.
    fn walk(&mut self, from: usize, way: &Way) -> Option<Walk> {
        let next = self.hosts[from].links.get(&way.first)?.peer;
        let takes = self.hop(from, next, self.now)?;
        let mut walk = Walk { at: next, behind: vec![from], takes, broken: false };
        for label in &way.labels {
            let Some(link) = self.hosts[walk.at].usable_link(*label) else {
                walk.broken = true;
                break;
            };
            let next = self.hosts[walk.at].links[&link].peer;
            let takes = self.hop(walk.at, next, self.now + walk.takes)?;
            walk.behind.push(walk.at);
            (walk.at, walk.takes) = (next, walk.takes + takes);
        }
        Some(walk)
    }

    /// One hop of a frame that is no link probe: the link carries.
    fn hop(&mut self, from: usize, to: usize, at: Instant) -> Option<Duration> {
        for (host, peer) in [(from, to), (to, from)] {
            let (link, _) = self.hosts[host].link_to(peer)?;
            if let Some(link) = self.hosts[host].links.get_mut(&link) {
                link.carried = true;
            }
        }
        let takes = self.datagram(from, to, Kind::Path, at)?;
        (self.is_running(to) && self.network.held_until(to, at + takes).is_none()).then_some(takes)
    }

    fn datagram(&mut self, from: usize, to: usize, kind: Kind, at: Instant) -> Option<Duration> {
        self.hosts[from].traffic.sent.add(kind, PROBE_BYTES, 1);
        let takes = self.network.carry(from, to, at)?;
        self.hosts[to].traffic.received.add(kind, PROBE_BYTES, 1);
        Some(takes)
    }
}

/// A frame's header, and what a probe carries.
const PROBE_BYTES: u64 = (prunella_core::frame::HEADER_BYTES + prunella_core::frame::PROBE_BYTES) as u64;
