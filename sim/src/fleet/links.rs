//! Dials, connections, and control messages on their streams.

use std::collections::VecDeque;
use std::time::Duration;

use prunella_core::gossip::{Gate, Moment, Said};
use prunella_core::limits::{CONTROL_RATE_PER_SECOND, DIAL_TIMEOUT};
use prunella_core::wire::{Control, codec};
use prunella_core::wiring::Route;
use prunella_core::{Instant, LinkId, gossip, ledger, peer};

use super::Fleet;
use super::event::Event;
use super::host::{Link, unix_ms};
use super::traffic::Kind;

/// What two hosts share.
#[derive(Debug)]
pub(super) struct Connection {
    ends: [usize; 2],
    /// What travels to each end.
    streams: [Stream; 2],
    /// When a packet was last sent, by either end.
    active: Instant,
}

/// One direction of the control stream.
#[derive(Debug)]
struct Stream {
    /// In the order in which they were sent; set once they have arrived, for what is behind a lost one has to wait.
    waiting: VecDeque<(Vec<u8>, bool)>,
    /// The number of the first that waits.
    first: u64,
    gate: Gate,
}

impl Connection {
    fn side(&self, host: usize) -> usize {
        usize::from(self.ends[0] != host)
    }
}

impl Fleet {
    /// Begins a handshake of three one-way trips; it takes longer when its packets are lost.
    pub(super) fn dial(&mut self, from: usize, to: usize) {
        let until = self.now + DIAL_TIMEOUT;
        self.queue.push(self.now + self.network.latency(from, to) * 3, Event::Dial { from, to, until, attempt: 0 });
    }

    pub(super) fn on_dial(&mut self, from: usize, to: usize, until: Instant, attempt: u32) {
        let (there, back) = (self.network.carry(from, to, self.now), self.network.carry(to, from, self.now));
        let again = self.now + self.patience(from, to, attempt);
        if let Some(held) = self.network.held_until(to, self.now).filter(|held| *held < until) {
            self.queue.push(held, Event::Dial { from, to, until, attempt });
        } else if there.is_none() || back.is_none() || !self.is_running(to) {
            let failed = Event::DialFailed { from, to };
            let next = if again < until { Event::Dial { from, to, until, attempt: attempt + 1 } } else { failed };
            self.queue.push(again.min(until), next);
        } else if self.keeps_old(from, to, from) || self.keeps_old(to, from, from) || self.is_turned_away(from, to) {
            self.on_dial_failed(from, to);
        } else {
            self.connect(from, to);
        }
    }

    pub(super) fn on_dial_failed(&mut self, from: usize, to: usize) {
        let peer = self.hosts[to].peer_id();
        self.tell(from, Route::Peer(peer, peer::Input::DialFailed));
    }

    fn keeps_old(&self, host: usize, peer: usize, dialer: usize) -> bool {
        let preferred = self.is_preferred(dialer, if dialer == host { peer } else { host });
        self.hosts[host].link_to(peer).is_some_and(|(_, old)| old.preferred && !preferred)
    }

    fn is_preferred(&self, dialer: usize, acceptor: usize) -> bool {
        self.hosts[dialer].peer_id() < self.hosts[acceptor].peer_id()
    }

    fn connect(&mut self, from: usize, to: usize) {
        self.conns_ever += 1;
        let (conn, now) = (self.conns_ever, self.now);
        let stream =
            |_| Stream { waiting: VecDeque::new(), first: 0, gate: Gate::greeted(CONTROL_RATE_PER_SECOND, now) };
        self.conns.insert(conn, Connection { ends: [from, to], streams: [0, 1].map(stream), active: now });
        self.queue.push(now + KEEP_ALIVE, Event::KeepAlive { conn });
        let preferred = self.is_preferred(from, to);
        for (host, peer) in [(from, to), (to, from)] {
            if let Some((old, _)) = self.hosts[host].link_to(peer) {
                self.drop_link(host, old);
            }
            self.introduce(host, peer);
            let label = self.hosts[host].label(peer);
            let link = LinkId(conn);
            self.hosts[host].links.insert(link, Link { peer, label, usable: true, preferred, carried: false });
            let id = self.hosts[peer].peer_id();
            self.tell(host, Route::Peer(id, peer::Input::LinkEstablished { link, label }));
        }
        self.on_byzantine_linked(from, to);
        self.on_byzantine_linked(to, from);
    }

