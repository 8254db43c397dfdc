//! Frames on their way: probes, echoes, path errors and requests, hop by hop through the relays' label tables.

use std::time::Duration;

use prunella_core::frame::{Frame, HEADER_BYTES, Header, Kind, Labels, PROBE_BYTES, REPLAY_WINDOW, stamp};
use prunella_core::pathfinder::{self, Way};
use prunella_core::wiring::Route;
use prunella_core::{Label, LinkId, Rejected, peer};

use crate::config::Bug;
use crate::event::Event;
use crate::world::World;

impl World {
    /// Sends a probe on a path, or with no labels on a link, usable or not.
    pub(crate) fn send_probe(&mut self, host: usize, way: &Way, nonce: u64) {
        if let Some(link) = self.hosts[host].links.get_mut(&way.first).filter(|_| way.path == 0) {
            link.asked.get_or_insert(self.now);
        }
        if way.path == 0 && self.config.bug == Some(Bug::CredulousProbes) {
            return self.on_echo(host, way.first, 0, nonce, Duration::from_millis(1));
        }
        let payload = [nonce.to_be_bytes(), self.now.as_nanos().to_be_bytes()].concat();
        self.send_along(host, Kind::Probe, way, &payload);
    }

    /// Sends data on the installed route to `to`; false if there is none whose link is usable.
    pub(crate) fn send_data(&mut self, host: usize, to: usize, payload: &[u8]) -> bool {
        let destination = self.hosts[to].peer_id();
        let Some(way) = self.hosts[host].routes.get(&destination).cloned() else { return false };
        if !self.hosts[host].links.get(&way.first).is_some_and(|link| link.usable) {
            return false;
        }
        self.send_along(host, Kind::Data, &way, payload);
        if let Some(hedge) = self.hosts[host].hedges.get(&destination).cloned()
            && self.hosts[host].links.get(&hedge.first).is_some_and(|link| link.usable)
        {
            self.send_along(host, Kind::Copy, &hedge, payload);
        }
        true
    }

    fn send_along(&mut self, host: usize, kind: Kind, way: &Way, payload: &[u8]) {
        match Labels::new(&way.labels) {
            Ok(labels) => self.send_own(host, way.first, Own { kind, labels, path: way.path, payload }),
            Err(_) => self.fail(format!("node {host} wants a frame with {} labels", way.labels.len())),
        }
    }

    fn send_own(&mut self, host: usize, link: LinkId, own: Own<'_>) {
        let source = self.hosts[host].peer_id().tag();
        let header = Header { kind: own.kind, lane: 0, labels: own.labels, source, path: own.path, sequence: 0 };
        let mut bytes = Vec::with_capacity(HEADER_BYTES + PROBE_BYTES);
        bytes.extend(header.encode());
        bytes.extend(own.payload);
        let Some(link) = self.hosts[host].links.get_mut(&link) else { return };
        link.sequence += 1;
        link.carriage.sent_bytes += bytes.len() as u64;
        link.carried |= !header.is_link_probe();
        stamp(&mut bytes, link.sequence, &link.send_key);
        let (conn, to) = (link.conn, link.peer);
        self.carry(host, to, conn, bytes);
    }

    fn carry(&mut self, from: usize, to: usize, conn: u64, bytes: Vec<u8>) {
        let length = bytes.len();
        self.send_datagram(from, to, length, |copy| Event::Frame { conn, to, bytes: bytes.clone(), copy });
    }

    /// A frame arrives: it is passed on, or it is for this host.
    pub(crate) fn on_frame(&mut self, conn: u64, to: usize, mut bytes: Vec<u8>, copy: bool) {
        // A process that was restarted, or that has closed the link, has no key for it.
        let Some(ingress) = self.hosts[to].link_of(conn) else { return };
        let newest = self.hosts[to].links[&ingress].window.newest();
        match self.take_frame(to, ingress, &mut bytes) {
            Ok(Some((next_conn, next))) => self.carry(to, next, next_conn, bytes),
            Ok(None) => {}
            // A copy, or its original if it comes later, was seen before; one that was held back may be past its time.
            Err(Rejected::Replayed) if copy || self.may_be_stale(&mut bytes, newest) => {}
            Err(reason) => self.fail(format!("an honest node's frame was rejected by node {to}: {reason}")),
        }
    }