    /// Ends this host's end of a link; the other learns of it by a single packet, or finds out by itself.
    pub(super) fn close(&mut self, host: usize, link: LinkId) {
        let Some(peer) = self.hosts[host].links.get(&link).map(|link| link.peer) else { return };
        self.queue.push(self.now, Event::Closed { at: host, link });
        if let Some(takes) = self.network.carry(host, peer, self.now) {
            self.queue.push(self.now + takes, Event::Closed { at: peer, link });
        }
    }

    pub(super) fn drop_link(&mut self, host: usize, link: LinkId) {
        let Some(gone) = self.hosts[host].links.remove(&link) else { return };
        self.conns.remove(&link.0);
        if let Some(byzantine) = &mut self.hosts[host].byzantine {
            byzantine.unlinked(gone.peer);
        }
        let peer = self.hosts[gone.peer].peer_id();
        self.tell(host, Route::Peer(peer, peer::Input::LinkClosed { link }));
    }

    /// Puts a control message on the stream to a neighbor; without a link it is dropped, as by the real shell.
    pub(super) fn send_control(&mut self, from: usize, to: usize, control: &Control) {
        if self.send_bytes(from, to, Kind::of(control), codec::encode_message(control)) {
            self.hosts[from].traffic.records.add(control);
        }
    }

    /// As [`Self::send_control`], whatever the bytes mean; whether they are on their way.
    pub(super) fn send_bytes(&mut self, from: usize, to: usize, kind: Kind, bytes: Vec<u8>) -> bool {
        let Some((link, _)) = self.hosts[from].link_to(to) else { return false };
        let Some(conn) = self.conns.get_mut(&link.0) else { return false };
        let side = conn.side(to);
        let stream = &mut conn.streams[side];
        if stream.waiting.len() >= STREAM_MESSAGES_MAX {
            return false;
        }
        let number = stream.first + stream.waiting.len() as u64;
        stream.waiting.push_back((bytes, false));
        self.transmit(link.0, to, kind, Part { number, attempt: 0 });
        true
    }

    /// Sends a message's packets; if they are lost, all of them are sent again after a while.
    pub(super) fn transmit(&mut self, conn: u64, to: usize, kind: Kind, part: Part) {
        let Some(connection) = self.conns.get_mut(&conn) else { return };
        let side = connection.side(to);
        let (from, stream) = (connection.ends[1 - side], &connection.streams[side]);
        let Some(at) = part.number.checked_sub(stream.first) else { return };
        let Some((bytes, _)) = stream.waiting.get(at as usize) else { return };
        let payload = bytes.len() as u64 + FRAMING_BYTES;
        let packets = payload.div_ceil(PACKET_PAYLOAD_MAX);
        connection.active = self.now;
        self.hosts[from].traffic.sent.add(kind, payload, packets);
        match self.network.carry(from, to, self.now) {
            Some(takes) => {
                self.hosts[to].traffic.received.add(kind, payload, packets);
                self.acknowledge(to, from, packets);
                self.queue.push(self.now + takes, Event::Arrived { conn, to, number: part.number });
            }
            None => {
                let again = self.now + self.patience(from, to, part.attempt);
                let part = Part { attempt: part.attempt + 1, ..part };
                self.queue.push(again, Event::Transmit { conn, to, kind, part });
            }
        }
    }

    fn acknowledge(&mut self, from: usize, to: usize, packets: u64) {
        self.hosts[from].traffic.sent.add(Kind::Ack, packets * ACK_BYTES, packets);
        self.hosts[to].traffic.received.add(Kind::Ack, packets * ACK_BYTES, packets);
    }

    /// A message has arrived: it is heard, with all that waited for it, unless it has to wait itself.
    pub(super) fn on_arrived(&mut self, conn: u64, to: usize, number: u64) {
        let Some(connection) = self.conns.get_mut(&conn) else { return };
        let side = connection.side(to);
        let (from, stream) = (connection.ends[1 - side], &mut connection.streams[side]);
        let Some(at) = number.checked_sub(stream.first) else { return };
        if let Some((_, arrived)) = stream.waiting.get_mut(at as usize) {
            *arrived = true;
        }
        let (mut heard, mut read) = (Vec::new(), Vec::new());
        let honest = self.hosts[to].byzantine.is_none();
        while stream.waiting.front().is_some_and(|(_, arrived)| *arrived) {
            let Some((bytes, _)) = stream.waiting.pop_front() else { break };
            stream.first += 1;
            let moment = Moment { now: self.now, unix_ms: unix_ms(self.now) };
            if honest {
                heard.push(stream.gate.read(&bytes, moment, &mut self.known));
            } else {
                read.push(bytes);
            }
        }
        if !honest {
            return self.on_byzantine_heard(to, from, read);
        }
        let from = self.hosts[from].peer_id();
        for said in heard {
            let inputs = match said {
                Ok(Said::Message { message, bad }) => {
                    let rejected = bad.into_iter().map(|reason| gossip::Input::Rejected { from, reason });
                    [gossip::Input::Heard { from, message }].into_iter().chain(rejected).collect()
                }
                Ok(Said::Ledger(message)) => {
                    self.tell(to, Route::Ledger(ledger::Input::Heard { from, message }));
                    Vec::new()
                }
                // No simulated node wants to part.
                Ok(Said::Hello { .. } | Said::Parting(_)) => Vec::new(),
                Err(reason) => vec![gossip::Input::Rejected { from, reason }],
            };
            for input in inputs {
                if let gossip::Input::Rejected { reason, .. } = input {
                    *self.rejected.entry(reason.to_string()).or_default() += 1;
                }
                self.tell(to, Route::Gossip(input));
            }
        }
    }

    /// A connection on which nobody said anything for a while is kept alive by a packet, which is acknowledged.
    pub(super) fn on_keep_alive(&mut self, conn: u64) {
        let Some(connection) = self.conns.get_mut(&conn) else { return };
        let due = connection.active + KEEP_ALIVE;
        if due <= self.now {
            connection.active = self.now;
            for host in connection.ends {
                self.hosts[host].traffic.sent.add(Kind::KeepAlive, 1, 1);
                self.hosts[host].traffic.received.add(Kind::KeepAlive, 1, 1);
            }
        }
        self.queue.push(if due <= self.now { self.now + KEEP_ALIVE } else { due }, Event::KeepAlive { conn });
    }

    /// How long a transport waits before it sends again what was lost, doubled each time (RFC 9002, section 6.2).
    fn patience(&self, from: usize, to: usize, attempt: u32) -> Duration {
        (self.network.latency(from, to) * 3 + ACK_DELAY) * 2u32.pow(attempt.min(5))
    }
}

/// Which transmission of which message on a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    number: u64,
    attempt: u32,
}

/// Most messages under way on a stream; what a transport's window would hold back is dropped.
const STREAM_MESSAGES_MAX: usize = 4096;
/// A message's length stands before it.
const FRAMING_BYTES: u64 = 4;
/// What one packet holds of a stream.
const PACKET_PAYLOAD_MAX: u64 = 1200;
/// A frame that acknowledges packets without a gap. Every packet is acknowledged by itself here, where a transport may
/// put several into one.
const ACK_BYTES: u64 = 5;
/// The longest that a receiver waits before it acknowledges (RFC 9002, section 6.2.1).
const ACK_DELAY: Duration = Duration::from_millis(25);
/// How often an idle connection is kept alive: that of the transport that ships.
const KEEP_ALIVE: Duration = Duration::from_secs(3);