    /// Whether a frame is behind the window of its link, or the network makes copies, so that it may have been seen.
    fn may_be_stale(&self, bytes: &mut [u8], newest: u64) -> bool {
        let sequence = Frame::parse(bytes).map_or(0, |frame| frame.sequence());
        self.config.weather.duplicate_permille > 0 || sequence + REPLAY_WINDOW <= newest
    }

    /// Whither the frame goes on; `None` if it has arrived or cannot go on.
    fn take_frame(&mut self, at: usize, ingress: LinkId, bytes: &mut [u8]) -> Result<Option<(u64, usize)>, Rejected> {
        let length = bytes.len() as u64;
        let mut frame = Frame::parse(bytes)?;
        let link = self.hosts[at].links.get_mut(&ingress).expect("BUG: the link was just found");
        frame.verify(&link.receive_key)?;
        if let Err(reason) = link.window.accept(frame.sequence()) {
            link.carriage.rejected[reason as usize] += 1;
            return Err(reason);
        }
        link.carriage.heard += 1;
        link.carriage.heard_bytes += length;
        link.carried |= !frame.is_link_probe();
        let ingress_label = link.label;
        let Some(label) = frame.next_label() else {
            self.on_arrived(at, ingress, &frame);
            return Ok(None);
        };
        let Some(out) = self.hosts[at].usable_link(label) else {
            self.report_broken(at, ingress, &frame, label);
            return Ok(None);
        };
        frame.advance(ingress_label);
        let out = self.hosts[at].links.get_mut(&out).expect("BUG: the link was just found");
        out.sequence += 1;
        out.carriage.sent_bytes += length;
        out.carried = true;
        frame.reseal(out.sequence, &out.send_key);
        Ok(Some((out.conn, out.peer)))
    }

    fn report_broken(&mut self, at: usize, ingress: LinkId, frame: &Frame<'_>, label: Label) {
        if frame.kind().is_payload() || frame.kind() == Kind::Probe {
            let [high, low] = label.0.to_be_bytes();
            let payload = [frame.cursor(), high, low];
            let own = Own { kind: Kind::PathError, labels: frame.way_back(), path: frame.path(), payload: &payload };
            self.send_own(at, ingress, own);
        }
    }

    fn on_arrived(&mut self, at: usize, ingress: LinkId, frame: &Frame<'_>) {
        let path = frame.path();
        match frame.kind() {
            Kind::Probe => {
                let own = Own { kind: Kind::Echo, labels: frame.way_back(), path, payload: frame.payload() };
                self.send_own(at, ingress, own);
            }
            Kind::Echo => {
                let (nonce, sent) = (word(frame.payload(), 0), word(frame.payload(), 8));
                let rtt = Duration::from_nanos(self.now.as_nanos().saturating_sub(sent));
                if let Some(link) = self.hosts[at].links.get_mut(&ingress).filter(|_| path == 0) {
                    (link.answered, link.asked) = (self.now, None);
                }
                self.on_echo(at, ingress, path, nonce, rtt);
            }
            Kind::PathError => self.tell(at, Route::Pathfinder(pathfinder::Input::PathBroken { path })),
            Kind::Data | Kind::Copy => self.on_data(at, frame.payload()),
            // Nobody in the simulator asks for one, nor has it an overlay interface.
            Kind::Trace | Kind::Packet | Kind::PacketCopy => {}
        }
    }

    fn on_echo(&mut self, at: usize, link: LinkId, path: u32, nonce: u64, rtt: Duration) {
        if path != 0 {
            return self.tell(at, Route::Pathfinder(pathfinder::Input::ProbeReturned { path, nonce, rtt }));
        }
        let Some(peer) = self.hosts[at].links.get(&link).map(|l| self.hosts[l.peer].peer_id()) else { return };
        self.tell(at, Route::Peer(peer, peer::Input::ProbeReturned { link, nonce, rtt }));
    }
}

/// A frame that begins at this host.
struct Own<'a> {
    kind: Kind,
    labels: Labels,
    path: u32,
    payload: &'a [u8],
}

/// Eight bytes of a payload as a number.
pub(crate) fn word(payload: &[u8], at: usize) -> u64 {
    let bytes = payload[at..at + 8].try_into().expect("BUG: eight bytes are eight bytes");
    u64::from_be_bytes(bytes)
}
